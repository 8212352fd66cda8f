"""ServerHello: what a server chose. The rules are in ``hello``."""

from __future__ import annotations

from tlsfloor.wire.codec import Reader, Writer
from tlsfloor.wire.extensions import SUPPORTED_VERSIONS, read_selected_version
from tlsfloor.wire.hello import Hello
from tlsfloor.wire.messages import SERVER_HELLO

#: The random of a ServerHello that is a HelloRetryRequest, SHA-256 of that word: RFC 8446
#: section 4.1.3.
HELLO_RETRY_REQUEST = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)

#: How the random of a server ends that could have done better, and the highest version that it is
#: settling for: RFC 8446 section 4.1.3.
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
    """A ServerHello or a HelloRetryRequest.

    .. versionadded:: 0.1
    """

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
        """Read the body of a server_hello message; ``WireError`` if it is none.

        .. versionadded:: 0.1
        """
        reader = Reader(body, cls._FIELD)
        hello = cls(
            reader.uint(2, "legacy_version"),
            reader.take(32, "random"),
            reader.opaque(1, "session_id", 0, 32),
            reader.uint(2, "cipher_suite"),
            compression_method=reader.uint(1, "compression_method"),
            extensions=cls._read_extensions(reader),
        )
        reader.done()
        return hello

    def write(self) -> bytes:
        """Return the body of the handshake message; ``WireError`` for what does not fit its field.

        .. versionadded:: 0.1
        """
        out = Writer(self._FIELD)
        out.uint(2, self.legacy_version, "legacy_version")
        out.data += self.random
        out.opaque(1, self.session_id, "session_id")
        out.uint(2, self.cipher_suite, "cipher_suite")
        out.uint(1, self.compression_method, "compression_method")
        return self._write_extensions(out)

    def version(self) -> int:
        """Return the version selected; ``WireError`` if supported_versions is malformed.

        .. versionadded:: 0.1
        """
        body = self._body(SUPPORTED_VERSIONS, "supported_versions")
        return self.legacy_version if body is None else read_selected_version(body)

    def is_retry(self) -> bool:
        """Tell whether this is a HelloRetryRequest: RFC 8446 section 4.1.3.

        .. versionadded:: 0.1
        """
        return self.random == HELLO_RETRY_REQUEST

    def downgrade(self) -> int | None:
        """Return what the random confesses: the server could have done better than this version.

        0x0303: it does TLS 1.3 and negotiates 1.2. 0x0302: it does 1.2 or 1.3 and negotiates 1.1
        or less. ``None``: nothing.

        .. versionadded:: 0.1
        """
        return DOWNGRADES.get(self.random[-8:])
