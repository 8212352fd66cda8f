"""The record layer: split a stream of bytes into records.

The rules, and their sources:

- The length of a record is checked before its content has arrived: a record that is too long is an
  error after five bytes.
- So are bytes that are not TLS. The version of a record may be any 0x03xx (RFC 5246 appendix E.1).
  RFC 8446 section 5.1 says to ignore it, but then a reader would wait for 11570 bytes of
  "SSH-2.0-".
- A record of a handshake, an alert or a change_cipher_spec is never empty (RFC 5246 section 6.2.1,
  RFC 8446 section 5.1); one of application data may be.
- An error is final: reading again raises it again.
- The result does not depend on how the bytes are split when they are fed.

A stream may begin with one SSL 2.0 record instead (RFC 5246 appendix E.2, RFC 2246 appendix E). It
is recognised by its first five bytes, which no TLS record in use has: a length with the high bit
set, message type 1, and the version, 0x0002 or 0x03xx.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Struct, WireError, Writer

# enum {
#     change_cipher_spec(20), alert(21), handshake(22), application_data(23), (255)
# } ContentType;
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23

#: Marks the record of an SSL 2.0 message; larger than any content type.
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
    """One record: ``content_type``, ``version`` and ``fragment``, its content.

    With content type ``SSLV2``, the fragment is the message without its length, and ``version`` is
    a copy of the version in the message.
    """

    __slots__ = ("content_type", "version", "fragment")

    def __init__(self, content_type: int, version: int, fragment: bytes) -> None:
        self.content_type = content_type
        self.version = version
        self.fragment = fragment

    def write(self) -> bytes:
        """Return header and content; ``WireError`` if the content is too long for its length field.

        The field has 16 bits, or 15 for an SSL 2.0 message.
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
    """Return ``data`` in records of at most ``size`` bytes each.

    Raises ``WireError`` as ``Record.write`` does, and if ``size`` is less than 1.
    """
    if size < 1:
        raise WireError(f"is {size}, the minimum is 1", "record.length", 0)
    parts = range(0, len(data), size)
    return b"".join(Record(content_type, version, data[n : n + size]).write() for n in parts)


class Records:
    """Splits a stream of bytes into records: ``feed()`` it, then ``read()`` until ``None``.

    It keeps what was fed and not read: at most one record if ``read()`` has returned ``None``.
    """

    __slots__ = ("_buffer", "_limit", "_offset")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._limit = MAX_PLAINTEXT

    @property
    def pending(self) -> int:
        """The number of bytes that were fed and not read: 0 at the end of a complete stream."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append bytes that have arrived."""
        self._buffer += data

    def read(self) -> Record | None:
        """Return the next record; ``None`` means: need more data.

        Raises:
            WireError: the next bytes are not a record.
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
            self._limit = MAX_CIPHERTEXT  # for this record and all that follow
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
    """Return whether a stream begins with an SSL 2.0 CLIENT-HELLO: type 1, at least nine bytes."""
    if head[:2] < b"\x80\x09" or head[2] != 1:
        return False
    return head[3] == 3 or head[3:5] == b"\0\2"
