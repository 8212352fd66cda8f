"""A handshake that fails because of the floor says so; one that fails otherwise does not."""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import HERE, armed_environment, clean_environment, python
from parts import need
from tlsfloor.verify import peers
from tlsfloor.versions import TLS1_0, TLS1_1, TLS1_2, TLS1_3

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARIES = {
    "ssl": (),
    "urllib3": ("urllib3",),
    "requests": ("requests",),
    "botocore": ("botocore",),
    "redis": ("redis",),
    "aiohttp": ("aiohttp",),
    "asyncio": (),
}

PROGRAM = str(HERE / "programs" / "explained.py")


@pytest.fixture(scope="module")
def old() -> Iterator[int]:
    with peers.ServerPeer(TLS1_0) as peer:
        yield peer.port


def said(library: str, port: int, env: dict[str, str], low: int = TLS1_0, high: int = 0) -> str:
    done = python(PROGRAM, library, str(port), peers.CA_FILE, str(low), str(high), env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_traceback_names_floor_owner_peer_and_what_to_run(library: str, old: int) -> None:
    need(*LIBRARIES[library])
    # The control: it speaks TLS 1.0. (Not all of them take the peer's answer for one.)
    control = said(library, old, clean_environment())
    assert "PROTOCOL_VERSION" not in control
    assert control.endswith(("reached\n", "notes:\n"))
    text = said(library, old, armed_environment())
    assert "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version" in text
    traceback, _, notes = text.partition("\nnotes: ")
    words = (
        f"localhost:{old} offers nothing at or above TLS 1.2",
        "set by the default through ",
        "the context asked for TLS 1.0",
        f"hint: tlsfloor check localhost:{old}",
    )
    assert [each for each in words if each not in notes] == []
    if sys.version_info >= (3, 11):
        assert words[0] in traceback


def reached(port: int, env: dict[str, str], low: int, high: int) -> str:
    text = said("ssl", port, env, low, high)
    return "reached" if text == "reached\n" else text


def silent(listener: socket.socket) -> int:
    listener.listen()
    return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("version", "low", "high", "error"),
    [
        # The program's own bounds keep it from the peer, with the floor as without.
        (TLS1_1, TLS1_2, 0, "PROTOCOL_VERSION"),
        (TLS1_2, TLS1_3, 0, "PROTOCOL_VERSION"),
        (TLS1_3, TLS1_0, TLS1_2, "PROTOCOL_VERSION"),
    ],
)
def test_a_version_that_the_program_itself_keeps_out_gets_no_note(
    version: int, low: int, high: int, error: str
) -> None:
    with peers.ServerPeer(version) as peer:
        assert error in said("ssl", peer.port, clean_environment(), low, high)
        text = said("ssl", peer.port, armed_environment(), low, high)
    assert error in text
    assert text.endswith("\nnotes:\n")


OTHERS = """
import socket, ssl, sys, threading
port = int(sys.argv[1])
context = ssl.create_default_context(cafile=sys.argv[2] if len(sys.argv) > 2 else None)
context.minimum_version = 0x301
if sys.argv[3:]:
    context.set_ciphers(sys.argv[3])
try:
    context.wrap_socket(socket.create_connection(("localhost", port)), server_hostname="localhost")
    print("reached")
except OSError as error:
    print(type(error).__name__, getattr(error, "reason", ""), getattr(error, "__notes__", []))
"""


def other(port: int, *words: str) -> str:
    done = python("-W", "ignore", "-c", OTHERS, str(port), *words, env=armed_environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_failure_gets_no_note(tmp_path: Path) -> None:
    """An unknown certificate, no cipher in common, a peer without TLS, one that hangs up."""
    with peers.ServerPeer(TLS1_2, "ecdhe") as peer:
        assert "reached" in other(peer.port, peers.CA_FILE)
        assert other(peer.port) == "SSLCertVerificationError CERTIFICATE_VERIFY_FAILED []\n"
        told = other(peer.port, peers.CA_FILE, "ECDHE-ECDSA-AES128-SHA")
        assert told.endswith("HANDSHAKE_FAILURE []\n")
    for answer in (b"HTTP/1.0 400 Bad Request\r\n\r\n", b""):
        with socket.create_server(("localhost", 0)) as listener:
            import threading

            def reply(listener: socket.socket = listener, answer: bytes = answer) -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1)
                    connection.sendall(answer)

            thread = threading.Thread(target=reply)
            thread.start()
            assert other(listener.getsockname()[1], peers.CA_FILE).endswith("[]\n")
            thread.join()


SERVER = """
import socket, ssl, sys, warnings
warnings.simplefilter("ignore")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
context.minimum_version = 0x301
if sys.argv[2:]:
    context.maximum_version = int(sys.argv[2])
context.set_ciphers("ALL:@SECLEVEL=0")
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    try:
        context.wrap_socket(connection, server_side=True)
        print("reached")
    except ssl.SSLError as error:
        print(error.reason, getattr(error, "__notes__", []))
"""


def served(version: int, env: dict[str, str], *words: str) -> str:
    import subprocess

    command = [sys.executable, "-c", SERVER, peers.PEER_FILE, *words]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        peers.call("127.0.0.1", port, version, "rsa")
        return server.stdout.read()


def test_a_server_says_it_of_a_client() -> None:
    assert served(TLS1_0, clean_environment()) == "reached\n"
    told = served(TLS1_0, armed_environment())
    assert told.startswith("UNSUPPORTED_PROTOCOL ['tlsfloor: the client offers nothing at or above")
    # A client that wants more than the server allows by itself.
    assert "[]" in served(TLS1_3, armed_environment(), str(int(ssl.TLSVersion.TLSv1_2)))
