"""What ClientHello and ServerHello have in common. They decide the version of a connection.

The rules of both:

- ``legacy_version`` alone never says the version. From TLS 1.3 on it is always 0x0303, and the
  version is in the extension supported_versions (RFC 8446 sections 4.1.2, 4.1.3 and 4.2.1). Use
  ``ClientHello.versions()`` and ``ServerHello.version()``.
- A hello without a block of extensions is legal (RFC 5246 section 7.4.1.2), and differs from one
  with an empty block: ``extensions`` is ``None`` or ``[]``.
- What a peer must not send but can be parsed is kept as evidence: unknown numbers, GREASE, an
  extension that is sent twice. What cannot be parsed, or breaks the bounds of a vector, raises
  ``WireError``.
- ``parse(body).write() == body`` for every body that can be parsed.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Reader, Struct, Writer
from tlsfloor.wire.messages import Handshake
from tlsfloor.wire.records import HANDSHAKE, MAX_PLAINTEXT, write_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Hello(Struct):
    """The base class: the fields that both hellos begin and end with, and the extensions."""

    __slots__ = ()

    _FIELD = "hello"
    _MSG_TYPE = 0

    legacy_version: int
    random: bytes
    session_id: bytes
    extensions: list[tuple[int, bytes]] | None
    write: Callable[[], bytes]

    @staticmethod
    def _read_head(reader: Reader) -> tuple[int, bytes, bytes]:
        version = reader.uint(2, "legacy_version")
        return version, reader.take(32, "random"), reader.opaque(1, "session_id", 0, 32)

    def _write_head(self) -> Writer:
        out = Writer(self._FIELD)
        out.uint(2, self.legacy_version, "legacy_version")
        out.data += self.random
        out.opaque(1, self.session_id, "session_id")
        return out

    # struct {
    #     ExtensionType extension_type;
    #     opaque extension_data<0..2^16-1>;
    # } Extension;
    #
    # RFC 8446 section 4.2. Its minimum length of the block (8 bytes in a ClientHello, 6 in a
    # ServerHello) is not enforced: RFC 5246 section 7.4.1.4 has none.
    @staticmethod
    def _read_extensions(reader: Reader) -> list[tuple[int, bytes]] | None:
        if not reader.left:
            return None
        block = reader.vector(2, "extensions")
        extensions = [(block.uint(2, "type"), block.opaque(2)) for _ in block.items()]
        reader.done()
        return extensions

    def _write_extensions(self, out: Writer) -> bytes:
        if self.extensions is not None:
            block = out.sub(2, "extensions")
            for block.item, (number, body) in enumerate(self.extensions):  # for error texts
                block.uint(2, number, "type")
                block.opaque(2, body)
            out.opaque(2, block.data, "extensions")
        return bytes(out.data)

    def extension(self, number: int) -> bytes | None:
        """Return the body of an extension, the first one if it is repeated; ``None`` if absent."""
        return next((body for found, body in self.extensions or () if found == number), None)

    def duplicates(self) -> list[int]:
        """Return the extensions that are repeated, which RFC 8446 section 4.2 forbids."""
        once: set[int] = set()
        repeated: set[int] = set()
        for number, _ in self.extensions or ():
            (repeated if number in once else once).add(number)
        return sorted(repeated)

    def to_records(self, record_version: int, size: int = MAX_PLAINTEXT) -> bytes:
        """Return the handshake message in records of at most ``size`` bytes each.

        The usual ``record_version`` is 0x0301 for a first ClientHello (RFC 8446 section 5.1), and
        the selected version, but at most 0x0303, for a ServerHello. Raises ``WireError`` as
        ``write`` does.
        """
        message = Handshake(self._MSG_TYPE, self.write()).write()
        return write_records(HANDSHAKE, record_version, message, size)

    def _body(self, number: int, name: str) -> Reader | None:
        body = self.extension(number)
        return None if body is None else Reader(body, f"{self._FIELD}.{name}")
