"""ClientHello: what a client offers. The rules are in ``hello``.

One more rule: a version counts as offered only if the hello says so. A client that does not send
supported_versions names only the highest version, so nothing here guesses the others.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Reader
from tlsfloor.wire.extensions import (
    ALPN,
    SERVER_NAME,
    SUPPORTED_VERSIONS,
    read_alpn,
    read_server_name,
    read_supported_versions,
)
from tlsfloor.wire.hello import Hello
from tlsfloor.wire.messages import CLIENT_HELLO

#: Signals in the list of cipher suites, not suites ("signaling cipher suite value").
TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF  # an empty renegotiation_info: RFC 5746 section 3.3
TLS_FALLBACK_SCSV = 0x5600  # this client supports more, and retries with less: RFC 7507 section 2

_SSL2, _TLS1_2 = 0x0002, 0x0303


# struct {
#     ProtocolVersion legacy_version;
#     Random random;                                   /* opaque Random[32] */
#     opaque legacy_session_id<0..32>;
#     CipherSuite cipher_suites<2..2^16-2>;            /* uint8 CipherSuite[2] */
#     opaque legacy_compression_methods<1..2^8-1>;
#     Extension extensions<8..2^16-1>;                 /* may be absent up to TLS 1.2 */
# } ClientHello;
#
# RFC 8446 section 4.1.2; RFC 5246 section 7.4.1.2; RFC 4346 and 2246 section 7.4.1.2
class ClientHello(Hello):
    """A ClientHello. Suites are 16-bit numbers; an extension is a 16-bit number and a body."""

    __slots__ = (
        "legacy_version",
        "random",
        "session_id",
        "cipher_suites",
        "compression_methods",
        "extensions",
    )

    _FIELD = "client_hello"
    _MSG_TYPE = CLIENT_HELLO

    def __init__(
        self,
        legacy_version: int,
        random: bytes,
        session_id: bytes,
        cipher_suites: list[int],
        *,
        compression_methods: bytes = b"\0",
        extensions: list[tuple[int, bytes]] | None = None,
    ) -> None:
        self.legacy_version = legacy_version
        self.random = random
        self.session_id = session_id
        self.cipher_suites = cipher_suites
        self.compression_methods = compression_methods
        self.extensions = extensions

    @classmethod
    def parse(cls, body: bytes) -> ClientHello:
        """Parse the body of the handshake message; ``WireError`` if it is not a ClientHello."""
        reader = Reader(body, cls._FIELD)
        return cls(
            *cls._read_head(reader),
            reader.vector(2, "cipher_suites", 2).numbers(2),
            compression_methods=reader.opaque(1, "compression_methods", 1),
            extensions=cls._read_extensions(reader),
        )

    def write(self) -> bytes:
        """Return the body of the handshake message; ``WireError`` if a value exceeds its field."""
        out = self._write_head()
        out.numbers(2, 2, self.cipher_suites, "cipher_suites")
        out.opaque(1, self.compression_methods, "compression_methods")
        return self._write_extensions(out)

    def supported_versions(self) -> list[int] | None:
        """Return what supported_versions lists; ``None`` if absent, ``WireError`` if malformed."""
        body = self._body(SUPPORTED_VERSIONS, "supported_versions")
        return None if body is None else read_supported_versions(body)

    def versions(self) -> list[int]:
        """Return the versions that are certainly offered, in the client's order, with GREASE.

        Without supported_versions that is one version, the highest: such a client does not say
        which lower versions it accepts. Raises ``WireError`` if the extension is malformed.
        """
        versions = self.supported_versions()
        # RFC 8446 section 4.2.1: without the extension the version is at most TLS 1.2.
        return [min(self.legacy_version, _TLS1_2)] if versions is None else versions

    def highest_version(self) -> int | None:
        """Return the highest version offered, or ``None`` if none of them is SSL or TLS.

        Only 0x03xx and SSL 2.0 (0x0002) count: GREASE, DTLS and drafts do not. Raises ``WireError``
        if supported_versions is malformed.
        """
        return max((v for v in self.versions() if v >> 8 == 3 or v == _SSL2), default=None)

    def server_name(self) -> str | None:
        """Return the host name asked for; ``None`` if absent, ``WireError`` if malformed."""
        body = self._body(SERVER_NAME, "server_name")
        return None if body is None else read_server_name(body)

    def alpn(self) -> list[bytes] | None:
        """Return the protocols offered; ``None`` if absent, ``WireError`` if malformed."""
        body = self._body(ALPN, "alpn")
        return None if body is None else read_alpn(body)
