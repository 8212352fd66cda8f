"""Paths of Windows: drives, backslashes, shares, and a semicolon between folders.

No Windows is at hand. A Python of this system uses ``ntpath`` instead, which is what ``os.path`` is
on Windows. So this shows how paths are put together and taken apart, and nothing else.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from programs import BOOTSTRAP, IMPORT_PATH, clean_environment, python
from tlsfloor.verifier import find

#: What makes this Python take paths for those of Windows, after it has started.
AS_ON_WINDOWS = f"""
import argparse, contextlib, io, json, ntpath, os, shutil, subprocess, sys, tempfile
sys.path.insert(0, {IMPORT_PATH!r})
os.path = sys.modules["os.path"] = ntpath
os.sep, os.altsep, os.pathsep, os.name, sys.platform = "\\\\", "/", ";", "nt", "win32"
"""


def on_windows(program: str) -> Any:
    """Return what the last line of a program prints, as JSON."""
    done = python("-I", "-S", "-c", AS_ON_WINDOWS + program, env=clean_environment())
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_children_get_the_folders_that_were_on_the_path() -> None:
    program = r"""
from tlsfloor import policy
policy.BOOTSTRAP = r"C:\Python\Lib\site-packages\tlsfloor\bootstrap"
print(json.dumps(policy.for_children({"PYTHONPATH": r"C:\app;D:\lib;\\host\share\lib"}, 0x303)))
"""
    assert on_windows(program) == {
        "TLSFLOOR": "1.2",
        "PYTHONPATH": r"C:\Python\Lib\site-packages\tlsfloor\bootstrap;"
        r"C:\app;D:\lib;\\host\share\lib",
    }


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        (r"D:\logs\events.jsonl", True),
        (r"\\host\share\events.jsonl", True),
        ("D:/logs/events.jsonl", True),
        (r"logs\events.jsonl", False),
    ],
)
def test_only_a_relative_path_is_made_absolute(path: str, stays: bool) -> None:
    program = f"""
from tlsfloor import policy
variables = {{policy.EVENTS: {path!r}}}
policy.resolve_paths(variables)
print(json.dumps(variables[policy.EVENTS]))
"""
    found = on_windows(program)
    assert (found == path) is stays
    assert found.endswith(path)


@pytest.mark.parametrize(
    ("path", "lazy"),
    [
        (r"C:\tlsfloor\bootstrap", True),
        (r"C:\tlsfloor\bootstrap;D:\lib", True),
        (r"\\host\share\bootstrap;", True),
        (r"C:\tlsfloor\bootstrap;lib", False),  # children in other folders have to find it
    ],
)
def test_a_start_with_absolute_folders_loads_nothing_of_tlsfloor(path: str, lazy: bool) -> None:
    program = f"""
file = {BOOTSTRAP!r} + "/sitecustomize.py"
os.environ["PYTHONPATH"] = {path!r}
exec(compile(open(file).read(), file, "exec"), {{"__name__": "sitecustomize", "__file__": file}})
print(json.dumps("tlsfloor.arm" not in sys.modules))
"""
    assert on_windows(program) is lazy


@pytest.mark.parametrize(
    ("library", "row"),
    [
        (r"C:\Python\Lib\site-packages\pycurl.libs\libcurl-9482.dll", "pycurl._pycurl"),
        (r"C:\app\Lib\site-packages\psycopg2_binary.libs\libssl-3-x64-e8b9.dll", "psycopg2"),
        (r"C:\Python\DLLs\_ssl.pyd", "ssl"),
        (r"C:\Windows\System32\stranger.dll", ""),
    ],
)
def test_a_library_belongs_to_the_package_in_its_path(library: str, row: str) -> None:
    program = f"""
from tlsfloor.stacks import _coverage
print(json.dumps(_coverage.row_of_library({library!r})))
"""
    assert on_windows(program) == row


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/opt/tlsfloor", "/opt/tlsfloor/tlsfloor/bootstrap"),  # for a container
        (r"D:\opt", r"D:\opt\tlsfloor\bootstrap"),
    ],
)
def test_the_lines_for_an_environment_have_the_path_of_where_they_are_for(
    path: str, folder: str
) -> None:
    program = f"""
from tlsfloor.cli import env
arguments = argparse.Namespace(path={path!r}, floor="1.2", format="k8s", on_error=None)
with contextlib.redirect_stdout(io.StringIO()) as printed:
    env.run(arguments)
print(json.dumps(printed.getvalue()))
"""
    assert f"value: {json.dumps(folder)}\n" in on_windows(program)


@pytest.mark.parametrize("name", ["python.exe", "python3.exe", "python3.13t.exe", "pypy3.10.exe"])
def test_a_program_of_windows_has_the_name_of_an_interpreter(name: str) -> None:
    assert find.NAMES.fullmatch(name)
    assert not find.NAMES.fullmatch(f"{name}.config")
