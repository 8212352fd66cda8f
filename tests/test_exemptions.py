"""Exemptions: one connection goes below the floor, no other does, and nothing else changes."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from entries import entry, TODAY
from programs import armed_environment, clean_environment, python
from parts import need
from tlsfloor import exemptions
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_1, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def armed(folder: Path, *entries: str, floor: str = "1.2") -> dict[str, str]:
    file = folder / "exemptions.toml"
    file.write_text("\n".join(entries))
    return armed_environment(
        floor, TLSFLOOR_EXEMPTIONS=str(file), TLSFLOOR_EVENTS=str(folder / "events.jsonl")
    )


# What a program reaches, by each way to a connection, with a context of its own that asks for all.
PROGRAM = """
import _ssl, asyncio, json, os, socket, ssl, sys, time, warnings
warnings.simplefilter("ignore")
name, port, minimum, *rest = sys.argv[1:]
if rest:
    later = float(rest[0])
    real = time.time
    time.time = lambda: real() + later
def context(kind=None):
    kind = kind or ssl.SSLContext
    if minimum == "fixed":
        made = kind(ssl.PROTOCOL_TLSv1)
    else:
        made = kind(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.minimum_version = int(minimum)
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    return made
def by_socket(made, connected=True):
    plain = socket.create_connection(("127.0.0.1", int(port))) if connected else socket.socket()
    with made.wrap_socket(plain, server_hostname=name) as tls:
        if not connected:
            tls.connect(("127.0.0.1", int(port)))
        tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        assert tls.recv(1)
        return tls.version()
def by_connect(made):
    return by_socket(made, connected=False)
async def started(made, at_once):
    loop = asyncio.get_running_loop()
    more = {"ssl": made, "server_hostname": name} if at_once else {}
    made_for = asyncio.Protocol, "127.0.0.1", int(port)
    transport, protocol = await loop.create_connection(*made_for, **more)
    if not at_once:
        transport = await loop.start_tls(transport, protocol, made, server_hostname=name)
    try:
        return transport.get_extra_info("ssl_object").version()
    finally:
        transport.abort()
def by_asyncio(made):
    return asyncio.run(started(made, True))
def by_start_tls(made):
    return asyncio.run(started(made, False))
def by_buffers(made):
    plain = socket.create_connection(("127.0.0.1", int(port)))
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = made.wrap_bio(into, out, server_hostname=name)
    while True:
        try:
            tls.do_handshake()
            plain.sendall(out.read())
            return tls.version()
        except ssl.SSLWantReadError:
            plain.sendall(out.read())
            into.write(plain.recv(65536))
class Asking(ssl.SSLContext):
    def wrap_bio(self, *args, **kwargs):  # behind it are the frames of another connection
        self.inner = by_buffers(context())
        return super().wrap_bio(*args, **kwargs)
def by_buffers_inside(made):
    asking = context(Asking)
    by_asyncio(asking)
    return asking.inner
found = {}
for way in (by_socket, by_connect, by_asyncio, by_start_tls, by_buffers, by_buffers_inside):
    made = context()
    try:
        found[way.__name__] = way(made)
    except OSError as error:
        found[way.__name__] = f"{error.reason} {error}"
    own = ssl.SSLContext.__base__ is _ssl._SSLContext  # others set it by the C descriptor, as here
    if minimum != "fixed" and "tlsfloor" in sys.modules and own:
        # By the C descriptor, which raises nothing as it is read.
        assert int(_ssl._SSLContext.minimum_version.__get__(made)) >= 0x303
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def old() -> Iterator[str]:
    with handshakes.ServerPeer(TLS1_0) as peer:
        yield str(peer.port)


def each_way(env: dict[str, str], name: str, port: str, minimum: str, *more: str) -> Any:
    """Return the result of each way to connect."""
    low = minimum if minimum == "fixed" else str(int(minimum, 16))
    done = python("-c", PROGRAM, name, port, low, *more, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def reached(
    env: dict[str, str], name: str, port: str, minimum: str = "0x301", *more: str
) -> set[str]:
    """Return the results of all ways."""
    return set(each_way(env, name, port, minimum, *more).values())


def told(folder: Path, kind: str) -> list[Any]:
    """Return the events of a kind."""
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [each for each in map(json.loads, lines) if each["kind"] == kind]


def test_without_a_floor_every_client_reaches_the_server(old: str) -> None:
    for minimum in ("0x301", "fixed"):
        assert reached(clean_environment(), "old.example.com", old, minimum) == {"TLSv1"}


@pytest.mark.parametrize("minimum", ["0x301", "fixed"])
@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("old.example.com", "old.example.com"),
        ("Old.Example.COM.", "old.example.com"),
        ("old.example.com", "OLD.example.com"),
        ("*.example.com", "very.old.example.com"),
    ],
)
def test_an_exempted_host_is_reached_and_reported(
    host: str, name: str, minimum: str, old: str, tmp_path: Path
) -> None:
    env = armed(tmp_path, entry(host=host))
    assert reached(env, name, old, minimum) == {"TLSv1"}
    [first, *_] = told(tmp_path, "exempted")
    assert first["server_name"].lower() == name.lower()
    assert first["text"].startswith("cannot be updated; until ")
    assert str(first["port"]) == old
    seen = told(tmp_path, "handshake")
    assert len(seen) > 3
    assert {each["exempted"] for each in seen} == {first["text"]}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("old.example.com", "new.example.com"),
        ("old.example.com", "very.old.example.com"),
        ("old.example.com", "old.example.com.evil.net"),
        ("*.example.com", "example.com"),
        ("*.example.com", "badexample.com"),
        ("192.0.2.1", "old.example.com"),
    ],
)
def test_no_other_host_is_reached(host: str, name: str, old: str, tmp_path: Path) -> None:
    for each in reached(armed(tmp_path, entry(host=host)), name, old):
        assert each.startswith("TLSV1_ALERT_PROTOCOL_VERSION")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("any.example.org", {"host": "127.0.0.1"}),
        ("any.example.org", {"host": "::ffff:127.0.0.1"}),
        ("old.example.com", {"port": True}),
    ],
)
def test_an_address_or_port_is_known_except_for_bare_buffers(
    name: str, facts: dict[str, Any], old: str, tmp_path: Path
) -> None:
    if "port" in facts:
        facts = {"port": int(old)}
    found = each_way(armed(tmp_path, entry(**facts)), name, old, "0x301")
    for way in ("by_buffers", "by_buffers_inside"):  # nobody knows who is at their other end
        assert "PROTOCOL_VERSION" in found.pop(way)
    assert set(found.values()) == {"TLSv1"}


