"""Each step of what is done for a connection of ``ssl``: both ends are in one interpreter."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from programs import IMPORT_PATH, clean_environment, python
from tlsfloor.peers import handshakes
from tlsfloor.stacks import _connections

PROLOGUE = """
import functools, socket, ssl, sys, threading, warnings
warnings.simplefilter("ignore")
import tlsfloor
from tlsfloor import events, floor as current
seen = []
def arm(floor, **more):
    tlsfloor.enforce(floor, on_event=None if events.callbacks else seen.append, **more)
    seen.clear()
def context(server, version):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.set_ciphers("ALL:@SECLEVEL=0")
    if server:
        made.load_cert_chain(sys.argv[1])
    else:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = made.maximum_version = version
    return made
class Pair:
    def __init__(self, version, name="localhost", kind=None, server=None):
        one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
        ours = context(False, version)
        if kind:
            ours.sslobject_class = kind
        self.client = ours.wrap_bio(one, other, server_hostname=name)
        self.server = context(True, server or version).wrap_bio(other, one, server_side=True)
        self.left = [self.client.do_handshake, self.server.do_handshake]
    def connect(self):
        while self.left:
            for step in list(self.left):
                try:
                    step()
                    self.left.remove(step)
                except ssl.SSLWantReadError:
                    pass
        return self
def kinds(*facts):
    shakes = [each for each in seen if each["kind"].startswith("handshake")]
    return [tuple(each.get(fact) for fact in facts) for each in shakes]
"""


def run(program: str) -> None:
    """Run a program that asserts what must be true."""
    env = clean_environment(PYTHONPATH=IMPORT_PATH)
    done = python("-c", PROLOGUE + program, handshakes.PEER_FILE, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


in_c = pytest.mark.skipif(sys.implementation.name == "pypy", reason="its TLS objects are of Python")


@in_c
def test_each_handshake_is_reported_once_with_both_modes() -> None:
    run(
        """
arm("1.2")
pair = Pair(0x303).connect()
facts = "kind", "role", "version", "server_name", "mode", "floor", "stack"
assert sorted(kinds(*facts)) == [
    ("handshake", role, "TLS 1.2", name, "enforce", "1.2", "ssl")
    for role, name in (("client", "localhost"), ("server", None))
], seen
assert set(kinds("suite")) == {pair.client.cipher()[:1]}
pair.client.do_handshake()
assert len(kinds()) == 2, seen
arm("1.3", mode="observe")
noted, note = [], events.note
events.note = lambda kind, *args, **facts: (noted.append(kind), note(kind, *args, **facts))
for version, kind in ((0x303, events.BELOW_FLOOR), (0x304, "handshake")):
    noted.clear(), seen.clear()
    Pair(version).connect()
    assert [each for each in noted if each.startswith("handshake")] == [kind] * 2, noted
    assert kinds("mode", "floor", "version") == [
        ("observe", "1.3", f"TLS 1.{version - 0x301}")
    ] * 2, seen
"""
    )


@in_c
def test_an_exempted_handshake_says_why_if_it_used_the_exemption() -> None:
    run(
        """
arm("1.2")
for minimum, why in ((0x303, "old"), (0x304, ""), (0x302, "old")):
    seen.clear()
    pair = Pair(0x303)
    pair.client._tlsfloor_exempt = minimum, "old"
    pair.connect()
    shown = dict(kinds("role", "exempted"))
    assert (shown["client"] or "", shown.get("server") or "") == (why, ""), shown
"""
    )


@in_c
def test_a_warning_is_logged_if_nothing_less_is() -> None:
    run(
        """
