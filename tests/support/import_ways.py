"""Every way of loading ``ssl`` that ``programs/hooked.py`` has, tried against a peer of TLS 1.0.

Each way is a process of its own. Without a floor it must connect, and only then does its refusal
with one prove anything.
"""

from __future__ import annotations

import ast
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from programs import BOOTSTRAP, IMPORT_PATH, PROGRAMS, clean_environment, python

WAYS_PROGRAM = PROGRAMS / "hooked.py"
#: Arms the floor by a call.
CALL = "import tlsfloor; tlsfloor.enforce('1.2')"

#: Every way of the program: its functions without parameters.
WAYS = [
    node.name
    for node in ast.parse(WAYS_PROGRAM.read_text()).body
    if isinstance(node, ast.FunctionDef) and not (node.args.args or node.args.vararg)
]


def _run(way: str, port: str, route: str, tmp_path: Path, executable: str = sys.executable) -> str:
    """Load ssl in one way under a route; return the output."""
    program, env = str(WAYS_PROGRAM), clean_environment()
    if route == "PYTHONPATH":
        env["PYTHONPATH"] = BOOTSTRAP
    elif route in ("early", "late"):
        env["PYTHONPATH"] = IMPORT_PATH
        first = CALL if route == "early" else f"import ssl\n{CALL}"
        program = str(tmp_path / f"{route}-{way}.py")
        text = WAYS_PROGRAM.read_text().partition('"""\n\n')
        Path(program).write_text(f"{first}\n{text[2]}")
    done = python(program, way, port, env=env, executable=executable)
    assert done.returncode == 0, done.stderr
    assert "tlsfloor" not in done.stderr, done.stderr
    return done.stdout.strip()


def assert_no_way_around(
    port: str, route: str, tmp_path: Path, executable: str, control: str | None = None
) -> None:
    """Assert that no way gets below the floor, and that each did so without one."""

    def results(way: str) -> tuple[str, str]:
        without = _run(way, port, "none", tmp_path, control or executable)
        return without, _run(way, port, route, tmp_path, executable)

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(WAYS, pool.map(results, WAYS)))
    here = {way: both for way, both in found.items() if not both[0].startswith("not here: ")}
    wrong = {
        way: both
        for way, both in here.items()
        if both[0] != "TLSv1" or not both[1].startswith("refused: ")
    }
    assert wrong == {}
    # What this Python lacks fails in the same way with the floor.
    others = {way: both for way, both in found.items() if way not in here}
    assert {way for way, both in others.items() if not both[1].startswith("not here: ")} == set()
    assert len(here) > 15
