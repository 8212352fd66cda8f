"""What a test needs and may be missing: packages, programs, interpreters, names of a module.

A test is left out if something is missing, and ``conftest.py`` says so in one line. With
``CI=true`` it fails, so that no check silently stops. What cannot exist for an interpreter is
skipped in CI too.
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

# How pip gets what another system would install. Nothing of it is executed.
_FOREIGN = ["--no-deps", "--only-binary=:all:", "--python-version=3.12", "--implementation=cp"]

#: Packages that cannot be installed into the environment of the tests: another urllib3 than
#: botocore's, with a requests that accepts it; the last cryptography with OpenSSL 1.1.1, and a
#: pyOpenSSL that has methods of a single version; packages with a start-up file of their own; and
#: those of other systems.
PACKAGES = {
    "certs": ["pip-system-certs"],
    "macos": [*_FOREIGN, "--platform=macosx_11_0_arm64", "psycopg2-binary"],
    "pyopenssl-20": ["pyOpenSSL==20.0.1", "cryptography==3.4.8"],
    "typeguard": ["typeguard"],
    "urllib3-1": ["urllib3<2", "requests<2.30"],
    "urllib3-2": ["urllib3>=2", "requests>=2.30"],
    "windows": [*_FOREIGN, "--platform=win_amd64", "mysqlclient", "psycopg2-binary"],
}

#: Names of ``PACKAGES`` that pip could not install in this run -> the error.
_failures: dict[str, str] = {}


class LeftOut(pytest.skip.Exception):
    """A test cannot run because something is missing."""

    def __init__(self, part: str) -> None:
        super().__init__(f"{part} is missing")
        self.part = part


def need(*modules: str, since: tuple[int, int] = (3, 8)) -> None:
    """Leave the test out unless these modules are installed; skip it before Python ``since``."""
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
    """Return the path of a program; leave the test out if it is not on PATH."""
    return shutil.which(name) or leave_out(name, "not on PATH; hint: .ci/run names its package")


def need_name(module: object, name: str) -> None:
    """Skip the test, in CI too, unless this module of Python has a name that others have."""
    if not hasattr(module, name):
        pytest.skip(f"this Python has no {module.__name__}.{name}")  # type: ignore[attr-defined]


def fetched(cache: Path, name: str) -> str:
    """Return a folder with some of PACKAGES. pip fills it once for each version of Python."""
    folder = cache / f"{sys.implementation.cache_tag}-{name}"
    with FileLock(f"{folder}.lock"):  # other workers of pytest wait for it
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
    """Return the Pythons 2.7, 3.6 and 3.7 that this machine has."""
    root = os.path.expanduser(os.environ.get("PYENV_ROOT", "~/.pyenv"))
    found = []
    for each in ("2.7", "3.6", "3.7"):
        built = glob.glob(os.path.join(root, "versions", f"{each}.*", "bin", "python"))
        found += built[:1] or [name for name in [shutil.which(f"python{each}")] if name]
    return found


def pythons() -> list[str]:
    """Return one Python of each version from 3.8 on that this machine has."""
    root = os.path.expanduser(os.environ.get("PYENV_ROOT", "~/.pyenv"))
    found = [sys.executable]
    for minor in range(8, 16):
        if sys.version_info[:2] != (3, minor):
            built = glob.glob(os.path.join(root, "versions", f"3.{minor}.*", "bin", "python"))
            found += built[:1] or [name for name in [shutil.which(f"python3.{minor}")] if name]
    return found + [name for name in [shutil.which("pypy3")] if name]


def leave_out(part: str, why: str) -> NoReturn:
    """Leave the running test out because a part is missing; in CI let it fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{part}: {why}")
    raise LeftOut(part)
