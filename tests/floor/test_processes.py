"""Children: what a process starts is held too, as far as the route reaches.

* PYTHONPATH reaches every child that starts Python with this environment, and sub-interpreters.
* A call reaches what is forked from its process. A spawned child imports the main module again: a
  call at its module level reaches it, one below ``if __name__ == "__main__":`` does not.
* A call reaches no program that is started by ``subprocess`` and no sub-interpreter: only the
  environment does, and ``children=True`` writes it. ``status()`` of such a child claims no floor.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys

import pytest

from programs import BOOTSTRAP, IMPORT_PATH, PROGRAMS, clean_environment, python
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


UNHELD = ["TLSv1", None]
HELD = ["TLSV1_ALERT_PROTOCOL_VERSION", "1.2"]

STARTED = ["spawn", "forkserver", "executor spawn", "executor forkserver"]
FORKED = ["os.fork", "fork", "executor fork"]
METHODS = multiprocessing.get_all_start_methods()
KINDS = [
    kind
    for kind in [*STARTED, *FORKED]
    if kind.split()[-1] in METHODS or (kind == "os.fork" and hasattr(os, "fork"))
]


@pytest.fixture(scope="module")
def ends() -> Iterator[list[str]]:
    with handshakes.ServerPeer(TLS1_0) as peer:
        yield [str(peer.port), handshakes.CA_FILE]


def child_of(kind: str, where: str, ends: list[str], **env: str) -> list[str | None]:
    """Run a program that arms (or not) and makes a child; return what the child got, and claims."""
    program = str(PROGRAMS / "parent.py")
    path = [env.pop("PYTHONPATH")] if "PYTHONPATH" in env else []
    env = clean_environment(PYTHONPATH=os.pathsep.join([*path, IMPORT_PATH]), **env)
    done = python(program, kind, where, *ends, env=env)
    assert done.returncode == 0, done.stderr
    told: list[str | None] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("kind", [*KINDS, "subprocess"])
def test_a_child_is_held_if_the_environment_arms(kind: str, ends: list[str]) -> None:
    assert child_of(kind, "nowhere", ends) == UNHELD
    assert child_of(kind, "nowhere", ends, PYTHONPATH=BOOTSTRAP) == HELD


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_is_held_if_the_main_module_arms(kind: str, ends: list[str]) -> None:
    assert child_of(kind, "module", ends) == HELD


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_below_main_reaches_only_what_is_forked(kind: str, ends: list[str]) -> None:
    """In other children ``status()`` shows that nothing is armed."""
    assert child_of(kind, "main", ends) == (HELD if kind in FORKED else UNHELD)


@pytest.mark.parametrize("kind", [*KINDS, "subprocess"])
def test_a_call_can_set_the_floor_for_every_child(kind: str, ends: list[str]) -> None:
    assert child_of(kind, "children", ends) == HELD


HANDED = """
import json, os, sys, tlsfloor
for floor in sys.argv[1:]:
    tlsfloor.enforce(floor, children=floor == sys.argv[-1])
found = [os.environ[name] for name in ("TLSFLOOR", "PYTHONPATH")]
print(json.dumps([*found, tlsfloor.status().children]))
"""


def handed(*floors: str, **env: str) -> list[str]:
    """Return the floor and path that children get, and what ``status()`` reports for them."""
    done = python(
        "-c", HANDED, *floors, env=clean_environment(**{"PYTHONPATH": IMPORT_PATH, **env})
    )
    assert (done.returncode, done.stderr) == (0, "")
    told: list[str] = json.loads(done.stdout)
    return told


def test_children_get_the_strictest_floor() -> None:
    route = "if they keep the environment, except with -E, -I or -S"
    both = os.pathsep.join([BOOTSTRAP, IMPORT_PATH])
    assert handed("1.2") == ["1.2", both, f"floor 1.2, {route}"]
    assert handed("1.3", "1.2") == ["1.3", both, f"floor 1.3, {route}"]
    assert handed("1.2", TLS_MIN_VERSION="VersionTLS13")[::2] == ["1.3", f"floor 1.3, {route}"]


def test_children_get_the_floor_even_if_the_environment_is_off() -> None:
    assert handed("1.2", TLSFLOOR="off")[0] == "1.2"


def test_the_folder_comes_first_and_once_in_the_path_of_children() -> None:
    path = os.pathsep.join(["/mine", IMPORT_PATH, BOOTSTRAP])
    assert handed("1.2", PYTHONPATH=path)[1] == os.pathsep.join([BOOTSTRAP, "/mine", IMPORT_PATH])


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, "not armed, unless they are forked; hint: call enforce(..., children=True)"),
        ({"PYTHONPATH": f"{BOOTSTRAP}:{IMPORT_PATH}", "TLSFLOOR": "off"}, "not armed, unless"),
        (
            {"PYTHONPATH": f"{BOOTSTRAP}:{IMPORT_PATH}", "TLSFLOOR": "1.3"},
            "floor 1.3, if they keep",
        ),
    ],
    ids=["nothing", "off", "armed"],
)
def test_status_shows_what_children_would_get(env: dict[str, str], told: str) -> None:
    program = "import tlsfloor; print(tlsfloor.status().children)"
    done = python("-c", program, env=clean_environment(**{"PYTHONPATH": IMPORT_PATH, **env}))
    assert done.stdout.startswith(told), done.stderr


def test_status_shows_that_a_broken_environment_arms_no_child() -> None:
    program = """
