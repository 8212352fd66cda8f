"""The error of a handshake that fails because of the floor names the floor; other errors do not."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from programs import PROGRAMS, armed_environment, clean_environment, python
from parts import need, need_name
from tlsfloor.peers import handshakes
from tlsfloor.peers.hello_peers import HelloServerPeer
from tlsfloor.versions import TLS1_0, TLS1_1, TLS1_2, TLS1_3

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What each program of ``explained.py`` needs.
LIBRARIES = {
    "ssl": (),
    "http_client": (),
    "urllib_request": (),
    "smtplib": (),
    "asyncio": (),
    "urllib3": ("urllib3",),
    "requests": ("requests",),
    "httpx": ("httpx",),
    "httpx_asyncio": ("httpx",),
    "httpx_uvloop": ("httpx", "uvloop"),
    "aiohttp": ("aiohttp",),
    "anyio": ("anyio",),
    "trio": ("trio",),
    "botocore": ("botocore",),
    "boto3": ("boto3",),
    "redis": ("redis",),
    "redis_asyncio": ("redis",),
    "ldap3": ("ldap3",),
    "gevent": ("gevent",),
    "eventlet": ("eventlet",),
}

#: trio says nothing in its own error; the SSLError is the cause of that.
SILENT = {"trio"}

#: Those that copy the text in different ways, and take a context.
WITH_CONTEXT = ["ssl", "asyncio", "urllib_request", "requests", "httpx", "aiohttp", "gevent"]

WITH_PROXY = ["http_client", "urllib3", "requests", "boto3", "httpx", "httpx_asyncio"]

#: What programs search the text of an error for, as urllib3 does, without a distinction of letters:
#: urllib3, anyio, asyncio, eventlet, pymongo, botocore, requests, pip and Python's own ssl.
SEARCHED = [
    "timed out",
    "timeout",
    "wrong version number",
    "unknown protocol",
    "record layer failure",
    "eof",
    "certificate",
    "verify failed",
    "bad handshake",
    "hostname",
    "closed",
    "reset by peer",
    "no ciphers",
]

PROGRAM = str(PROGRAMS / "explained.py")


@pytest.fixture(scope="module")
def old() -> Iterator[int]:
    with handshakes.ServerPeer(TLS1_0) as peer:
        yield peer.port


@pytest.fixture
def proxy() -> Iterator[int]:
    """An HTTP proxy that understands CONNECT."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Proxy(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        host, _, port = self.rfile.readline().split()[1].decode().rpartition(":")
        while self.rfile.readline().strip():
            pass
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=copy, args=(there, self.connection))
            back.start()
            copy(self.connection, there)
            back.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def said(library: str, port: int, env: dict[str, str], *words: object) -> dict[str, Any]:
    """Return what a program prints; the arguments are bounds (0 for none) and a proxy."""
    need(*LIBRARIES[library])
    bounds = (*words, 0, 0)[:2] if words else (TLS1_0, 0)
    args = (library, port, handshakes.CA_FILE, *bounds, *words[2:])
    done = python(PROGRAM, *map(str, args), env=env)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def beginning(library: str, port: int, *more: object) -> dict[str, Any]:
    """Return the same of a refusal that is the program's own, without a floor.

    And see before that the program reaches that port when it asks for less.
    """
    control = said(library, port, clean_environment(), TLS1_0, 0, *more)
    # Some have their own opinion of what the peer answers to their protocol.
    assert "reached" in control or (
        control["class"] in ("ClientError", "SMTPServerDisconnected")
        or control["class"] == "LDAPSessionTerminatedByServerError"
    ), control
    return said(library, port, clean_environment(), TLS1_2, 0, *more)


def hidden(text: str) -> str:
    """Return a text without what tlsfloor added, and without addresses in memory."""
    return re.sub("; tlsfloor: .* TLSFLOOR_EXEMPTIONS names|0x[0-9a-f]+", "", text)


def words(port: int) -> list[str]:
    return [
        "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version",
        f"; tlsfloor: localhost:{port} offers nothing at or above TLS 1.2",
        ", which is the floor of this process, set by TLSFLOOR=1.2, read by ",
        "; the context asked for TLS 1.0; ",
        f"hint: tlsfloor check localhost:{port}, or exempt host localhost",
    ]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_text_names_floor_owner_peer_and_what_to_run(library: str, old: int) -> None:
    plain = beginning(library, old)
    told = said(library, old, armed_environment("1.2"))
    beneath = told["beneath"] or told  # ldap3 hides what is beneath
    for text in [beneath["text"]] if library in SILENT else [told["text"], told["last"]]:
        assert [each for each in words(old) if each not in text] == []
        assert text.count("tlsfloor: ") == 1
    # Nothing else changes, and nothing that comes first.
    assert told["class"] == plain["class"]
    assert hidden(told["text"]) == hidden(plain["text"])
    if told["beneath"]:
        known, now = plain["beneath"], told["beneath"]
        same = ("class", "reason", "library", "errno", "notes", "copies")
        assert [now[each] for each in same] == [known[each] for each in same]
        assert now["copies"]
        assert now["text"].startswith(known["text"] + "; tlsfloor: ")
        assert now["args"] == [1, now["strerror"]] == [1, now["text"]]
        added = now["text"][len(known["text"]) :].lower()
        searched = re.sub("[^a-z]+", " ", added)
        assert [each for each in SEARCHED if each in searched] == []
        assert not set(added) & {'"', "'"}


