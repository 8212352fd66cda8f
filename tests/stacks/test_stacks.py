"""The same cases for every TLS stack but ``ssl``: no program of it gets below the floor.

A program is a file ``programs/stack_*.py``, and is collected by being there. It says what it is in
constants, which are read and not executed:

* ``STACK``: the guard that it shows, a file of ``tlsfloor/stacks/``;
* ``ROW``: the row of ``TABLE``, where the guard has several that are different stacks;
* ``NEEDS``: the modules that it imports;
* ``ROLE``: ``"client"`` unless given, or ``"server"``;
* ``OUT_OF_REACH``: the peers, such as ``"1.0 ecdhe"``, that it cannot reach without a floor;
* ``REFUSED``: the floors at which its stack is refused where TLS would begin, whatever the peer;
* ``UNCOVERED``: the floors at which nothing covers its stack: it must be refused there;
* ``PEER``: a name of ``peers.PROTOCOLS``: what its peer speaks before TLS and within it.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
from importlib import metadata
from pathlib import Path
from typing import Any, TYPE_CHECKING

import pytest

import peers
from peers import LADDER, call
from programs import (
    COMPLETED,
    TESTS,
    armed_environment,
    assert_held,
    clean_environment,
    python,
    reach,
    serving_program,
)
from parts import leave_out, need
from tlsfloor.stacks import COVERED, TABLE
from tlsfloor.stacks._coverage import ABOUT
from tlsfloor.versions import FLOORS

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = sorted(path.stem for path in TESTS.glob("programs/stack_*.py"))

#: Guards that change nothing in a stack, or whose stack is not that module's.
NO_GATES = ("stdlib", "urllib3", "aioquic")

NONE: tuple[str, ...] = ()
DEFAULTS = {
    "ROW": "",
    "ROLE": "client",
    "OUT_OF_REACH": NONE,
    "UNCOVERED": NONE,
    "REFUSED": NONE,
    "PEER": "",
}


def constants(name: str) -> dict[str, Any]:
    """Return the constants of a program."""
    found: dict[str, Any] = dict(DEFAULTS)
    for node in ast.parse((TESTS / "programs" / f"{name}.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id in {"STACK", "NEEDS", *DEFAULTS}:
                found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def guard_of(row: str) -> str:
    return TABLE[row].rpartition(".")[2]


def tried(modules: tuple[str, ...]) -> str:
    """Return the installed distributions of these modules, with versions."""
    known = getattr(metadata, "packages_distributions", dict)()  # since Python 3.10
    names = {known.get(module.split(".")[0], [module])[0] for module in modules}
    found = {f"{each.metadata['Name']} {each.version}" for each in map(distribution, names) if each}
    return ", ".join(sorted(found, key=str.lower))


def distribution(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def served(name: str, route: str, floor: str) -> dict[str, str]:
    """Return the version that each client of the ladder negotiated with a server."""
    with serving_program(name, route, floor) as server:
        return {peer: call(server.port, peer) for peer in LADDER}


@pytest.mark.parametrize("name", PROGRAMS)
# An early call is like PYTHONPATH. Where a gate is put does not depend on the floor.
@pytest.mark.parametrize(("route", "floor"), [("late", "1.2"), ("PYTHONPATH", "1.3")])
def test_nothing_of_a_stack_gets_below_the_floor(
    name: str, route: str, floor: str, record_property: Callable[[str, str], None]
) -> None:
    about = constants(name)
    need(*about["NEEDS"])
    # For the table in the documentation: docs/coverage_tables.py reads it from the results.
    record_property("program", name)
    record_property(
        "row", about["ROW"] or next(row for row in ABOUT if guard_of(row) == about["STACK"])
    )
    record_property("tried", tried(about["NEEDS"]))
    options = peers.PROTOCOLS[about["PEER"]] if about["PEER"] else {}
    if floor in about["UNCOVERED"]:
        assert_refused(name, route, floor, options)
    elif floor in about["REFUSED"]:
        assert_refused_at_use(name, route, floor, options, about["OUT_OF_REACH"])
    elif about["ROLE"] == "client":
        out_of_reach = about["OUT_OF_REACH"]
        assert_held(
            name, route, floor, out_of_reach=out_of_reach, peer_options=options, worded=False
        )
    else:
        without = served(name, "none", "")
        reached = {peer for peer, got in without.items() if got.startswith("TLSv")}
        assert reached == set(LADDER) - set(about["OUT_OF_REACH"]), without
        for peer, got in served(name, route, floor).items():
            allowed = peer in reached and FLOORS[peer.split()[0]] >= FLOORS[floor]
            assert got.startswith("TLSv") == allowed, (peer, got)


def assert_refused(name: str, route: str, floor: str, options: dict[str, Any]) -> None:
    """Assert that a program cannot import its stack, or cannot arm the floor after the import."""
    without = reach(name, "none", "", options)
    assert FLOORS.keys() & set(without.values()), without
    try:
        told = reach(name, route, floor, options)
    except AssertionError as error:  # it ended
        assert " is uncovered: " in str(error)
        return
    # Polars goes on without its library, and fails at whatever it is asked for.
    assert route != "late"
    assert not any(each in FLOORS or each.startswith(COMPLETED) for each in told.values()), told


@functools.lru_cache(maxsize=None)
def without_floor(name: str) -> dict[str, str]:
    peer = constants(name)["PEER"]
    return reach(name, "none", "", peers.PROTOCOLS[peer] if peer else {})


def assert_refused_at_use(
    name: str, route: str, floor: str, options: dict[str, Any], out_of_reach: tuple[str, ...]
) -> None:
    """Assert that a program is refused when it would begin TLS, with the reason in the error."""
    without = without_floor(name)
    reached = {peer for peer, got in without.items() if got in FLOORS or got.startswith(COMPLETED)}
    assert reached == set(LADDER) - set(out_of_reach), without
    for peer, got in reach(name, route, floor, options).items():
        assert f", and the floor is {floor}, set by " in got, (peer, got)
        assert not got.startswith(COMPLETED), (peer, got)


def test_every_row_of_the_table_is_shown_by_a_program() -> None:
    guards = {guard_of(row) for row in TABLE} - {"stdlib", "urllib3", "aioquic", "subinterpreters"}
    assert guards == {constants(name)["STACK"] for name in PROGRAMS}


CLAIM = "import json, sys, tlsfloor, {0}; print(json.dumps(tlsfloor.status().stacks))"


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("row", sorted(ABOUT))
def test_a_guard_returns_the_coverage_that_its_row_states(row: str, floor: str) -> None:
    if row.startswith("_polars_runtime"):
        need("polars")
    if row.startswith("_polars_runtime") and not installed(row):
        pytest.skip("Polars brings one runtime of three, or its own")
    need(row.split(".", maxsplit=1)[0])
    claimed = ABOUT[row][2][floor]
    done = python("-c", CLAIM.format(row), env=armed_environment(floor))
    if row == "polars.polars" and "ModuleNotFoundError" in done.stderr:
        pytest.skip("this Polars brings a runtime of its own")
    if claimed == "uncovered":
        assert done.returncode == 1
        assert f"{row} is uncovered: " in done.stderr
    else:
        assert json.loads(done.stdout)[row] == claimed, done.stderr


#: The rows whose guards do something to their stacks.
GUARDED = sorted(row for row in TABLE if guard_of(row) not in NO_GATES)


@pytest.mark.parametrize("row", GUARDED)
@pytest.mark.parametrize(
    ("outcome", "status", "printed"),
    [("block", 1, "ssl\n"), ("abort", 78, "ssl\n"), ("warn", 0, "ssl\nstack\n")],
)
def test_a_version_that_a_guard_does_not_fit_is_a_failure_of_that_stack_alone(
    tmp_path: Path, row: str, outcome: str, status: int, printed: str
) -> None:
    """A future version, in which every name of the module is a different one."""
    folder = tmp_path
    for package in row.split(".")[:-1]:
        folder /= package
        folder.mkdir()
        (folder / "__init__.py").touch()
    (folder / f"{row.rsplit('.', maxsplit=1)[-1]}.py").touch()
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import ssl
ssl.create_default_context()
print("ssl", flush=True)
import {row}
print("stack")
"""
    assert python("-c", program, env=clean_environment()).stdout == "ssl\nstack\n"
    done = python("-c", program, env=armed_environment("1.3", TLSFLOOR_ON_ERROR=outcome))
    assert done.returncode == status, done.stderr
    assert done.stdout == printed
    assert "tlsfloor: error: " in done.stderr
    assert ("ImportError: tlsfloor: error: " in done.stderr) == (outcome == "block")