import inspect, logging
before = inspect.signature(ssl.SSLObject.do_handshake), ssl.SSLObject.do_handshake.__doc__
records = []
handler = logging.Handler()
handler.emit = records.append
logging.getLogger().addHandler(handler)
tlsfloor.enforce("1.3", mode="observe")
pair = Pair(0x303)
records.clear()
pair.connect()
assert [each.levelname for each in records] == ["WARNING"] * 2, records
method = ssl.SSLObject.do_handshake
assert (inspect.signature(method), method.__doc__) == before
assert (method.__name__, method.__qualname__) == ("do_handshake", "SSLObject.do_handshake")
"""
    )


@in_c
def test_what_holds_a_tls_object_gets_it_back_though_it_is_not_the_owner() -> None:
    """As a socket of gevent."""
    run(
        """
from tlsfloor.stacks._connections import Unproven
class Holder:
    def __init__(self):
        self._sslobj = Unproven(native)
    def do_handshake(self):
        self._sslobj.do_handshake()
    def read(self):
        self._sslobj.read(1)
    def write(self):
        self._sslobj.write(b"x")
    def write_as_pypy(self):
        self._sslobj._write_with_length(b"x", 1)
native = Pair(0x304).connect().client._sslobj
for use in (Holder.do_handshake, Holder.read, Holder.write, Holder.write_as_pypy):
    holder = Holder()
    try:
        use(holder)
    except (AttributeError, ssl.SSLWantReadError):
        pass
    assert holder._sslobj is native, use
"""
    )


@in_c
def test_the_frames_that_are_looked_at_begin_with_the_caller() -> None:
    run(
        """
arm("1.2")
class Transport:
    def get_extra_info(self, name):
        return ("192.0.2.1", 443)
def down(pair, depth):
    return down(pair, depth - 1) if depth else pair.connect()
def carry(depth):
    rawsock = Transport()
    down(Pair(0x304, name=f"host{depth}"), depth)
for depth in range(9):
    carry(depth)
shown = [peer for name, peer in kinds("server_name", "peer") if name]
assert shown == ["192.0.2.1"] * 5 + [None] * 4, shown
"""
    )


@in_c
def test_a_failure_is_explained_from_the_caller_on() -> None:
    run(
        """
from tlsfloor.stacks import _connections
arm("1.2")
explained = []
_connections._explain = lambda error, holder, caller: explained.append((holder, caller))
def attempt(step):
    try:
        step()
    except ssl.SSLWantReadError:
        pass
    except ssl.SSLError as error:
        return error
pair = Pair(0x303, server=0x304)
assert attempt(pair.client.do_handshake) is None
assert attempt(pair.server.do_handshake).reason == "UNSUPPORTED_PROTOCOL"
[(holder, caller)] = explained
assert holder is pair.server and caller.f_code is attempt.__code__
"""
    )


@in_c
def test_a_version_that_nobody_knows_is_below_all() -> None:
    run(
        """
from types import SimpleNamespace as Object
from tlsfloor.stacks import _connections
arm("1.2")
facts = {"server_side": False, "server_hostname": "name", "owner": None}
native = Object(version=lambda: "TLSv9", cipher=lambda: None, do_handshake=lambda: None, **facts)
_connections._note_handshake(object(), native, sys._getframe())
assert kinds("version") == [("0x0000",)], seen
try:
    _connections.Unproven(native).do_handshake()
except tlsfloor.ProtocolRefused as error:
    assert "TLSv9 was negotiated" in str(error)
    assert seen[-1]["version"] == "0x0000", seen
else:
    raise AssertionError
"""
    )


@in_c
def test_a_class_above_reports_instead_of_its_base() -> None:
    run(
        """
arm("1.2")
class Own(ssl.SSLObject):
    def do_handshake(self):
        return super().do_handshake()
plain = Pair(0x304).connect()
seen.clear()
pair = Pair(0x304, kind=Own).connect()
assert sorted(kinds("role")) == [("client",), ("server",)], seen
assert "_tlsfloor" in vars(Own.do_handshake)
mark = Own.do_handshake
Pair(0x304, kind=Own)
assert Own.do_handshake is mark
class Other(ssl.SSLObject):
    do_handshake = functools.partialmethod(ssl.SSLObject.do_handshake)