@pytest.mark.parametrize("library", WITH_CONTEXT)
def test_a_fixed_version_is_explained_in_the_same_places(library: str, old: int) -> None:
    need_name(ssl, "PROTOCOL_TLSv1")
    control = said(library, old, clean_environment(), "fixed")
    assert "PROTOCOL" not in control.get("text", ""), control
    told = said(library, old, armed_environment("1.2"), "fixed")
    for text in (told["text"], told["last"]):
        assert "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: this context" in text
        assert "the floor is 1.2, set by TLSFLOOR=1.2, read by " in text
        assert "; hint: write ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)" in text
    if told["beneath"]:
        assert told["beneath"]["args"] == [1, told["beneath"]["text"]]
        assert told["beneath"]["copies"]


@pytest.mark.parametrize("library", WITH_PROXY)
def test_with_a_proxy_the_port_is_that_of_the_host(library: str, old: int, proxy: int) -> None:
    plain = beginning(library, old, proxy)
    told = said(library, old, armed_environment("1.2"), TLS1_0, 0, proxy)
    assert [each for each in words(old) if each not in told["text"]] == []
    # The exemption's is the proxy's, so it is left out.
    assert "exempt host localhost in " in told["text"]
    # urllib3 searches the text for the errors of a proxy that speaks no TLS.
    assert (told["class"], hidden(told["text"])) == (plain["class"], hidden(plain["text"]))


def reached(port: int, env: dict[str, str], low: int, high: int) -> str:
    told = said("ssl", port, env, low, high)
    return "reached" if "reached" in told else str(told["text"])


@pytest.mark.parametrize(
    ("version", "low", "high", "error"),
    [
        # The program's own bounds keep it from the peer, with the floor as without.
        (TLS1_1, TLS1_2, 0, "PROTOCOL_VERSION"),
        (TLS1_2, TLS1_3, 0, "PROTOCOL_VERSION"),
        (TLS1_3, TLS1_0, TLS1_2, "PROTOCOL_VERSION"),
    ],
)
def test_a_version_that_the_program_itself_forbids_is_not_explained(
    version: int, low: int, high: int, error: str
) -> None:
    with handshakes.ServerPeer(version) as peer:
        assert error in reached(peer.port, clean_environment(), low, high)
        text = reached(peer.port, armed_environment(), low, high)
    assert error in text
    assert "tlsfloor" not in text


OTHERS = """
import socket, ssl, sys, threading
port = int(sys.argv[1])
context = ssl.create_default_context(cafile=sys.argv[2] if len(sys.argv) > 2 else None)
context.minimum_version = 0x301
if sys.argv[3:]:
    context.set_ciphers(sys.argv[3])
for option in sys.argv[4:]:
    context.options |= getattr(ssl, option)
try:
    context.wrap_socket(socket.create_connection(("localhost", port)), server_hostname="localhost")
    print("reached")
except OSError as error:
    notes = getattr(error, "__notes__", [])
    print(type(error).__name__, getattr(error, "reason", ""), *notes, error)
"""


