"""ServerHello: what a server chose. The rules are in ``hello``."""

from __future__ import annotations

from tlsfloor.wire.codec import Reader
from tlsfloor.wire.extensions import SUPPORTED_VERSIONS, read_selected_version
from tlsfloor.wire.hello import Hello
from tlsfloor.wire.messages import SERVER_HELLO

#: The random of a ServerHello that is a HelloRetryRequest, the SHA-256 of "HelloRetryRequest":
#: RFC 8446 section 4.1.3.
HELLO_RETRY_REQUEST = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)

#: The last 8 bytes of the random of a server that supports a higher version, and the highest
#: version that it may have negotiated then: RFC 8446 section 4.1.3.
DOWNGRADES = {b"DOWNGRD\x01": 0x0303, b"DOWNGRD\x00": 0x0302}


# struct {
#     ProtocolVersion legacy_version;
#     Random random;
#     opaque legacy_session_id_echo<0..32>;
#     CipherSuite cipher_suite;
#     uint8 legacy_compression_method;
#     Extension extensions<6..2^16-1>;                 /* may be absent up to TLS 1.2 */
# } ServerHello;
#
# RFC 8446 section 4.1.3; RFC 5246, 4346 and 2246 section 7.4.1.3
class ServerHello(Hello):
    """A ServerHello or a HelloRetryRequest."""

    __slots__ = (
        "legacy_version",
        "random",
        "session_id",
        "cipher_suite",
        "compression_method",
        "extensions",
    )

    _FIELD = "server_hello"
    _MSG_TYPE = SERVER_HELLO

    def __init__(
        self,
        legacy_version: int,
        random: bytes,
        session_id: bytes,
        cipher_suite: int,
        *,
        compression_method: int = 0,
        extensions: list[tuple[int, bytes]] | None = None,
    ) -> None:
        self.legacy_version = legacy_version
        self.random = random
        self.session_id = session_id
        self.cipher_suite = cipher_suite
        self.compression_method = compression_method
        self.extensions = extensions

    @classmethod
    def parse(cls, body: bytes) -> ServerHello:
        """Parse the body of the handshake message; ``WireError`` if it is not a ServerHello."""
        reader = Reader(body, cls._FIELD)
        return cls(
            *cls._read_head(reader),
            reader.uint(2, "cipher_suite"),
            compression_method=reader.uint(1, "compression_method"),
            extensions=cls._read_extensions(reader),
        )

    def write(self) -> bytes:
        """Return the body of the handshake message; ``WireError`` if a value exceeds its field."""
        out = self._write_head()
        out.uint(2, self.cipher_suite, "cipher_suite")
        out.uint(1, self.compression_method, "compression_method")
        return self._write_extensions(out)

    def version(self) -> int:
        """Return the selected version; ``WireError`` if supported_versions is malformed."""
        body = self._body(SUPPORTED_VERSIONS, "supported_versions")
        return self.legacy_version if body is None else read_selected_version(body)

    def is_retry(self) -> bool:
        """Return whether this is a HelloRetryRequest: RFC 8446 section 4.1.3."""
        return self.random == HELLO_RETRY_REQUEST

    def downgrade(self) -> int | None:
        """Return the highest version that a server with this random may have negotiated.

        0x0303: the server supports TLS 1.3 and negotiates TLS 1.2. 0x0302: it supports TLS 1.2 or
        1.3 and negotiates TLS 1.1 or lower. ``None``: the random does not say.
        """
        return DOWNGRADES.get(self.random[-8:])