@pytest.mark.parametrize(
    ("module", "first"),
    [
        ("gevent", "from gevent import monkey; monkey.patch_all()"),
        ("truststore", "import truststore; truststore.inject_into_ssl()"),
    ],
)
def test_a_port_is_known_through_classes_of_other_libraries(
    module: str, first: str, old: str, tmp_path: Path
) -> None:
    need(module, since=(3, 10))
    for port, ways in ((int(old), {"by_buffers", "by_buffers_inside"}), (1, None)):
        env = armed(tmp_path, entry(port=port))
        done = python("-c", f"{first}\n{PROGRAM}", "old.example.com", old, str(TLS1_0), env=env)
        found = json.loads(done.stdout)
        refused = {way for way, what in found.items() if "PROTOCOL_VERSION" in what}
        assert refused == (found.keys() if ways is None else ways)
        assert {found[way] for way in found.keys() - refused} <= {"TLSv1"}
        if ways:
            assert all("exempted" in each for each in told(tmp_path, "handshake"))


@pytest.mark.parametrize("facts", [{"port": 1}, {"host": "127.0.0.2"}])
def test_another_address_or_port_is_not_exempted(
    facts: dict[str, Any], old: str, tmp_path: Path
) -> None:
    for each in reached(armed(tmp_path, entry(**facts)), "old.example.com", old):
        assert "PROTOCOL_VERSION" in each


def test_an_exemption_goes_no_lower_than_its_minimum_or_the_program(
    old: str, tmp_path: Path
) -> None:
    for each in reached(armed(tmp_path, entry(minimum="1.1")), "old.example.com", old):
        assert "PROTOCOL_VERSION" in each
    with handshakes.ServerPeer(TLS1_1) as peer:
        port = str(peer.port)
        env = armed(tmp_path, entry(minimum="1.1"))
        assert reached(env, "old.example.com", port) == {"TLSv1.1"}
        for each in reached(armed(tmp_path, entry()), "old.example.com", port, "0x303"):
            assert "PROTOCOL_VERSION" in each


