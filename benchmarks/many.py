"""How long it takes to verify many interpreters, compared with one processor, and with ``find``.

1,000 virtual environments of up to 5 runtimes, each with pip, are made by hard links, as some
installers make them. It takes some minutes and 200,000 folders.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Row, environment, seconds
from benchmarks.verifier import called

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

#: Environments, and the seconds in which they have to be verified on 2 processors.
NUMBER, GOAL = 1000, 60
RUNTIMES = 5

#: Interpreters of which each is tried, and how much faster that is to be on 2 processors.
TRIED, SPEEDUP = 16, 1.8


def runtimes() -> list[str]:
    """Return some interpreters of this machine that can make environments."""
    versions = os.path.join(os.environ.get("PYENV_ROOT", ""), "versions", "3.*", "bin", "python")
    found = [sys.executable, "/usr/bin/python3", *sorted(glob.glob(versions))]
    known = {os.path.realpath(path): path for path in found if os.path.exists(path)}
    return [path for path in known.values() if can_make(path)][:RUNTIMES]


def can_make(path: str) -> bool:
    """Return whether an interpreter is 3.8 or newer and can make environments with pip."""
    program = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 8))"
    return subprocess.run([path, "-c", program], capture_output=True, check=False).returncode == 0


def make(folder: str, number: int, pythons: list[str], *options: str) -> None:
    """Make environments: one by each Python, and the others by hard links to these."""
    for index, path in enumerate(pythons):
        first = os.path.join(folder, f"runtime{index}", "environment0")
        subprocess.run([path, "-m", "venv", "--symlinks", *options, first], check=True)
        for each in range(1, number // len(pythons)):
            to = os.path.join(folder, f"runtime{index}", f"environment{each}")
            shutil.copytree(first, to, symlinks=True, copy_function=os.link)


def verifying(folder: str, *options: str, on: tuple[str, ...] = ()) -> Callable[[], float]:
    """Return a function that measures the seconds of ``tlsfloor verify``, whatever the verdict.

    ``on`` is a command that limits it to some cores.
    """
    command = [*on, sys.executable, "-m", "tlsfloor", "verify", *options, folder]

    def run() -> None:
        done = subprocess.run(command, env=environment(), capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr

    return called(run)


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows for one processor or two, and for the tree of environments."""
    with tempfile.TemporaryDirectory() as folder:
        make(folder, 2 if quick else TRIED, [sys.executable], "--without-pip")
        quickly = ["--hello"] if quick else []
        yield Row(
            f"tlsfloor verify --each, {TRIED} environments",
            "second",
            # With one job on two cores, the probe and the verifier already work at the same time.
            {
                "--jobs 1, one core": verifying(
                    folder, "--each", "--jobs", "1", *quickly, on=("taskset", "--cpu-list", "0")
                ),
                "--jobs 2": verifying(folder, "--each", "--jobs", "2", *quickly),
            },
            most=1 / SPEEDUP,
        )
    with tempfile.TemporaryDirectory() as folder:
        pythons = [sys.executable] if quick else runtimes()
        make(folder, 3 if quick else NUMBER, pythons, *(["--without-pip"] if quick else []))
        command = ["find", folder, "-name", "python*"]
        yield Row(
            f"tlsfloor verify, {NUMBER} environments of {len(pythons)} runtimes",
            "second",
            {
                "find": partial(seconds, command, environment()),
                "tlsfloor": verifying(folder, *quickly),
            },
            more=GOAL,
            rounds=3,
        )
