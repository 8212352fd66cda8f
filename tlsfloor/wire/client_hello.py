"""ClientHello: what a client offers. The rules are in ``hello``.

One more: what is offered for sure and what may be are kept apart. A client without
supported_versions names only the highest version, so nothing here invents the rest.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Reader, Writer
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

#: Not cipher suites but signals in the list of them ("signaling cipher suite value").
TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF  # an empty renegotiation_info: RFC 5746 section 3.3
TLS_FALLBACK_SCSV = 0x5600  # "I could do better, and retry lower": RFC 7507 section 2

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
    """A ClientHello. Suites are 16-bit numbers, extensions pairs of a 16-bit number and a body.

    .. versionadded:: 0.1
    """

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
        """Read the body of a client_hello message; ``WireError`` if it is none.

        .. versionadded:: 0.1
        """
        reader = Reader(body, cls._FIELD)
        hello = cls(
            reader.uint(2, "legacy_version"),
            reader.take(32, "random"),
            reader.opaque(1, "session_id", 0, 32),
            reader.vector(2, "cipher_suites", 2).numbers(2),
            compression_methods=reader.opaque(1, "compression_methods", 1),
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
        out.numbers(2, 2, self.cipher_suites, "cipher_suites")
        out.opaque(1, self.compression_methods, "compression_methods")
        return self._write_extensions(out)

    def supported_versions(self) -> list[int] | None:
        """Return what that extension lists, as it came; ``None`` without it, ``WireError`` if bad.

        .. versionadded:: 0.1
        """
        body = self._body(SUPPORTED_VERSIONS, "supported_versions")
        return None if body is None else read_supported_versions(body)

    def versions(self) -> list[int]:
        """Return the versions that are certainly offered, in the client's order, GREASE included.

        Without supported_versions that is one, the highest: how far down such a client goes, it
        keeps to itself. ``WireError`` if the extension is malformed.

        .. versionadded:: 0.1
        """
        versions = self.supported_versions()
        # RFC 8446 section 4.2.1: without the extension it is TLS 1.2 or less, whatever is claimed.
        return [min(self.legacy_version, _TLS1_2)] if versions is None else versions

    def highest_version(self) -> int | None:
        """Return the highest version offered, or ``None`` if none of them is SSL or TLS.

        What isn't 0x03xx (GREASE, DTLS, drafts) does not count, save SSL 2.0, 0x0002. ``WireError``
        if supported_versions is malformed.

        .. versionadded:: 0.1
        """
        return max((v for v in self.versions() if v >> 8 == 3 or v == _SSL2), default=None)

    def server_name(self) -> str | None:
        """Return the host name asked for; ``None`` without one, ``WireError`` if malformed.

        .. versionadded:: 0.1
        """
        body = self._body(SERVER_NAME, "server_name")
        return None if body is None else read_server_name(body)

    def alpn(self) -> list[bytes] | None:
        """Return the application protocols offered; ``None`` without, ``WireError`` if malformed.

        .. versionadded:: 0.1
        """
        body = self._body(ALPN, "alpn")
        return None if body is None else read_alpn(body)