kept = vars(Other)["do_handshake"]
Pair(0x304, kind=Other).connect()
assert vars(Other)["do_handshake"] is kept
# The owner of a TLS object may be no socket, and refer to its holder.
from tlsfloor.stacks import _connections
class Holder:
    def do_handshake(self):
        pass
class Owner:
    def __init__(self, holder):
        self._sslsock = lambda: holder
plain = Holder.do_handshake
_connections.see(Owner(Holder()))
assert Holder.do_handshake is not plain and Holder.do_handshake._tlsfloor is plain
_connections.see(Owner(None))
"""
    )


@in_c
def test_nothing_is_reported_where_nobody_listens() -> None:
    run(
        """
assert "logging" not in sys.modules
tlsfloor.enforce("1.2")
pair = Pair(0x304).connect()
assert not events._counts
events.callbacks.append(seen.append)
pair.client.do_handshake()  # it was open
assert kinds() == []
Pair(0x304).connect()
assert len(kinds()) == 2
"""
    )


@in_c
def test_a_metric_gets_the_name_or_else_the_address() -> None:
    run(
        """
from tlsfloor.stacks import _connections
tlsfloor.enforce("1.2")
calls = []
events.measure = lambda kind, facts: None
events.count_handshake = lambda *args: calls.append(args)
Pair(0x304).connect()
assert sorted(call[:3] for call in calls) == [
    (0x304, "client", "localhost"), (0x304, "server", None)
], calls
calls.clear()
with socket.create_server(("127.0.0.1", 0)) as listener:
    port = listener.getsockname()[1]
    def serve():
        accepted = listener.accept()[0]
        with context(True, 0x304).wrap_socket(accepted, server_side=True) as tls:
            tls.send(tls.recv(1))
    thread = threading.Thread(target=serve)
    thread.start()
    events.callbacks.append(seen.append)
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context(False, 0x304).wrap_socket(plain) as tls:
            own = tls.getsockname()[1]
            tls.send(b"x")
            tls.recv(1)
    thread.join()
assert sorted(call[:3] for call in calls if call[1] == "client") == [
    (0x304, "client", "127.0.0.1")
], calls
assert [call[2] for call in calls if call[1] == "server"] == [None]
shown = {role: (peer, port) for role, peer, port in kinds("role", "peer", "port")}
assert shown == {"client": ("127.0.0.1", port), "server": ("127.0.0.1", port)}, (shown, own)
"""
    )


@in_c
def test_a_connection_begun_before_the_floor_is_compared_after_its_handshake() -> None:
    run(
        """
def holders(pair):
    return [type(each._sslobj).__name__ for each in (pair.client, pair.server)]
high, low, by_read, by_write = Pair(0x303), Pair(0x301), Pair(0x301), Pair(0x301)
unread, open_ = Pair(0x303), Pair(0x301).connect()
plain = type(open_.client._sslobj).__name__
arm("1.2")
assert holders(high) == ["Unproven"] * 2 and holders(open_) == [plain] * 2
assert high.client._sslobj.server_side is False  # what it has is that of the TLS object
high.client._sslobj.owner = high.client
assert high.client._sslobj._native.owner is high.client
high.connect()
assert holders(high) == [plain] * 2
assert high.client.version() == "TLSv1.2"
def refused(pair, use):
    before = current.counts["discarded"]
    seen.clear()
    server = pair.server
    while True:
        for step in (server._sslobj._native.do_handshake, use):
            try:
                step()
            except ssl.SSLWantReadError:
                pass
            except tlsfloor.ProtocolRefused as error:
                assert current.counts["discarded"] == before + 1
                [event] = [each for each in seen if each["kind"] == "discarded"]
                assert (event["version"], event["role"]) == ("TLS 1.0", "client")
                assert (event["floor"], event["mode"]) == ("1.2", "enforce")
                assert "TLSv1 was negotiated, for a connection that was begun before" in str(error)
                return
refused(low, low.client.do_handshake)
refused(by_read, lambda: by_read.client.read(1))
refused(by_write, lambda: by_write.client.write(b"x"))
for each in (lambda: unread.client.read(1), lambda: unread.client.write(b"x")):
    try:
        each()
    except ssl.SSLWantReadError:
        pass
