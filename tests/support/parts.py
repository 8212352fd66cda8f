"""The real parts that tests drive: libraries, programs, and names that not every Python has.

Tests of a part that is missing are left out, and ``conftest.py`` says so in one line. With
``CI=true`` they fail, so that no check silently stops being made; only what cannot exist for an
interpreter is skipped there too.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

#: What cannot be installed beside the tests: another urllib3 than botocore's, with a requests that
#: is content with it; the last cryptography with an OpenSSL 1.1.1, and a pyOpenSSL with methods of
#: a single version; what changes each process by a start-up file of its own.
PACKAGES = {
    "certs": ["pip-system-certs"],
    "pyopenssl-20": ["pyOpenSSL==20.0.1", "cryptography==3.4.8"],
    "typeguard": ["typeguard"],
    "urllib3-1": ["urllib3<2", "requests<2.30"],
    "urllib3-2": ["urllib3>=2", "requests>=2.30"],
}

#: Which of these pip could not install in this run -> what it said.
_failures: dict[str, str] = {}


class LeftOut(pytest.skip.Exception):
    """A test cannot run, as a part of it is missing."""

    def __init__(self, part: str) -> None:
        super().__init__(f"{part} is missing")
        self.part = part


def need(*modules: str, since: tuple[int, int] = (3, 8)) -> None:
    """Leave the test out, unless these modules are there; before ``since`` there can be none."""
    for module in modules:
        if sys.version_info < since:
            pytest.skip(f"{module} needs Python {since[0]}.{since[1]}")
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:  # the package that it would be in
            found = None
        if found is None:
            leave_out(module, "it is not installed; hint: an extra of pyproject.toml has it")


def need_program(name: str) -> str:
    """Return where a program is; leave the test out if it is nowhere on PATH."""
    return shutil.which(name) or leave_out(name, "not on PATH; hint: .ci/run names its package")


def need_name(module: object, name: str) -> None:
    """Skip, in CI too, unless a module of Python has this name, as others have or had."""
    if not hasattr(module, name):
        pytest.skip(f"this Python has no {module.__name__}.{name}")  # type: ignore[attr-defined]


def fetched(cache: Path, name: str) -> str:
    """Return a folder with some of PACKAGES, which pip fills once for each version of Python."""
    folder = cache / f"{sys.implementation.cache_tag}-{name}"
    with FileLock(f"{folder}.lock"):  # other workers of pytest wait, and find it
        if name not in _failures and not folder.exists():
            fresh = tempfile.mkdtemp(dir=cache)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", fresh]
            command = [*pip, *PACKAGES[name]]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                shutil.rmtree(fresh)
                _failures[name] = f"pip: {done.stderr}"
            else:
                os.rename(fresh, folder)
    if name in _failures:
        leave_out(" ".join(PACKAGES[name]), _failures[name])
    return str(folder)


def old_pythons() -> list[str]:
    """The Pythons of this machine that are too old for tlsfloor, and old enough to be in use."""
    root = os.path.expanduser(os.environ.get("PYENV_ROOT", "~/.pyenv"))
    found = []
    for each in ("2.7", "3.6", "3.7"):
        built = glob.glob(os.path.join(root, "versions", f"{each}.*", "bin", "python"))
        found += built[:1] or [name for name in [shutil.which(f"python{each}")] if name]
    return found


def pythons() -> list[str]:
    """One Python of each version that this machine has, from 3.8 on."""
    root = os.path.expanduser(os.environ.get("PYENV_ROOT", "~/.pyenv"))
    found = [sys.executable]
    for minor in range(8, 16):
        if sys.version_info[:2] != (3, minor):
            built = glob.glob(os.path.join(root, "versions", f"3.{minor}.*", "bin", "python"))
            found += built[:1] or [name for name in [shutil.which(f"python3.{minor}")] if name]
    return found + [name for name in [shutil.which("pypy3")] if name]


def leave_out(part: str, why: str) -> NoReturn:
    """Leave the running test out for a part that is missing; in CI fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{part}: {why}")
    raise LeftOut(part)
