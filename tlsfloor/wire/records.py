"""The record layer: a stream of bytes cut into records.

The rules, and where they come from:

- A record's length is bounded before its content is awaited: an endless record is an error after
  five bytes.
- So is what isn't TLS at all. The version of a record may be any 0x03xx, as RFC 5246 appendix E.1
  has it; RFC 8446 section 5.1 would have it ignored, but then a reader waits for 11570 bytes of
  "SSH-2.0-".
- No record of a handshake, an alert or a change_cipher_spec is empty (RFC 5246 section 6.2.1,
  RFC 8446 section 5.1); one of application data may be.
- An error is not stepped over: reading on gives it again.
- However the bytes are cut when they are fed, what is read is the same.

A stream may begin with one SSL 2.0 record instead (RFC 5246 appendix E.2, RFC 2246 appendix E). It
is told by its first five bytes, which no TLS record in use has: a length with the high bit set,
message type 1, and the version, 0x0002 or 0x03xx.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Struct, WireError, Writer

# enum {
#     change_cipher_spec(20), alert(21), handshake(22), application_data(23), (255)
# } ContentType;
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23

#: No content type, and larger than any: marks the record of an SSL 2.0 message.
SSLV2 = 0x100

#: The longest plaintext fragment, in bytes: RFC 8446 section 5.1, RFC 5246 section 6.2.1.
MAX_PLAINTEXT = 2**14

#: The longest ciphertext fragment, in bytes: RFC 5246 section 6.2.3 (TLS 1.3 allows 2^14 + 256).
MAX_CIPHERTEXT = 2**14 + 2048

_HEADER = 5  # bytes


# struct {
#     ContentType type;
#     ProtocolVersion legacy_record_version;
#     uint16 length;
#     opaque fragment[TLSPlaintext.length];
# } TLSPlaintext;
#
# RFC 8446 section 5.1; RFC 5246, 4346 and 2246 section 6.2.1
class Record(Struct):
    """One record: ``content_type``, ``version`` and the ``fragment``, its content.

    With content type ``SSLV2`` the fragment is the message without its length, and ``version`` a
    copy of the one inside.

    .. versionadded:: 0.1
    """

    __slots__ = ("content_type", "version", "fragment")

    def __init__(self, content_type: int, version: int, fragment: bytes) -> None:
        self.content_type = content_type
        self.version = version
        self.fragment = fragment

    def write(self) -> bytes:
        """Return header and content; ``WireError`` if the content exceeds the length's bits.

        These are 16, and 15 for an SSL 2.0 message.

        .. versionadded:: 0.1
        """
        out = Writer("record")
        if self.content_type == SSLV2:
            out.uint(2, 0x8000 + len(self.fragment), "length")
            return bytes(out.data + self.fragment)
        out.uint(1, self.content_type, "type")
        out.uint(2, self.version, "version")
        out.opaque(2, self.fragment)
        return bytes(out.data)


def write_records(content_type: int, version: int, data: bytes, size: int = MAX_PLAINTEXT) -> bytes:
    """Return ``data`` in as many records as it needs with at most ``size`` bytes in each.

    ``WireError`` as in ``Record.write``, and if no byte would be in a record.

    .. versionadded:: 0.1
    """
    if size < 1:
        raise WireError(f"is {size}, the minimum is 1", "record.length", 0)
    parts = range(0, len(data), size)
    return b"".join(Record(content_type, version, data[n : n + size]).write() for n in parts)


class Records:
    """Cuts a stream of bytes into records: ``feed()`` it, then ``read()`` until that is ``None``.

    Holds what was fed and not read yet, at most one record if it is read dry each time.

    .. versionadded:: 0.1
    """

    __slots__ = ("_buffer", "_limit", "_offset")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0  # in the stream, of the buffer's first byte
        self._limit = MAX_PLAINTEXT

    @property
    def pending(self) -> int:
        """How many bytes were fed and not read: more than 0 at the end of a stream is a cut."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append what has arrived.

        .. versionadded:: 0.1
        """
        self._buffer += data

    def read(self) -> Record | None:
        """Return the next record, or ``None``: need more data.

        Raises:
            WireError: what comes next is no record.

        .. versionadded:: 0.1
        """
        head = self._buffer[:_HEADER]
        if len(head) < _HEADER:
            return None
        if not self._offset and _is_sslv2(head):
            size = (head[0] & 0x7F) << 8 | head[1]
            return self._take(SSLV2, head[3] << 8 | head[4], 2, size)
        kind, version, size = head[0], head[1] << 8 | head[2], head[3] << 8 | head[4]
        if version >> 8 != 3:
            raise self._error("version", 1, f"0x{version:04x} is not a TLS version")
        if kind in (CHANGE_CIPHER_SPEC, APPLICATION_DATA):
            self._limit = MAX_CIPHERTEXT  # and with it all that follows
        if size > self._limit:
            raise self._error("length", 3, f"is {size}, the maximum is {self._limit}")
        if not size and CHANGE_CIPHER_SPEC <= kind <= HANDSHAKE:
            raise self._error("length", 3, "is 0, the minimum is 1")
        return self._take(kind, version, _HEADER, size)

    def _take(self, kind: int, version: int, header: int, size: int) -> Record | None:
        end = header + size
        if len(self._buffer) < end:
            return None
        content = bytes(self._buffer[header:end])
        del self._buffer[:end]
        self._offset += end
        return Record(kind, version, content)

    def _error(self, field: str, offset: int, problem: str) -> WireError:
        return WireError(problem, f"record.{field}", self._offset + offset)


def _is_sslv2(head: bytearray) -> bool:
    """Tell an SSL 2.0 CLIENT-HELLO (message type 1, nine bytes at least) by how a stream begins."""
    if head[:2] < b"\x80\x09" or head[2] != 1:
        return False
    return head[3] == 3 or head[3:5] == b"\0\2"
