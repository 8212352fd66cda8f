"""The other end of a handshake, which the judge brings itself.

A refusal proves something only when the peer could have said yes. The local OpenSSL often could not
(an ``openssl s_server`` of OpenSSL 3 speaks no TLS 1.0 at its default security level), so the peers
here are tlslite-ng's: pure Python, the same on every machine. A peer speaks one version, with one
kind of key exchange, to everybody, on loopback, and notes what it saw of each connection.
"""

from __future__ import annotations

import socket
import time
from functools import lru_cache

from tlsfloor import versions
from tlsfloor.errors import VerifyError
from tlsfloor.peers.base import CA_FILE, PEER_FILE, TIMEOUT, Peer, Seen
from tlsfloor.peers.recording import Line

try:
    from tlslite.constants import CipherSuite
    from tlslite.handshakesettings import HandshakeSettings
    from tlslite.tlsconnection import TLSConnection
    from tlslite.utils.keyfactory import parsePEMKey
    from tlslite.x509certchain import X509CertChain
except ImportError as error:
    raise VerifyError(
        f"the verifier's peers need tlslite-ng: {error}", hint="pip install 'tlsfloor[verify]'"
    ) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["CA_FILE", "PEER_FILE", "TIMEOUT", "ClientPeer", "Peer", "Seen", "ServerPeer", "call"]

#: Kinds of key exchange, and what tlslite-ng calls them. OpenSSL 3.0 refuses legacy TLS at its
#: default security level only where a SHA-1 signature is needed: with ECDHE, and not with static
#: RSA.
KEY_EXCHANGES = {"rsa": ["rsa"], "ecdhe": ["ecdhe_rsa"]}

# What a Redis says to these commands: HELLO wants a map, of one key here (the RESP3 specification).
_RESP = {b"PING": b"+PONG\r\n", b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}

# What clients ask for; with none, tlslite-ng fails on a TLS 1.3 client that asks (RFC 7301).
_ALPN = (b"http/1.1", b"postgresql")

# Bytes at a time: four records (RFC 8446 section 5.1).
_CHUNK = 4 * 2**14

# What a client asks for, unless it is told otherwise.
_REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def answer(data: bytes, version: int) -> bytes:
    """Return a peer's reply: to RESP commands what Redis says, else a page that names the version.

    Empty as long as a request is not whole.
    """
    if data.startswith(b"*"):
        lines = data.split(b"\r\n")
        commands = [
            lines[place + 2].upper() for place, line in enumerate(lines) if line.startswith(b"*")
        ]
        return b"".join(_RESP.get(command, b"+OK\r\n") for command in commands)
    if b"\r\n\r\n" not in data:
        return b""
    name = next(name for name, wire in versions.OPENSSL_NAMES.items() if wire == version)
    page = f"Protocol : {name}\n".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
    return head.encode() + page


class _Settings(HandshakeSettings):  # type: ignore[misc] # tlslite-ng has no types
    """Settings that no floor of this process raises: a peer has to be able to say yes."""

    # What a guard of tlslite-ng puts in its place names what was there (functools.wraps).
    validate = getattr(HandshakeSettings.validate, "__wrapped__", HandshakeSettings.validate)