STATES = "import json, tlsfloor; print(json.dumps(tlsfloor.status().stacks))"


def states(program: str, **more: str) -> dict[str, str]:
    done = python("-c", f"{program}\n{STATES}", env=armed_environment(**more))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


TOGETHER = """
import importlib, threading
found = []
start = threading.Barrier(len(ROWS) * 2)

def load(name):
    start.wait()
    try:
        importlib.import_module(name)
    except BaseException as error:
        found.append(repr(error))

threads = [threading.Thread(target=load, args=(name,)) for name in ROWS * 2]
for each in threads:
    each.start()
for each in threads:
    each.join(60)
assert not any(each.is_alive() for each in threads), "threads wait for each other"
assert not found, found
"""


@pytest.mark.parametrize("attempt", range(3))
def test_stacks_that_are_imported_by_many_threads_at_once_are_all_guarded(attempt: int) -> None:
    """Guards import modules too, and must not wait for each other's imports."""
    # Not a package beside its own module: CPython itself may find a deadlock there.
    packages = {row.rpartition(".")[0] for row in GUARDED}
    packages.add("polars.polars")  # of older versions
    rows = [row for row in GUARDED if installed(row) and row not in packages]
    if len(rows) < 2:
        leave_out("two TLS stacks", "there are fewer than two; hint: the extra stacks has them")
    found = states(f"ROWS = {['ssl', *rows]}\n{TOGETHER}")
    assert {found[row] for row in ("ssl", *rows)} <= set(COVERED)


