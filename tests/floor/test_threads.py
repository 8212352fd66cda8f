"""Threads: no race gives the program a connection below the floor."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from pathlib import Path

import pytest

from programs import BOOTSTRAP, ROUTES, clean_environment, drive, python
from tlsfloor.peers import handshakes
from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.versions import TLS1_0, TLS1_2, TLS1_3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds of trying, which are some hundred connections.
SECONDS = 2

REFUSED = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION")


@pytest.fixture(scope="module")
def ladder() -> Iterator[list[ServerPeer]]:
    """Peers of TLS 1.0, 1.2 and 1.3."""
    with ServerPeer(TLS1_0) as oldest, ServerPeer(TLS1_2) as middle, ServerPeer(TLS1_3) as newest:
        yield [oldest, middle, newest]


def crowd(ladder: list[ServerPeer], route: str, floor: str, floors: list[str]) -> dict[str, int]:
    job = {
        "ports": [peer.port for peer in ladder],
        "ca": handshakes.CA_FILE,
        "seconds": SECONDS,
        "floors": floors,
    }
    told = drive("crowd", route, floor, job)
    assert told["faults"] == []
    assert told["alive"] == 0
    outcomes: dict[str, int] = told["outcomes"]
    return outcomes


def test_sixteen_threads_reach_everything_without_a_floor(ladder: list[ServerPeer]) -> None:
    """The control of the next two tests."""
    assert crowd(ladder, "none", "", []).keys() == {"TLSv1", "TLSv1.2", "TLSv1.3"}


@pytest.mark.parametrize("route", ROUTES)
def test_sixteen_threads_reach_nothing_below_while_others_arm(
    ladder: list[ServerPeer], route: str
) -> None:
    """The floor is 1.2, and four threads arm it again and again."""
    outcomes = crowd(ladder, route, "1.2", ["1.2"])
    assert outcomes.pop("TLSv1.2") > 0
    assert outcomes.pop("TLSv1.3") > 0
    assert outcomes, "nobody tried TLS 1.0"
    assert outcomes.keys() <= set(REFUSED)


def test_a_floor_can_rise_while_sixteen_threads_connect(ladder: list[ServerPeer]) -> None:
    """The floor is 1.2 first, and 1.3 is armed while they connect."""
    outcomes = crowd(ladder, "early", "1.2", ["1.2", "1.3"])
    assert "TLSv1" not in outcomes
    assert outcomes.pop("TLSv1.3") > 0
    # Some may have been faster than the first call.
    outcomes.pop("TLSv1.2", 0)
    assert outcomes.keys() <= set(REFUSED)
    before = sum(seen.version is not None for seen in ladder[1].seen)
    assert crowd(ladder[1:2], "early", "1.3", ["1.2"]).keys() <= set(REFUSED)
    assert sum(seen.version is not None for seen in ladder[1].seen) == before


@pytest.mark.parametrize("use", ["by_socket", "by_socket_later", "by_bio", "by_writing"])
def test_a_context_that_another_thread_lowers_gets_no_less(
    ladder: list[ServerPeer], use: str
) -> None:
    """Two threads lower it continually, and four connect with it."""
    job = {"port": ladder[0].port, "ca": handshakes.CA_FILE, "use": use, "seconds": 2}
    assert drive("hammer", "none", "", job).keys() == {"TLSv1"}
    before = sum(seen.version is not None for seen in ladder[0].seen)
    for route in ROUTES:
        assert drive("hammer", route, "1.2", job).keys() == {"SSLError"}, route
    assert sum(seen.version is not None for seen in ladder[0].seen) == before


def test_an_earlier_tls_object_is_refused_when_it_connects() -> None:
    """Its bounds were copied earlier. Its handshake is explicit, or happens in a read or write."""
    ways = ("do_handshake", "write", "read")
    with ServerPeer(TLS1_0) as peer:
        job = {"port": peer.port, "ca": handshakes.CA_FILE}
        without = drive("born_before", "none", "", job)
        assert [without[way] for way in ways] == ["TLSv1"] * 3
        assert [without[f"{way} afterwards"] for way in ways] == ["sent"] * 3
        del peer.seen[:]
        told = drive("born_before", "late", "1.2", job)
        assert [told[way] for way in ways] == ["UNSUPPORTED_PROTOCOL"] * 3
        assert "sent" not in told.values()
        # The peer saw handshakes, and nothing of what was to be said.
        assert [seen.data for seen in peer.seen] == [b""] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="free-threaded CPython 3.13 itself hangs in a child that was forked amid a collection",
)
@pytest.mark.skipif(
    sys.implementation.name == "pypy",
    reason="PyPy takes the lock of a module at each import of it, and a fork may leave it held",
)
@pytest.mark.parametrize("route", ["early", "PYTHONPATH"])
def test_a_fork_during_arming_leaves_a_child_that_can_arm(route: str) -> None:
    outcomes = drive("forks", route, "1.2", {"children": 100})
    assert outcomes == [0] * 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="free-threaded CPython 3.13 itself hangs in a child that was forked amid a collection",
)
@pytest.mark.skipif(
    sys.implementation.name == "pypy",
    reason="PyPy takes the lock of a module at each import of it, and a fork may leave it held",
)
@pytest.mark.parametrize(("hold", "children"), [(True, 1), (False, 100)], ids=["held", "amid"])
def test_a_fork_during_connections_leaves_a_child_that_can_connect(
    hold: bool, children: int, tmp_path: Path
) -> None:
    """First while another thread holds every lock of tlsfloor, then at random moments."""
    file = tmp_path / "exemptions.toml"
    file.write_text(
        '[[exemption]]\nhost = "old.example.com"\nminimum = "1.0"\nreason = "a test"\n'
        "expires = 2999-12-31\n"
    )
    more = {"TLSFLOOR_EXEMPTIONS": str(file), "TLSFLOOR_EVENTS": str(tmp_path / "events.jsonl")}
    job = {"hold": hold, "children": children}
    known, outcomes = drive("forks_amid", "PYTHONPATH", "1.2", job, **more)
    assert known >= 3, "not every lock was found"
    # A TLS object needs such a lock of OpenSSL (CRYPTO_new_ex_data): one child may hang there. If
    # one of tlsfloor could be held, each child would hang in the first case.
    allowed = {0} if hold else {0, signal.SIGALRM}
    assert set(outcomes) <= allowed
    assert outcomes.count(0) >= children - 1


def test_status_does_not_disturb_other_threads() -> None:
    """It must not access objects under construction, as a walk over all objects would."""
    assert drive("tuples", "none", "", {"seconds": SECONDS}) == [[], TLS1_2]


def test_lowering_does_not_disturb_arming() -> None:
    """An error that one thread causes must not look like a failure of OpenSSL in another."""
    assert drive("clamps", "early", "1.2", {"seconds": 2 * SECONDS}) == [[], [TLS1_2]]


SLOWLY = """
import sys, threading, time, tlsfloor
from importlib.machinery import SourceFileLoader
tlsfloor.enforce("1.3")
import ssl
load, slow = SourceFileLoader.get_code, []

