"""What ClientHello and ServerHello have in common; in them the version of a connection is decided.

The rules of both:

- ``legacy_version`` alone never tells the version. From TLS 1.3 on it is frozen at 0x0303 and the
  truth is in supported_versions (RFC 8446 sections 4.1.2, 4.1.3 and 4.2.1): ask the methods.
- A hello without the block of extensions is legal (RFC 5246 section 7.4.1.2) and is not the same as
  one with an empty block: ``extensions`` is ``None`` or ``[]``.
- What a peer must not send but can be read is kept, for the evidence: unknown numbers, GREASE, an
  extension sent twice. What cannot be read, or breaks a vector's bounds, is a ``WireError``.
- ``parse(body).write() == body``, for every body that can be read.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Reader, Struct
from tlsfloor.wire.messages import Handshake
from tlsfloor.wire.records import HANDSHAKE, MAX_PLAINTEXT, write_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tlsfloor.wire.codec import Writer


class Hello(Struct):
    """The base of both: what the extensions are, and the way into records.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    _FIELD = "hello"
    _MSG_TYPE = 0

    extensions: list[tuple[int, bytes]] | None
    write: Callable[[], bytes]

    def extension(self, number: int) -> bytes | None:
        """Return the body of an extension, of the first if there are several; ``None`` if none.

        .. versionadded:: 0.1
        """
        return next((body for found, body in self.extensions or () if found == number), None)

    def duplicates(self) -> list[int]:
        """Return the extensions sent more than once, which RFC 8446 section 4.2 forbids.

        .. versionadded:: 0.1
        """
        once: set[int] = set()
        again: set[int] = set()
        for number, _ in self.extensions or ():
            (again if number in once else once).add(number)
        return sorted(again)

    def to_records(self, record_version: int, size: int = MAX_PLAINTEXT) -> bytes:
        """Return the message as it is sent, in records with at most ``size`` bytes each.

        ``record_version`` is customarily 0x0301 for a first ClientHello (RFC 8446 section 5.1), and
        the version selected, though at most 0x0303, for a ServerHello. ``WireError`` as ``write``.

        .. versionadded:: 0.1
        """
        message = Handshake(self._MSG_TYPE, self.write()).write()
        return write_records(HANDSHAKE, record_version, message, size)

    def _body(self, number: int, name: str) -> Reader | None:
        body = self.extension(number)
        return None if body is None else Reader(body, f"{self._FIELD}.{name}")

    # struct {
    #     ExtensionType extension_type;
    #     opaque extension_data<0..2^16-1>;
    # } Extension;
    #
    # RFC 8446 section 4.2. The minimum that it sets for the block (8 bytes in a ClientHello, 6 in a
    # ServerHello) is held against nobody: RFC 5246 section 7.4.1.4 has none.
    @staticmethod
    def _read_extensions(reader: Reader) -> list[tuple[int, bytes]] | None:
        if not reader.left:
            return None
        block = reader.vector(2, "extensions")
        return [(block.uint(2, "type"), block.opaque(2)) for _ in block.items()]

    def _write_extensions(self, out: Writer) -> bytes:
        if self.extensions is not None:
            block = out.sub(2, "extensions")
            for block.item, (number, body) in enumerate(self.extensions):
                block.uint(2, number, "type")
                block.opaque(2, body)
            out.opaque(2, block.data, "extensions")
        return bytes(out.data)