def other(port: int, *words: str) -> str:
    done = python("-W", "ignore", "-c", OTHERS, str(port), *words, env=armed_environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that sends every client this answer, and closes the connection."""
    with socket.create_server(("localhost", 0)) as listener:

        def reply() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


def test_other_failures_are_not_explained() -> None:
    """An unknown certificate, no common cipher, a peer without TLS, a closed connection."""
    with handshakes.ServerPeer(TLS1_2, "ecdhe") as peer:
        assert "reached" in other(peer.port, handshakes.CA_FILE)
        told = [other(peer.port), other(peer.port, handshakes.CA_FILE, "ECDHE-ECDSA-AES128-SHA")]
    assert "CERTIFICATE_VERIFY_FAILED" in told[0]
    assert "HANDSHAKE_FAILURE" in told[1]
    for answer in (b"HTTP/1.0 400 Bad Request\r\n\r\n", b""):
        with answering(answer) as port:
            told.append(other(port, handshakes.CA_FILE))
    assert [each for each in told if "tlsfloor" in each or "reached" in each] == []


@pytest.mark.parametrize(
    ("version", "option"), [(TLS1_3, "OP_NO_TLSv1_3"), (TLS1_2, "OP_NO_TLSv1_2")]
)
def test_a_version_that_an_option_forbids_is_not_explained(version: int, option: str) -> None:
    """The peer supports the floor, so the message must not say that it does not."""
    with handshakes.ServerPeer(version) as peer:
        assert "reached" in other(peer.port, handshakes.CA_FILE, "DEFAULT")
        told = other(peer.port, handshakes.CA_FILE, "DEFAULT", option)
    assert "PROTOCOL" in told
    assert "tlsfloor" not in told


def test_options_that_forbid_all_versions_are_not_blamed_on_the_peer(old: int) -> None:
    told = other(old, handshakes.CA_FILE, "DEFAULT", "OP_NO_TLSv1_2", "OP_NO_TLSv1_3")
    assert "NO_PROTOCOLS_AVAILABLE" in told
    assert "; tlsfloor: the context allows nothing at or above TLS 1.2, which is the floor" in told
    assert told.endswith("; hint: do not set its options OP_NO_TLSv1_2 and OP_NO_TLSv1_3\n")
    nothing = [f"OP_NO_TLSv1{each}" for each in ("", "_1", "_2", "_3")]
    told = other(old, handshakes.CA_FILE, "DEFAULT", *nothing)
    assert "NO_PROTOCOLS_AVAILABLE" in told
    assert "tlsfloor" not in told


def test_a_maximum_that_was_raised_is_named(old: int) -> None:
    assert reached(old, clean_environment(), TLS1_0, TLS1_1) == "reached"
    told = [reached(old, armed_environment(), TLS1_0, TLS1_1)]
    assert f"tlsfloor: localhost:{old} chose a version below TLS 1.2, which is the" in told[0]
    with answering(bytes([21, 3, 1, 0, 2, 2, 70])) as port:  # the alert protocol_version
        told.append(reached(port, armed_environment(), TLS1_0, TLS1_1))
    assert f"tlsfloor: localhost:{port} does not offer TLS 1.2, which is the floor" in told[1]
    for each in told:
        assert "; the context asked for TLS 1.0 to TLS 1.1; hint: " in each


def test_a_server_that_chooses_an_old_version_is_named() -> None:
    with HelloServerPeer(TLS1_0) as peer:
        told = reached(peer.port, armed_environment(), TLS1_0, 0)
    assert "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol (" in told
    assert f"; tlsfloor: localhost:{peer.port} chose a version below TLS 1.2, which is" in told


SERVER = """
import socket, ssl, sys, warnings
warnings.simplefilter("ignore")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
context.minimum_version = 0x301
if int(sys.argv[2]):
    context.maximum_version = int(sys.argv[2])
for option in sys.argv[3:]:
    context.options |= getattr(ssl, option)
context.set_ciphers("ALL:@SECLEVEL=0")
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    try:
        context.wrap_socket(connection, server_side=True)
        print("reached")
    except ssl.SSLError as error:
        print(error.reason, error)
"""


def served(version: int, env: dict[str, str], *words: object) -> str:
    command = [sys.executable, "-c", SERVER, handshakes.PEER_FILE, *map(str, words or [0])]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        handshakes.call("127.0.0.1", port, version, "rsa")
        return server.stdout.read()


def test_a_server_explains_what_a_client_offers() -> None:
    assert served(TLS1_0, clean_environment()) == "reached\n"
    told = served(TLS1_0, armed_environment())
    assert told.startswith("UNSUPPORTED_PROTOCOL [SSL: UNSUPPORTED_PROTOCOL] unsupported protocol")
    assert "; tlsfloor: the client at 127.0.0.1 offers nothing at or above TLS 1.2, which" in told
    assert told.endswith("; set TLSFLOOR_EVENTS and run tlsfloor report to list all such clients\n")
    # A client that wants more than the server allows by itself.
    for words in ((TLS1_2,), (0, "OP_NO_TLSv1_3")):
        told = served(TLS1_3, armed_environment(), *words)
        assert "UNSUPPORTED_PROTOCOL" in told
        assert "tlsfloor" not in told


@pytest.mark.parametrize("library", ["ssl", "asyncio", "gevent", "eventlet"])
def test_each_handshake_is_one_event(library: str, old: int, tmp_path: Path) -> None:
    """Also with eventlet and gevent, whose sockets call the method of ssl, or none."""
    file = tmp_path / "events.jsonl"
    env = armed_environment(TLSFLOOR_EVENTS=str(file))
    with handshakes.ServerPeer(TLS1_2) as peer:
        assert "reached" in said(library, peer.port, env)
        assert "tlsfloor: " in said(library, old, env)["text"]
    events = [json.loads(line) for line in file.read_text().splitlines()]
    counts = [
        (each["kind"], each["port"], each["count"])
        for each in events
        if each["kind"] in ("handshake", "failed")
    ]
    assert counts == [("handshake", peer.port, 1), ("failed", old, 1)]