def test_an_expired_exemption_does_not_apply_and_is_explained(old: str, tmp_path: Path) -> None:
    env = armed(tmp_path, entry(expires=TODAY))
    assert reached(env, "old.example.com", old) == {"TLSv1"}
    # The clock moves while the program runs.
    for each in reached(env, "old.example.com", old, "0x301", str(86400)):
        assert "PROTOCOL_VERSION" in each
        assert f"the exemption of old.example.com expired on {TODAY}" in each
    text = (tmp_path / "events.jsonl").read_text()
    assert '"unexempted"' in text
    # It was before the program began.
    past = armed(tmp_path, entry(expires=TODAY - dt.timedelta(days=1)))
    done = python("-c", "import ssl", env=past)
    assert done.stderr == (
        f"tlsfloor: error: the exemption of old.example.com does not apply: it expired on "
        f"{TODAY - dt.timedelta(days=1)}\n"
    )


# A connection to nobody in particular, and to a name with what ends an address of IPv6.
NAMELESS = """
import json, socket, ssl, sys, warnings
warnings.simplefilter("ignore")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = 0x301
context.set_ciphers("ALL:@SECLEVEL=0")
found = {}
for name in (None, *sys.argv[2:]):
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                found[str(name)] = tls.version()
    except OSError as error:
        found[str(name)] = error.reason
print(json.dumps(found))
"""


