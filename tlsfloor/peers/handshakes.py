"""Peers that complete handshakes: servers and clients of tlslite-ng.

How it works: a refusal proves something only if the peer could have accepted. The local OpenSSL
often could not (``openssl s_server`` of OpenSSL 3 does not speak TLS 1.0 at its default security
level). So these peers are tlslite-ng's: pure Python, the same on every machine. A peer speaks one
version with one kind of key exchange, and records what it saw of each connection.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import lru_cache
from socket import create_connection
from socket import timeout as socket_timeout

from tlsfloor import versions
from tlsfloor.errors import VerifyError
from tlsfloor.peers.base import CA_FILE, PEER_FILE, SERVER_FILE, TIMEOUT, Peer, SeenConnection
from tlsfloor.peers.protocols import line_of
from tlsfloor.peers.recording import RecordingSocket

try:
    from tlsfloor.peers import _tlslite  # isort: skip - before tlslite
    from tlslite.constants import CipherSuite
    from tlslite.handshakesettings import HandshakeSettings
    from tlslite.tlsconnection import TLSConnection
    from tlslite.utils.keyfactory import parsePEMKey
    from tlslite.x509certchain import X509CertChain

    from tlsfloor.peers.server_key import ServerKey
except ImportError as error:
    raise VerifyError(
        f"the verifier's peers need tlslite-ng: {error}", hint="pip install 'tlsfloor[verify]'"
    ) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["CA_FILE", "PEER_FILE", "TIMEOUT", "ClientPeer", "Peer", "ServerPeer", "call"]

#: The kinds of key exchange, and their names in tlslite-ng. OpenSSL 3.0 refuses legacy TLS at its
#: default security level only where a SHA-1 signature is needed: with ECDHE, not with static RSA.
KEY_EXCHANGES = {"rsa": ["rsa"], "ecdhe": ["ecdhe_rsa"]}

# The replies of a Redis to these commands; that to HELLO is a map of one key (RESP3 specification).
_RESP = {b"PING": b"+PONG\r\n", b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}

# The protocols that clients ask for. With none, tlslite-ng fails for a TLS 1.3 client that asks
# (RFC 7301).
_ALPN = (b"http/1.1", b"postgresql")

# The format of points that everybody has to support (RFC 8422 section 5.1.2).
_UNCOMPRESSED = 0

# Bytes to read at a time: four records (RFC 8446 section 5.1).
_CHUNK = 4 * 2**14

# Seconds to wait for the answer to a client certificate in TLS 1.3: there may be none.
_PATIENCE = 0.25

_REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def default_reply(data: bytes, version: int) -> bytes:
    """Return what a Redis replies to its commands, or else a page that names the version.

    Empty while the request is not complete.
    """
    if data.startswith(b"*"):
        lines = data.split(b"\r\n")
        commands = [
            lines[index + 2].upper() for index, line in enumerate(lines) if line.startswith(b"*")
        ]
        return b"".join(_RESP.get(command, b"+OK\r\n") for command in commands)
    if b"\r\n\r\n" not in data:
        return b""
    page = line_of(version) + b"\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
    return head.encode() + page


class _Settings(HandshakeSettings):  # type: ignore[misc] # tlslite-ng has no types
    """Settings without the floor of this process: a peer has to be able to accept."""

    # The guard of tlslite-ng replaces this function, and keeps the original (functools.wraps).
    validate = getattr(HandshakeSettings.validate, "__wrapped__", HandshakeSettings.validate)


class _Client(TLSConnection):  # type: ignore[misc] # tlslite-ng has no types
    """Notices whether the server asks for a certificate: only then is this function called."""

    certificate_requested = False

    def _create_cert_msg(self, *args: Any, **options: Any) -> Any:
        self.certificate_requested = True
        return super()._create_cert_msg(*args, **options)


class ServerPeer(Peer):
    """A server.

    Args:
        version: from SSL 3.0 to TLS 1.3.
        key_exchange: ``"rsa"`` or ``"ecdhe"``; ignored in TLS 1.3, which has no static RSA.
        client_certificate: demand a client certificate.
        before_tls: what to do on the plain socket first, for STARTTLS.
        reply: returns the reply to a request.
        identity: a PEM file with an RSA key and its certificate.
        alpn: the application protocols to choose from; gRPC needs ``h2``.
        host: the address to listen at.
        port: the port to listen at; 0 means a free port.
    """

    def __init__(
        self,
        version: int,
        key_exchange: str = "rsa",
        *,
        client_certificate: bool = False,
        before_tls: Callable[[socket.socket], None] | None = None,
        reply: Callable[[bytes, int], bytes] = default_reply,
        identity: str = SERVER_FILE,
        alpn: Sequence[bytes] = _ALPN,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(version, host=host, port=port)
        self._settings = settings(version, key_exchange)
        self._alpn = [bytearray(protocol) for protocol in alpn]
        self._client_certificate = client_certificate
        self._before_tls = before_tls
        self._reply = reply
        self._file = identity

    def _speak(self, connection: socket.socket, seen: SeenConnection) -> None:
        _tlslite.key_is.one = True
        if self._before_tls is not None:
            self._before_tls(connection)
        recording = RecordingSocket(connection)
        tls = TLSConnection(recording)
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
            seen.offered = recording.client_hello()
        if self._client_certificate and not tls.session.clientCertChain:
            raise VerifyError("the client sent no certificate")
        _record_result(seen, tls)
        self.on_handshake(seen)
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
    """A TLS client that listens: it sends its hello over each connection that it accepts.

    So a probe that is tested as a server does not need a port of its own.
    """

    def __init__(self, version: int, key_exchange: str) -> None:
        super().__init__(version)
        self._settings = settings(version, key_exchange)

    def _speak(self, connection: socket.socket, seen: SeenConnection) -> None:
        _tlslite.key_is.one = True
        _request(connection, seen, self._settings)


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
    before_tls: Callable[[RecordingSocket], None] | None = None,
    own: tuple[Any, Any] | None = None,
) -> SeenConnection:
    """Connect as a client that speaks one version only, send a request and read an answer.

    The certificate of the server is not verified. An empty ``request`` means that the handshake is
    all. ``timeout`` is for the connection, and again for everything that follows. ``before_tls``
    says what comes before TLS in plain text (STARTTLS). ``own`` is a certificate chain and its key,
    which is presented if the server asks for it; ``client_certificate`` takes that of the peers.

    Raises:
        OSError: the connection failed.
    """
    seen = SeenConnection()
    with create_connection((host, port), timeout) as connection:
        try:
            recording = RecordingSocket(connection, time.monotonic() + timeout)
            if before_tls is not None:
                before_tls(recording)
            client_settings = settings(version, key_exchange)
            if key_exchange == "ecdhe" and version < versions.TLS1_3:
                # The certificate of the server may have a key of either kind.
                client_settings.keyExchangeNames = ["ecdhe_rsa", "ecdhe_ecdsa"]
            # It would compress the certificate although the server did not ask for that.
            client_settings.certificate_compression_send = []
            if client_certificate:
                own = identity(PEER_FILE)
            _request(recording, seen, client_settings, own or (None, None), server_name, request)
        except Exception as error:  # noqa: BLE001 - any error is an observation
            seen.fail(error)
    return seen


def _request(
    connection: socket.socket | RecordingSocket,
    seen: SeenConnection,
    client_settings: Any,
    own: tuple[Any, Any] = (None, None),
    server_name: str = "",
    request: bytes = _REQUEST,
) -> None:
    tls = _Client(connection)
    begin = time.monotonic()
    try:
        tls.handshakeClientCert(*own, settings=client_settings, serverName=server_name or None)
    finally:
        seen.certificate_requested = tls.certificate_requested
    if request:
        tls.sendall(request)
        # In TLS 1.3 the server may still refuse the client's last message: only data proves it.
        seen.data = bytes(tls.recv(_CHUNK))
        if not seen.data:
            raise VerifyError("closed without an answer")
    _record_result(seen, tls)
    is_undecided = tls.certificate_requested and tls.version == (3, 4) and not request
    if is_undecided and isinstance(connection, RecordingSocket):
        # The server may still refuse the client's certificate, one round trip later.
        seen.version, version = None, seen.version
        connection.hurry(max(_PATIENCE, time.monotonic() - begin))
        with suppress(socket_timeout):
            if not tls.recv(1):
                raise ConnectionError("it closes the connection after the handshake")
        seen.version = version
    tls.close()


def settings(version: int, key_exchange: str) -> Any:
    """Return tlslite-ng's settings for one version and one kind of key exchange."""
    found = _Settings()
    number = (version >> 8, version & 0xFF)
    found.minVersion = found.maxVersion = number
    # Without this, a client that supports a higher version still gets it.
    found.versions = [number]
    # SSL 3.0 does not have this extension (RFC 7627 section 4): tlslite-ng would fail with it.
    found.useExtendedMasterSecret = version > versions.SSL3
    # A client of mbedTLS 2 takes the first format that the server names, offered or not.
    found.ec_point_formats = [_UNCOMPRESSED]
    if version < versions.TLS1_3:
        found.keyExchangeNames = KEY_EXCHANGES[key_exchange]
    else:  # RFC 8446 has no brainpool curves, and tlslite-ng does not remove them
        found.eccCurves = [curve for curve in found.eccCurves if "brainpool" not in curve]
    return found


@lru_cache(maxsize=None)
def identity(path: str) -> tuple[Any, Any]:
    """Return the certificates and the key of a PEM file; raises any exception if it is not one.

    Cached, as parsing and blinding a key takes half as long as using it.
    """
    with open(path, encoding="ascii") as file:
        pem = file.read()
    chain = X509CertChain()
    chain.parsePemList(pem)
    return chain, ServerKey() if path == SERVER_FILE else parsePEMKey(pem, private=True)


def suite_name(number: int) -> str:
    """Return the IANA name of a cipher suite; hex if it is unknown."""
    name: str = CipherSuite.ietfNames.get(number, f"0x{number:04x}")
    return name


def _record_result(seen: SeenConnection, tls: Any) -> None:
    seen.version = tls.version[0] << 8 | tls.version[1]
    seen.suite = suite_name(tls.session.cipherSuite)