import os, tlsfloor
os.environ["TLSFLOOR"] = "nonsense"
print(tlsfloor.status().children)
"""
    env = clean_environment(PYTHONPATH=os.pathsep.join([BOOTSTRAP, IMPORT_PATH]))
    done = python("-c", program, env=env)
    assert done.stdout.startswith("they cannot be armed: TLSFLOOR"), done.stderr


@pytest.mark.parametrize("where", ["module", "main"])
def test_a_call_reaches_no_other_program(where: str, ends: list[str]) -> None:
    assert child_of("subprocess", where, ends) == UNHELD


def test_a_fork_keeps_a_floor_that_its_child_may_raise(ends: list[str]) -> None:
    """The child cannot lower it, and does not change the floor of the parent."""
    program = """
import os, sys, tlsfloor
tlsfloor.enforce("1.2")
child = os.fork()
if child == 0:
    floors = [tlsfloor.enforce("1.0").floor, tlsfloor.enforce("1.3").floor]
    os._exit(0 if floors == ["1.2", "1.3"] else 1)
_, status = os.waitpid(child, 0)
print(status, tlsfloor.status().floor)
"""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    done = python("-c", program, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert done.stdout.split() == ["0", "1.2"], done.stderr


def has_interpreters() -> bool:
    """Tell whether programs can create sub-interpreters with this Python."""
    if sys.version_info >= (3, 13):
        return True
    try:
        import _xxsubinterpreters  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.skipif(not has_interpreters(), reason="this Python has no sub-interpreters")
def test_a_sub_interpreter_is_held_if_the_environment_arms(ends: list[str]) -> None:
    assert child_of("interpreter", "nowhere", ends) == UNHELD
    assert child_of("interpreter", "nowhere", ends, PYTHONPATH=BOOTSTRAP) == HELD


@pytest.mark.skipif(not has_interpreters(), reason="this Python has no sub-interpreters")
def test_a_call_reaches_a_sub_interpreter_that_starts_later(ends: list[str]) -> None:
    """It has its own ``ssl``, and is armed as it is created."""
    assert child_of("interpreter", "nowhere", ends) == UNHELD
    assert child_of("interpreter", "module", ends) == HELD


OTHERS = """
import gc, json, ssl, sys, warnings
warnings.simplefilter("ignore")
try:
    import _interpreters as interpreters
    run = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    run = interpreters.run_string
before = dict(ssl.SSLContext.__dict__)
for _ in range(2):
    other = interpreters.create()
    run(other, "import sys; sys.path[:] = %r" % sys.path)
    run(other, "import ssl, tlsfloor; tlsfloor.enforce('1.3')")
    interpreters.destroy(other)
gc.collect()
now = ssl.SSLContext.__dict__
changed = sorted(name for name in now if before.get(name) is not now[name])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = 0x301
context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
print(json.dumps([changed, int(context.minimum_version)]))
"""


@pytest.mark.skipif(not has_interpreters(), reason="this Python has no sub-interpreters")
@pytest.mark.parametrize("armed", [False, True])
def test_a_sub_interpreter_does_not_affect_the_others(armed: bool) -> None:
    """It starts, arms a higher floor, and ends. (Up to 3.9 all interpreters share the C type.)"""
    path = [BOOTSTRAP, IMPORT_PATH] if armed else [IMPORT_PATH]
    done = python("-c", OTHERS, env=clean_environment(PYTHONPATH=os.pathsep.join(path)))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], 0x303 if armed else 0x301]