for _ in range(4):
    for step in (unread.server.do_handshake, lambda: unread.client.write(b"x")):
        try:
            step()
        except ssl.SSLWantReadError:
            pass
assert holders(unread) == [plain] * 2
assert unread.server.read(1) == b"x"
"""
    )


@in_c
def test_a_context_below_is_reported_for_each_floor_that_is_above() -> None:
    run(
        """
from tlsfloor.stacks import _connections
arm("1.2")
arm("1.3", mode="observe")
for lowest, modes in ((0x302, ["enforce", "observe"]), (0x303, ["observe"]), (0x304, [])):
    seen.clear()
    _connections.note_low("raised", lowest)
    assert [each["mode"] for each in seen] == modes, (lowest, seen)
    assert all(each["asked"] == f"TLS 1.{lowest - 0x301}" for each in seen)
native = Pair(0x304)
assert not _connections.is_open(None)
assert not _connections.is_open(native.client._sslobj)
assert _connections.is_open(native.connect().client._sslobj)
"""
    )


class Connected:
    """What has addresses as a socket has them."""

    def __init__(self, peer: object = ("peer", 1), own: object = ("own", 2)) -> None:
        self.addresses = {"peername": peer, "sockname": own}

    def getpeername(self) -> object:
        return self.addresses["peername"]

    def getsockname(self) -> object:
        return self.addresses["sockname"]


class Transport(SimpleNamespace):
    def get_extra_info(self, name: str) -> object:
        return Connected().addresses[name]


NOBODY = (None, None)
BOTH = (("peer", 1), ("own", 2))


def nobody(rawsock: object = None, self: object = None) -> Any:
    return _connections.socket_addresses(object(), sys._getframe())


def test_addresses_are_those_of_a_socket_or_of_what_a_caller_reads_from() -> None:
    here = sys._getframe()
    addresses = _connections.socket_addresses
    assert addresses(Connected(), here) == addresses(Transport(), here) == BOTH
    assert addresses(Connected(peer="/run/socket", own=""), here) == NOBODY
    gone = SimpleNamespace(getpeername=lambda: 1 / 0)
    assert addresses(gone, here) == NOBODY
    for names in (
        {"rawsock": Connected()},
        {"self": SimpleNamespace(_transport=Transport())},
        {"self": SimpleNamespace(transport_stream=SimpleNamespace(socket=Connected()))},
        {"self": SimpleNamespace(transport_stream=SimpleNamespace(_raw_socket=Connected()))},
    ):
        assert nobody(**names) == BOTH
    assert nobody() == NOBODY


def test_not_more_than_a_few_frames_are_looked_at() -> None:
    def below(depth: int) -> Any:
        return below(depth - 1) if depth else nobody()

    def above(depth: int) -> Any:
        rawsock = Connected()
        return below(depth), rawsock

    found = [above(depth)[0] for depth in range(9)]
    assert found == [BOTH] * 5 + [NOBODY] * 4


def test_the_port_of_a_server_is_its_own() -> None:
    def shown(holder: object, **facts: object) -> dict[str, object]:
        native = SimpleNamespace(server_hostname="name", **facts)
        return _connections.endpoints(native, holder, sys._getframe())

    client = {"role": "client", "server_name": "name", "peer": "peer", "port": 1}
    assert shown(Connected(), server_side=False) == client
    server = {"role": "server", "server_name": "name", "peer": "peer", "port": 2}
    assert shown(Connected(), server_side=True) == server
    assert shown(Connected(peer=("peer",)), server_side=False) == {
        key: client[key] for key in ("role", "server_name", "peer")
    }
    assert shown(Connected(own=None), server_side=True) == {
        key: server[key] for key in ("role", "server_name", "peer")
    }
    assert shown(Connected(peer=None), server_side=True) == {
        key: server[key] for key in ("role", "server_name")
    }
