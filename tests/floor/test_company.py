"""The floor beside those who change ``ssl`` themselves: gevent, eventlet, truststore, uvloop.

Each in every order: before the floor is armed, after it, and without changing anything. Each is
told to accept everything, and reaches every peer without the floor.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import parts
from programs import BOOTSTRAP, IMPORT_PATH, ROUTES, assert_held, clean_environment, python


every_floor = pytest.mark.parametrize("floor", ["1.2", "1.3"])
every_route = pytest.mark.parametrize("route", ROUTES)


@every_floor
@every_route
@pytest.mark.parametrize("patch", ["first", "later", "never", "original"])
def test_gevent(patch: str, route: str, floor: str) -> None:
    parts.need("gevent")
    assert_held("company_gevent", route, floor, patch=patch)


@every_floor
@every_route
@pytest.mark.parametrize("patch", ["first", "later", "never", "original"])
def test_eventlet(patch: str, route: str, floor: str) -> None:
    parts.need("eventlet")
    assert_held("company_eventlet", route, floor, patch=patch)


@every_floor
@every_route
@pytest.mark.parametrize("inject", ["first", "later", "never"])
def test_truststore(inject: str, route: str, floor: str) -> None:
    parts.need("truststore", since=(3, 10))
    assert_held("company_truststore", route, floor, inject=inject)


@every_floor
@every_route
def test_uvloop(route: str, floor: str) -> None:
    parts.need("uvloop")
    assert_held("company_uvloop", route, floor)


ARM = "import tlsfloor; tlsfloor.enforce('1.2')"


def run(tmp_path: Path, route: str, program: str, *args: str) -> tuple[int, str, str]:
    """Run a program unarmed (``none``) or armed by a route; EARLY and LATE are the places."""
    for place in ("EARLY", "LATE"):
        program = program.replace(place, ARM if route == place.lower() else "")
    file = tmp_path / "program.py"
    file.write_text(program)
    path = [BOOTSTRAP, IMPORT_PATH] if route == "PYTHONPATH" else [IMPORT_PATH]
    # gevent prints sets: the same seed, the same order.
    env = clean_environment(PYTHONPATH=os.pathsep.join(path), PYTHONHASHSEED="0")
    done = python(*args, str(file), env=env)
    return done.returncode, done.stdout, re.sub("0x[0-9a-f]+", "0x...", done.stderr)


LATE_PATCH = """EARLY
import ssl
{import_}
class Own(ssl.SSLContext):
    pass
LATE
import gevent.monkey
gevent.monkey.patch_all()
print("patched", ssl.SSLContext.__module__)
"""


@every_route
@pytest.mark.parametrize("import_", ["", "import urllib3", "import asyncio, http.client"])
def test_gevent_has_the_same_warnings_when_it_patches_late(
    tmp_path: Path, route: str, import_: str
) -> None:
    """gevent searches for modules that refer to the class, and warns of the same ones."""
    parts.need("gevent", "urllib3")
    program = LATE_PATCH.replace("{import_}", import_)
    without = run(tmp_path, "none", program, "-Walways")
    assert without[:2] == (0, "patched gevent.ssl\n")
    assert (
        "MonkeyPatchWarning: Monkey-patching ssl after ssl has already been imported" in without[2]
    )
    assert run(tmp_path, route, program, "-Walways") == without


PATCH_FIRST = """EARLY
import gevent.monkey
gevent.monkey.patch_all()
LATE
import ssl
print("patched", ssl.SSLContext.__module__)
"""


@every_route
def test_gevent_has_no_warnings_when_it_patches_first(tmp_path: Path, route: str) -> None:
    """Arming does not import ``ssl``, so gevent can still patch before the import."""
    parts.need("gevent")
    assert run(tmp_path, "none", PATCH_FIRST, "-Walways") == (0, "patched gevent.ssl\n", "")
    assert run(tmp_path, route, PATCH_FIRST, "-Walways") == (0, "patched gevent.ssl\n", "")


RECURSION = """EARLY
import ssl, warnings
warnings.simplefilter("ignore")
old = ssl.create_default_context()
LATE
{change}
try:
    old.minimum_version = 0x301
    print("minimum", int(old.minimum_version))
except RecursionError:
    print("RecursionError")
"""

CHANGES = {
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "truststore": "import truststore; truststore.inject_into_ssl()",
}


@every_route
@pytest.mark.parametrize("module", CHANGES)
def test_an_earlier_context_works_as_without_the_floor(
    tmp_path: Path, route: str, module: str
) -> None:
    """gevent/gevent#1016, eventlet/eventlet#726, sethmlarson/truststore#94: CPython's recurses."""
    parts.need(module, since=(3, 10) if module == "truststore" else (3, 8))
    program = RECURSION.replace("{change}", CHANGES[module])
    assert run(tmp_path, "none", program)[1] == "RecursionError\n"
    assert run(tmp_path, route, program)[1] == "RecursionError\n"


BOTH = """EARLY
import truststore
import warnings
warnings.simplefilter("ignore")
{first}
{second}
LATE
import ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = 0x301
print("minimum", int(context.minimum_version) if ARMED else 771)
try:
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
except RecursionError:
    print("RecursionError")
print("raised", int(context.minimum_version) if ARMED else 771)
"""


@every_route
@pytest.mark.parametrize("order", ["gevent first", "truststore first"])
def test_gevent_and_truststore_together(tmp_path: Path, route: str, order: str) -> None:
    """In either order, what is used is at the floor (truststore#214, gevent/gevent#2178).

    truststore's setter goes past the gate of change: its context shows the floor from its use on.
    """
    parts.need("gevent", "truststore", since=(3, 10))
    lines = [CHANGES["gevent"], CHANGES["truststore"]]
    if order == "truststore first":
        lines.reverse()
    program = BOTH.replace("{first}", lines[0]).replace("{second}", lines[1])
    without = run(tmp_path, "none", program.replace("ARMED", "True"))
    said = run(tmp_path, route, program.replace("ARMED", "True"))
    assert said[0] == without[0], said[2]
    if without[0] == 0:
        assert without[1].splitlines()[0] == "minimum 769"
        assert said[1].splitlines()[-1] == "raised 771"
        assert "RecursionError" not in said[1]