def installed(row: str) -> bool:
    return importlib.util.find_spec(row.split(".", maxsplit=1)[0]) is not None


AGAIN = """
import importlib, sys
module = importlib.import_module(ROW)
importlib.reload(module)
for name in [name for name in sys.modules if name.split(".")[0] == ROW.split(".")[0]]:
    del sys.modules[name]
importlib.import_module(ROW)
"""


@pytest.mark.parametrize("row", ["OpenSSL.SSL", "awscrt.s3", "psycopg", "psycopg2"])
def test_a_stack_that_is_imported_again_is_guarded_again(row: str) -> None:
    need(row.split(".", maxsplit=1)[0])
    assert states(f"ROW = {row!r}\n{AGAIN}")[row] == "guarded"


def test_a_stack_whose_import_fails_half_way_is_guarded_when_it_succeeds(tmp_path: Path) -> None:
    need("OpenSSL")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
try:
    import OpenSSL.SSL
except RuntimeError as error:
    assert str(error) == "half-way"
else:
    raise SystemExit("it succeeded")
import json, tlsfloor
assert "OpenSSL.SSL" not in tlsfloor.status().stacks
del sys.path[0]
for name in [name for name in sys.modules if name.startswith("OpenSSL")]:
    del sys.modules[name]
import OpenSSL.SSL
"""
    (tmp_path / "OpenSSL").mkdir()
    (tmp_path / "OpenSSL" / "__init__.py").touch()
    (tmp_path / "OpenSSL" / "SSL.py").write_text(
        "class Context: pass\nraise RuntimeError('half-way')"
    )
    assert states(program)["OpenSSL.SSL"] == "guarded"


def test_a_process_without_a_stack_lists_none() -> None:
    assert states("").keys() == {"ssl"} - {"ssl"}


def test_a_stack_whose_guard_cannot_be_imported_is_refused_and_says_why() -> None:
    need("psycopg2")
    program = "import sys, ssl; sys.modules['tlsfloor.stacks._libpq'] = None; import psycopg2"
    done = python("-c", program, env=armed_environment())
    assert done.returncode == 1
    assert "error: psycopg2 cannot be held: its guard cannot be imported: " in done.stderr
    assert "import tlsfloor.stacks.psycopg2' to see where it fails" in done.stderr


def test_a_stack_that_is_imported_in_a_circle_is_guarded(tmp_path: Path) -> None:
    need("psycopg2")
    (tmp_path / "first.py").write_text("import second\nimport psycopg2.extensions\n")
    (tmp_path / "second.py").write_text("import first\nimport psycopg2\nimport first\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import first"
    assert states(program)["psycopg2"] == "guarded"


def test_no_guard_is_imported_before_its_stack() -> None:
    program = "import sys, ssl; ssl.create_default_context(); print(*sys.modules)"
    loaded = set(python("-c", program, env=armed_environment()).stdout.split())
    others = {guard for guard in TABLE.values() if guard != "tlsfloor.stacks.stdlib"}
    assert "tlsfloor.stacks.stdlib" in loaded
    assert not loaded & {*others, "ctypes"}


def test_a_stack_is_named_by_its_spec() -> None:
    """CPython gives an extension that two threads import at once a wrong ``__name__``."""
    need("psycopg2")
    program = "import psycopg2, tlsfloor.arm; psycopg2.__name__ = 'other'; "
    assert states(f"{program} tlsfloor.arm.guard_module(psycopg2)")["psycopg2"] == "guarded"