def get_code(self, name):
    if name in ("tlsfloor.stacks._connections", "tlsfloor.stacks._contexts"):
        slow.append(name)
        time.sleep(0.5)  # in sys.modules it is by now
    return load(self, name)

def work():
    made.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).minimum_version)

SourceFileLoader.get_code = get_code
made = []
threads = [threading.Thread(target=work) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
assert slow
assert made == [ssl.TLSVersion.TLSv1_3] * 4, made
"""


def test_several_threads_may_create_the_first_contexts() -> None:
    """The first thread loads a module that the others need, too."""
    done = python("-c", SLOWLY, env=clean_environment(PYTHONPATH=str(Path(BOOTSTRAP).parents[1])))
    assert (done.returncode, done.stderr) == (0, "")


IN_A_BIRTH = """
import ssl, sys, threading, time, tlsfloor, warnings

def born():
    holder = ssl.SSLObject.__new__(ssl.SSLObject)
    real = context._wrap_bio(ssl.MemoryBIO(), client, server_side=False, owner=holder)
    begun.set()
    time.sleep(0.05)  # another thread gets its turn here, as it may after every call
    holder._sslobj = real
    holders.append(holder)

def lowest():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = 0x301
    return context

warnings.simplefilter("ignore")
context, client, holders, begun = lowest(), ssl.MemoryBIO(), [], threading.Event()
thread = threading.Thread(target=born)
thread.start()
begun.wait()
if len(sys.argv) > 1:
    tlsfloor.enforce("1.2")
thread.join()
print(type(holders[0]._sslobj).__name__)
"""


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="its TLS objects are of Python")
def test_a_tls_object_that_another_thread_is_creating_is_found() -> None:
    """Arming waits until the holder of the object has it, because it is found there."""
    env = clean_environment(PYTHONPATH=str(Path(BOOTSTRAP).parents[1]))
    said = [python("-c", IN_A_BIRTH, *more, env=env).stdout for more in ((), ("armed",))]
    assert said == ["_SSLSocket\n", "Unproven\n"]