def nameless(env: dict[str, str], *words: str) -> Any:
    done = python("-c", NAMELESS, *words, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("host", [".", "%", "..", "%.", "127.0.0.1"])
def test_a_connection_without_a_name_is_not_exempted(host: str, old: str, tmp_path: Path) -> None:
    assert nameless(clean_environment(), old) == {"None": "TLSv1"}
    found = nameless(armed(tmp_path, entry(host=host)), old)
    # Its address can be.
    exempted = host == "127.0.0.1" and sys.platform == "linux"
    assert (found == {"None": "TLSv1"}) == exempted, found


@pytest.mark.parametrize(("minimum", "covered"), [("1.0", {"old.example.com"}), ("1.1", set())])
def test_an_observed_handshake_says_whether_an_exemption_covers_it(
    minimum: str, covered: set[str], old: str, tmp_path: Path
) -> None:
    env = {**armed(tmp_path, entry(minimum=minimum)), "TLSFLOOR_MODE": "observe"}
    names = ["old.example.com", "new.example.com"]
    assert set(nameless(env, old, *names).values()) == {"TLSv1"}
    seen = told(tmp_path, "handshake")
    assert {each.get("server_name") for each in seen} == {None, *names}
    assert {each["server_name"] for each in seen if "exempted" in each} == covered


def test_the_name_of_a_server_is_compared_in_full(tmp_path: Path) -> None:
    """OpenSSL accepts such a name, and sends it."""
    assert exemptions._normalized("old.example.com%evil") == "old.example.com%evil"
    assert exemptions._normalized("FE80::1%eth0") == "fe80::1"
    exempted = exemptions.Exemption("old.example.com", None, TLS1_0, "", "2999-12-31")
    assert exempted.matches(exemptions._normalized("old.example.com"), "", 443)
    assert not exempted.matches(exemptions._normalized("old.example.com%evil.example"), "", 443)


def test_an_international_name_is_compared_in_its_encoded_form(old: str, tmp_path: Path) -> None:
    env = armed(tmp_path, entry(host="B\u00fccher.example.com"))
    found = nameless(env, old, "b\u00fccher.example.com", "bucher.example.com")
    assert found.pop("b\u00fccher.example.com") == "TLSv1"
    assert "TLSv1" not in found.values()


# --- a proxy's address is not the host behind it

BEHIND = """
import asyncio, http.client, json, os, socket, ssl, sys, warnings
warnings.simplefilter("ignore")
proxy, port, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = 0x301
context.set_ciphers("ALL:@SECLEVEL=0")
ASK = f"CONNECT {name}:{port} HTTP/1.1\\r\\n\\r\\n".encode()
def by_http_client():
    made = http.client.HTTPSConnection("127.0.0.1", proxy, context=context)
    made.set_tunnel(name, port)
    made.connect()
    return made.sock.version()
def by_socket(server_name=name):
    plain = socket.create_connection(("127.0.0.1", proxy))
    plain.sendall(ASK)
    assert b" 200 " in plain.recv(4096)
    return context.wrap_socket(plain, server_hostname=server_name).version()
def at_once():
    plain = socket.create_connection(("127.0.0.1", proxy))
    plain.sendall(ASK)
    made = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
    with socket.socket(fileno=os.dup(made.fileno())) as same:
        assert b" 200 " in same.recv(4096)
    made.do_handshake()
    return made.version()
def without_a_name():
    return by_socket(None)
async def tunnel():
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(ASK)
    assert b" 200 " in await reader.readuntil(b"\\r\\n\\r\\n")
    made = await asyncio.get_running_loop().start_tls(
        writer.transport, asyncio.Protocol(), context, server_hostname=name)
    return made.get_extra_info("ssl_object").version()
def by_asyncio():
    return asyncio.run(tunnel())
def to_the_proxy():
    plain = socket.create_connection(("127.0.0.1", port))
    return context.wrap_socket(plain, server_hostname="proxy.example.com").version()
found = {}
for way in (by_http_client, by_socket, at_once, without_a_name, by_asyncio, to_the_proxy):
    try:
        found[way.__name__] = way()
    except OSError as error:
        found[way.__name__] = getattr(error, "reason", repr(error))
print(json.dumps(found))
"""


class Proxy:
    """A proxy that knows CONNECT, and one host; ``asked`` is what came to it, once it is closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = contextlib.ExitStack()
        self._listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = self._listener.getsockname()[1]
        self.asked: list[bytes] = []
        self._threads: list[threading.Thread] = []
        self._start(self._serve)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # accept() returns
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in self._threads:
            each.join(10)
        self._open.close()

    def _start(self, function: Callable[..., None], *args: socket.socket) -> None:
        self._threads.append(threading.Thread(target=function, args=args, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                client = self._open.enter_context(self._listener.accept()[0])
                asked = client.recv(4096)
                while not asked.endswith(b"\r\n\r\n"):  # Python 3.8 sends each line by itself
                    asked += client.recv(4096)
                self.asked.append(asked)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                address = ("127.0.0.1", self._port)
                server = self._open.enter_context(socket.create_connection(address))
                self._start(self._pass, client, server)
                self._start(self._pass, server, client)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def test_an_exemption_for_a_proxy_does_not_apply_to_hosts_behind_it(
    old: str, tmp_path: Path
) -> None:
    """The same for a server of a protocol in which TLS begins later (STARTTLS)."""
    with contextlib.closing(Proxy(int(old))) as proxy:

        def behind(env: dict[str, str]) -> Any:
            done = python("-c", BEHIND, str(proxy.port), old, "behind.example.com", env=env)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        assert set(behind(clean_environment()).values()) == {"TLSv1"}
        assert len(proxy.asked) == 5
        found = behind(armed(tmp_path, entry(host="127.0.0.1")))
        if sys.platform == "linux":  # elsewhere nobody tells
            assert found.pop("to_the_proxy") == "TLSv1"
        assert all("PROTOCOL_VERSION" in each for each in found.values()), found
        texts = {each["text"] for each in told(tmp_path, "unexempted")}
        assert len(texts) == 1
        assert "the exemption of 127.0.0.1 is not for what is behind it" in texts.pop()
        # By its name one of them is exempted, wherever it is.
        found = behind(armed(tmp_path, entry(host="behind.example.com")))
        assert found.pop("without_a_name") != "TLSv1"
        assert found.pop("to_the_proxy") != "TLSv1"
        assert set(found.values()) == {"TLSv1"}


BY_NAME = """
import ssl
more = {"incoming": ssl.MemoryBIO(), "outgoing": ssl.MemoryBIO(), "server_side": False}
ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)._wrap_bio(**more, server_hostname="old.example.com")
"""


def test_wrap_socket_accepts_keyword_arguments(tmp_path: Path) -> None:
    for env in (clean_environment(), armed(tmp_path, entry())):
        assert python("-W", "ignore", "-c", BY_NAME, env=env).stderr == ""


LISTENS = """
import ssl, sys, threading, tlsfloor, warnings
warnings.simplefilter("ignore")
def connect(protocol, name):
    made = ssl.SSLContext(protocol)
    if protocol == ssl.PROTOCOL_TLS_CLIENT:
        made.minimum_version = ssl.TLSVersion.TLSv1
    try:
        made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except ssl.SSLError:
        pass