class ServerPeer(Peer):
    """A server.

    Args:
        version: from SSL 3.0 to TLS 1.3.
        key_exchange: ``"rsa"`` or ``"ecdhe"``; TLS 1.3 has no static RSA, and does not look.
        client_certificate: ask for one, and refuse who has none.
        before_tls: what to say on the plain socket first, for STARTTLS.
        reply: what to say to the data of a request; ``answer`` unless given.
        alpn: the application protocols that it speaks.
        identity: a file with an RSA key and its certificate, in PEM.
        host: the address to listen at.
        port: the port to listen at; 0 is a free one.

    .. versionadded:: 0.1
    """

    def __init__(
        self,
        version: int,
        key_exchange: str = "rsa",
        *,
        client_certificate: bool = False,
        before_tls: Callable[[socket.socket], None] | None = None,
        reply: Callable[[bytes, int], bytes] = answer,
        alpn: Sequence[bytes] = _ALPN,
        identity: str = PEER_FILE,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(version, host=host, port=port)
        self._settings = settings(version, key_exchange)
        self._client_certificate = client_certificate
        self._before_tls = before_tls
        self._reply = reply
        self._alpn = [bytearray(each) for each in alpn]
        self._file = identity

    def _speak(self, connection: socket.socket, seen: Seen) -> None:
        if self._before_tls is not None:
            self._before_tls(connection)
        line = Line(connection)
        tls = TLSConnection(line)
        chain, key = identity(self._file)
        try:
            tls.handshakeServer(
                certChain=chain,
                privateKey=key,
                reqCert=self._client_certificate,
                settings=self._settings,
                alpn=self._alpn,
            )
        finally:
            seen.offered = line.client_hello()
        if self._client_certificate and not tls.session.clientCertChain:
            raise VerifyError("the client sent no certificate")
        _note(seen, tls)
        self.told(seen)
        pending = b""
        while True:
            received = bytes(tls.recv(_CHUNK))
            if not received:
                return
            seen.data = seen.data or received
            pending += received
            reply = self._reply(pending, self.version)
            if reply:
                pending = b""
                tls.sendall(reply)
                if b"Connection: close" in reply:
                    tls.close()
                    return


class ClientPeer(Peer):
    """A client that waits to be called: it speaks TLS as a client to whoever connects.

    So a probe needs no port of its own to be tried as a server.

    .. versionadded:: 0.1
    """

    def __init__(self, version: int, key_exchange: str) -> None:
        super().__init__(version)
        self._settings = settings(version, key_exchange)

    def _speak(self, connection: socket.socket, seen: Seen) -> None:
        _ask(connection, seen, self._settings)


def call(
    host: str,
    port: int,
    version: int,
    key_exchange: str = "rsa",
    *,
    client_certificate: bool = False,
    timeout: float = TIMEOUT,
    server_name: str = "",
    request: bytes = _REQUEST,
) -> Seen:
    """Connect as a client that speaks ``version`` only, send a request, read an answer.

    The certificate of the server is not verified: who the server is does not matter here. With an
    empty ``request`` the handshake is all. ``timeout`` is for connecting, and again for all that
    follows.

    Raises:
        OSError: there is nothing to connect to.

    .. versionadded:: 0.1
    """
    seen = Seen()
    with socket.create_connection((host, port), timeout) as connection:
        try:
            mine = identity(PEER_FILE) if client_certificate else (None, None)
            line = Line(connection, time.monotonic() + timeout)
            chosen = settings(version, key_exchange)
            if key_exchange == "ecdhe" and version < versions.TLS1_3:
                # Whatever its certificate is.
                chosen.keyExchangeNames = ["ecdhe_rsa", "ecdhe_ecdsa"]
            _ask(line, seen, chosen, mine, server_name, request)
        except Exception as error:  # noqa: BLE001 - whatever went wrong is an observation
            seen.error = f"{type(error).__name__}: {error}".rstrip(": ")
    return seen


def _ask(
    connection: socket.socket | Line,
    seen: Seen,
    chosen: Any,
    mine: tuple[Any, Any] = (None, None),
    server_name: str = "",
    request: bytes = _REQUEST,
) -> None:
    tls = TLSConnection(connection)
    tls.handshakeClientCert(*mine, settings=chosen, serverName=server_name or None)
    if request:
        tls.sendall(request)
        # In TLS 1.3 the server may still refuse what a client sends last: only data tells.
        seen.data = bytes(tls.recv(_CHUNK))
        if not seen.data:
            raise VerifyError("closed without an answer")
    _note(seen, tls)
    tls.close()


def settings(version: int, key_exchange: str) -> Any:
    """Return tlslite-ng's settings for one version and one kind of key exchange."""
    chosen = _Settings()
    number = (version >> 8, version & 0xFF)
    chosen.minVersion = chosen.maxVersion = number
    # Without this a client that can do better is still given better.
    chosen.versions = [number]
    # It has no such extension (RFC 7627 section 4), and tlslite-ng would fail amid the handshake.
    chosen.useExtendedMasterSecret = version > versions.SSL3
    if version < versions.TLS1_3:
        chosen.keyExchangeNames = KEY_EXCHANGES[key_exchange]
    else:  # RFC 8446 has no brainpool curves, and tlslite-ng does not drop them by itself
        chosen.eccCurves = [curve for curve in chosen.eccCurves if "brainpool" not in curve]
    return chosen


@lru_cache(maxsize=None)
def identity(path: str) -> tuple[Any, Any]:
    """Return the certificates and the key of a PEM file; any exception if they are not there.

    Read once: to parse a key and to blind it costs half as much as to use it.
    """
    with open(path, encoding="ascii") as file:
        pem = file.read()
    chain = X509CertChain()
    chain.parsePemList(pem)
    return chain, parsePEMKey(pem, private=True)


def suite_name(number: int) -> str:
    """Return the IANA name of a cipher suite; of an unknown one its hex."""
    name: str = CipherSuite.ietfNames.get(number, f"0x{number:04x}")
    return name


def _note(seen: Seen, tls: Any) -> None:
    seen.version = tls.version[0] << 8 | tls.version[1]
    seen.suite = suite_name(tls.session.cipherSuite)
