"""The cost of the verifier, compared with only starting the interpreters, or with ``find``.

The verifier starts each interpreter twice, isolated and as a program would start it. Here it
examines one interpreter after the other; by default it examines as many at a time as there are
processors.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from functools import partial
from typing import TYPE_CHECKING

import pyperf

from benchmarks.measure import Row, environment, seconds
from tlsfloor.verifier import find, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

INTERPRETERS = (1, 4, 16)
FILES = (10**3, 10**4, 10**5)

#: Starts of each interpreter.
STARTS = 2

#: Files in one folder of the tree that is searched.
WIDTH = 100

EVIDENCE = {"hellos": ["--hello"], "handshakes": []}


def called(function: Callable[[], object]) -> Callable[[], float]:
    """Return a function that measures the seconds of a call."""

    def measure() -> float:
        begin = pyperf.perf_counter()
        function()
        return float(pyperf.perf_counter() - begin)

    return measure


def plant(folder: str, files: int) -> None:
    """Create a tree of empty files, with this interpreter somewhere in it."""
    for number in range(files):
        if number % WIDTH == 0:
            below = os.path.join(folder, str(number // WIDTH % 7), str(number // WIDTH))
            os.makedirs(below)
        open(os.path.join(below, f"file{number}"), "w").close()
    os.symlink(sys.executable, os.path.join(below, "python3"))


def starts(pythons: list[str]) -> Callable[[], float]:
    """Return a function that measures the seconds of only starting the interpreters."""
    return lambda: sum(
        seconds([each, "-B", "-c", "import ssl"], environment())
        for each in pythons
        for _ in range(STARTS)
    )


def verifying(folder: str, how: list[str]) -> Callable[[], float]:
    """Return a function that measures the seconds of ``tlsfloor verify``, whatever the verdict."""
    command = [sys.executable, "-m", "tlsfloor", "verify", "--each", "--jobs", "1", *how, folder]

    def run() -> None:
        done = subprocess.run(command, env=environment(), capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr

    return called(run)


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows for ``verify()``, for the search, and for the command."""
    bare = starts([sys.executable])
    yield Row(
        "verify() in this process",
        "second",
        {f"{STARTS} starts of Python, import ssl": bare, "verify()": called(in_process.verify)},
        rounds=11,
    )
    for files in FILES[: 1 if quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            plant(folder, files)
            command = ["find", folder, "-name", "python*"]
            yield Row(
                f"interpreters in a tree of {files} files",
                "second",
                {
                    "find": partial(seconds, command, environment()),
                    "tlsfloor": called(partial(find.find_interpreters, [folder])),
                },
                most=2,
                rounds=11,
            )
    with tempfile.TemporaryDirectory() as folder:
        pythons: list[str] = []
        for number in INTERPRETERS[: 1 if quick else None]:
            while len(pythons) < number:
                made = os.path.join(folder, f"environment{len(pythons)}")
                venv.create(made, symlinks=True)
                pythons.append(os.path.join(made, "bin", "python"))
            for evidence, how in list(EVIDENCE.items())[: 1 if quick else None]:
                yield Row(
                    f"tlsfloor verify, {number} environment{'s' * (number > 1)}, {evidence}",
                    "second",
                    {
                        f"{STARTS * number} starts": starts(pythons),
                        "tlsfloor": verifying(folder, how),
                    },
                    most=1.5,
                    rounds=3,
                )