def hear(event):
    if event["kind"] in ("exempted", "unexempted", "refused"):
        other = threading.Thread(
            target=connect, args=(ssl.PROTOCOL_TLS_CLIENT, "example.com"), daemon=True
        )
        other.start()
        other.join(5)
        print(event["kind"], "hangs" if other.is_alive() else "ends", flush=True)
tlsfloor.enforce("1.2", on_event=hear)
connect(ssl.PROTOCOL_TLS_CLIENT, "old.example.com")
connect(ssl.PROTOCOL_TLS_CLIENT, "expired.example.com")
connect(ssl.PROTOCOL_TLSv1, "example.com")
"""


def test_a_callback_may_wait_for_another_connection(tmp_path: Path) -> None:
    expired = entry(host="expired.example.com", expires=TODAY - dt.timedelta(days=1))
    done = python("-c", LISTENS, env=armed(tmp_path, entry(), expired))
    assert done.stdout.splitlines() == ["exempted ends", "unexempted ends", "refused ends"], done


def test_a_relative_path_starts_at_the_folder_of_the_start(old: str, tmp_path: Path) -> None:
    start, other = tmp_path / "start", tmp_path / "other"
    start.mkdir()
    other.mkdir()
    env = {**armed(start, entry()), "TLSFLOOR_EXEMPTIONS": "exemptions.toml"}
    program = f"import os; os.chdir({str(other)!r})\n{NAMELESS}"
    done = python("-c", program, old, "old.example.com", env=env, cwd=start)
    assert json.loads(done.stdout)["old.example.com"] == "TLSv1", done.stderr


def test_a_missing_file_is_reported(old: str, tmp_path: Path) -> None:
    env = armed_environment(TLSFLOOR_EXEMPTIONS=str(tmp_path / "none.toml"))
    assert "No such file" in python("-c", "import ssl", env=env).stderr
    for each in reached(env, "old.example.com", old):
        assert "PROTOCOL_VERSION" in each


def test_an_invalid_entry_does_not_affect_the_others(old: str, tmp_path: Path) -> None:
    env = armed(tmp_path, entry(host="other.example.com", reason=None), entry())
    assert reached(env, "old.example.com", old) == {"TLSv1"}


def test_status_lists_exemptions_with_days_left(tmp_path: Path) -> None:
    env = armed(tmp_path, entry(port=8443))
    done = python("-m", "tlsfloor", "status", "--json", env=env)
    assert json.loads(done.stdout)["exemptions"] == [
        {
            "host": "old.example.com",
            "port": 8443,
            "minimum": "1.0",
            "reason": "cannot be updated",
            "expires": str(TODAY + dt.timedelta(days=30)),
            "days_left": 30,
            "applies": True,
        }
    ]
    assert (
        "old.example.com:8443 may use 1.0, until "
        in python("-m", "tlsfloor", "status", env=env).stdout
    )


def test_verify_shows_an_exemption_that_applies_to_its_peers(tmp_path: Path) -> None:
    """The peers of verify are at localhost: an exemption for it makes the result LOWERABLE."""
    verify = ("-m", "tlsfloor", "verify", "--hello", "--role", "client")
    done = python(*verify, env=armed(tmp_path, entry()))
    assert done.returncode == 0, done.stdout
    assert "exempted: old.example.com down to 1.0" in done.stdout
    assert python(*verify, env=armed(tmp_path, entry(host="localhost"))).returncode == 1


def test_an_exemption_does_not_change_whether_the_floor_is_held(tmp_path: Path) -> None:
    """``status()``, ``require()`` and ``verify()`` agree, also if localhost is exempted."""
    program = """
