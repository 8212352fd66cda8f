"""What is shipped: every file of the package, and nothing else."""

from __future__ import annotations

import email
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "tlsfloor"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as opened:
        yield opened


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    there = {
        each.relative_to(ROOT).as_posix()
        for each in SOURCE.rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }
    assert shipped == there
    assert {"tlsfloor/py.typed", "tlsfloor/bootstrap/sitecustomize.py"} <= shipped


def test_the_metadata_agree_with_the_readme(wheel: zipfile.ZipFile) -> None:
    (name,) = (each for each in wheel.namelist() if each.endswith("/METADATA"))
    facts = email.message_from_bytes(wheel.read(name))
    assert facts["Requires-Python"] == ">=3.8"
    assert facts["License-Expression"] == "Apache-2.0"
    assert {"verify", "aws", "test"} <= set(facts.get_all("Provides-Extra"))
    # What the floor itself needs in a process: before 3.11, a reader of exemptions.
    assert [each for each in facts.get_all("Requires-Dist") if "extra" not in each] == [
        "tomli>=1.1; python_version < '3.11'",
    ]


def test_pytest_finds_the_plugin(wheel: zipfile.ZipFile) -> None:
    (name,) = (each for each in wheel.namelist() if each.endswith("/entry_points.txt"))
    assert "[pytest11]\ntlsfloor = tlsfloor.testing\n" in wheel.read(name).decode()
