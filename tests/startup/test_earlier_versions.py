"""Start-up files that earlier versions have installed still arm, with the package of today."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import parts
import pytest
import tlsfloor
from programs import clean_environment, python

PACKAGE = str(Path(tlsfloor.__file__).parent)

#: The start-up files of version 0.1, and of 0.2 before modules moved. They call ``tlsfloor.start``
#: and ``tlsfloor.arm``.
EARLIER = sorted((Path(__file__).parent / "earlier").glob("*.py"))

PROGRAM = """
import site, sys
site.addsitedir(sys.argv[1])
import ssl
context = ssl.SSLContext(ssl.PROTOCOL_SSLv23)
context.options = 0
held = context.options & ssl.OP_NO_TLSv1_2
if hasattr(context, "minimum_version"):
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    held = context.minimum_version == ssl.TLSVersion.TLSv1_3
print(bool(held))
"""


def install(folder: Path, startup_file: Path, floor: str) -> None:
    """Write what ``tlsfloor install`` of that version wrote."""
    text = startup_file.read_text("utf-8")
    lines = re.search(r"^FLOOR = OUTCOME = .*$", text, re.MULTILINE)
    assert lines
    text = text.replace(lines[0], f'FLOOR, OUTCOME = "{floor}", "block"')
    text = re.sub("^PACKAGE = .*$", "", text, flags=re.MULTILINE)
    values = f"PACKAGE, SPARE = {PACKAGE!a}, None"
    text = text.replace(f'"{floor}", "block"\n', f'"{floor}", "block"\n{values}\n')
    (folder / "_tlsfloor.py").write_text(text, "utf-8")
    (folder / "tlsfloor.pth").write_text("import _tlsfloor\n")


@pytest.mark.parametrize("executable", [sys.executable, *parts.old_pythons()])
@pytest.mark.parametrize("startup_file", EARLIER, ids=lambda file: file.stem)
def test_an_installed_file_of_an_earlier_version_arms(
    startup_file: Path, executable: str, tmp_path: Path
) -> None:
    env = clean_environment(PYTHONDONTWRITEBYTECODE="1")
    control = python("-W", "ignore", "-c", PROGRAM, str(tmp_path), executable=executable, env=env)
    assert (control.stdout, control.stderr) == ("False\n", "")
    install(tmp_path, startup_file, "1.3")
    done = python("-W", "ignore", "-c", PROGRAM, str(tmp_path), executable=executable, env=env)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("startup_file", EARLIER, ids=lambda file: file.stem)
def test_it_refuses_ssl_if_the_floor_is_unknown(startup_file: Path, tmp_path: Path) -> None:
    install(tmp_path, startup_file, "1.9")
    done = python("-W", "ignore", "-c", PROGRAM, str(tmp_path), env=clean_environment())
    assert "ImportError: tlsfloor: error: the installed file" in done.stderr


@pytest.mark.parametrize("startup_file", EARLIER, ids=lambda file: file.stem)
def test_each_module_that_an_earlier_file_imports_is_there(startup_file: Path) -> None:
    text = startup_file.read_text("utf-8")
    names = set(re.findall(r"^\s*(?:import|from) (tlsfloor\.[\w.]+)", text, re.MULTILINE))
    assert names
    done = python("-c", f"import {', '.join(sorted(names))}", env=clean_environment())
    assert (done.returncode, done.stderr) == (0, "")


def test_the_entry_point_of_earlier_metadata_is_there() -> None:
    program = "from tlsfloor.neighbours import stay_in_front, under_opentelemetry"
    assert python("-c", program, env=clean_environment()).stderr == ""