import ssl, tlsfloor
tlsfloor.require("1.2")
print(tlsfloor.status().held, bool(tlsfloor.verify("1.2")), tlsfloor.status().problems)
"""
    for host in ("localhost", "other.example.com"):
        done = python("-c", program, env=armed(tmp_path, entry(host=host)))
        assert (done.stdout, done.stderr) == ("True True []\n", "")


CROWD = """
import json, socket, ssl, sys, threading, warnings
warnings.simplefilter("ignore")
exempted, other = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.minimum_version = 0x301
context.set_ciphers("ALL:@SECLEVEL=0")
counts = {"old.example.com": [0, 0], "new.example.com": [0, 0]}
def work(number):
    name, port = [("old.example.com", exempted), ("new.example.com", other)][number % 2]
    for _ in range(40):
        try:
            with socket.create_connection(("127.0.0.1", int(port))) as plain:
                context.wrap_socket(plain, server_hostname=name).close()
            counts[name][0] += 1
        except OSError:
            counts[name][1] += 1
        assert context.minimum_version >= 0x301
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(json.dumps([counts, int(context.minimum_version)]))
"""


def test_threads_that_share_a_context_with_an_exempted_host_stay_held(tmp_path: Path) -> None:
    env = armed(tmp_path, entry())
    with handshakes.ServerPeer(TLS1_0) as exempted, handshakes.ServerPeer(TLS1_0) as other:
        done = python("-c", CROWD, str(exempted.port), str(other.port), env=env)
        assert done.returncode == 0, done.stderr
        counts, minimum = json.loads(done.stdout)
        other.settle()
        assert not any(each.version for each in other.seen)
    assert counts == {"old.example.com": [320, 0], "new.example.com": [0, 320]}
    assert minimum == TLS1_2


WINDOW = """
import contextlib, json, socket, ssl, sys, threading, time, warnings
warnings.simplefilter("ignore")
import tlsfloor
from tlsfloor.stacks import _exempted
base = ssl.SSLContext.__base__
inside, order = threading.Event(), []
real = _exempted.lowered
@contextlib.contextmanager
def slowly(base, context, *more):
    with real(base, context, *more):
        inside.set()
        time.sleep(0.5)
        yield
        order.append("born")
_exempted.lowered = slowly
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.minimum_version = 0x301
context.set_ciphers("ALL:@SECLEVEL=0")
def use():
    inside.wait()
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="new.example.com")
    order.append("used")
def look():
    inside.wait()
    order.append(context.minimum_version)
threads = [threading.Thread(target=each) for each in (use, look)]
for each in threads:
    each.start()
try:
    plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    with context.wrap_socket(plain, server_hostname="old.example.com") as tls:
        order.insert(0, tls.version())
except ssl.SSLError as error:
    order.insert(0, str(error))
for each in threads:
    each.join()
print(json.dumps(order))
"""


def test_no_other_thread_uses_or_sees_a_lowered_context(old: str, tmp_path: Path) -> None:
    """The test extends the moment for which the context is lowered."""
    done = python("-c", WINDOW, old, env=armed(tmp_path, entry()))
    assert done.returncode == 0, done.stderr
    version, born, *rest = json.loads(done.stdout)
    assert (version, born) == ("TLSv1", "born")
    assert sorted(map(str, rest)) == [str(TLS1_2), "used"]


def test_a_server_is_never_exempted(tmp_path: Path) -> None:
    program = """
import socket, ssl, sys, warnings
warnings.simplefilter("ignore")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
context.minimum_version = 0x301
context.set_ciphers("ALL:@SECLEVEL=0")
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    try:
        context.wrap_socket(listener.accept()[0], server_side=True)
        print("reached")
    except ssl.SSLError as error:
        print(error.reason)
"""
    command = [sys.executable, "-c", program, handshakes.PEER_FILE]
    exempting = armed(tmp_path, entry(host="127.0.0.1"))
    for env, told in ((clean_environment(), "reached"), (exempting, "UNSUPPORTED_PROTOCOL")):
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            handshakes.call("127.0.0.1", int(server.stdout.readline()), TLS1_0, "rsa")
            assert server.stdout.read() == f"{told}\n"


def test_an_installed_floor_has_no_exemptions(old: str, tmp_path: Path) -> None:
    """No variable lowers it."""
    prefix = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
    env = armed(tmp_path, entry())
    del env["PYTHONPATH"], env["TLSFLOOR"]
    command = ("-c", PROGRAM, "old.example.com", old, str(TLS1_0))
    executable = str(prefix / "bin" / "python")
    done = python(*command, env=env, executable=executable)
    assert set(json.loads(done.stdout).values()) == {"TLSv1"}
    assert python("-m", "tlsfloor", "install", "--prefix", str(prefix)).returncode == 0
    done = python(*command, env=env, executable=executable)
    for each in json.loads(done.stdout).values():
        assert "PROTOCOL_VERSION" in each
    file = env["TLSFLOOR_EXEMPTIONS"]
    problem = f"no exemption of {file} applies: an installed floor has none"
    assert done.stderr == f"tlsfloor: error: {problem}\n"
