"""Handshake messages over records: put together where they are split, taken apart where they share.

The rules (RFC 8446 section 5.1, RFC 5246 section 6.2.1):

- A message may be split over records, and several may share one.
- Between the parts of a message there is no other record.
- A message's length is bounded before its body is awaited.
- What precedes an error is read before it; reading on gives the error again.

A ``Messages`` is for what is in the clear: both hellos, and alerts about them. What TLS 1.2 and its
predecessors send after a change_cipher_spec is ciphertext and makes no sense here.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Struct, WireError, Writer
from tlsfloor.wire.records import HANDSHAKE, Record, Records

# enum { client_hello(1), server_hello(2), ... (255) } HandshakeType;
CLIENT_HELLO, SERVER_HELLO = 1, 2

#: The longest message that is collected, in bytes without its header: what a ClientHello has with
#: every vector full, which is OpenSSL's bound too (CLIENT_HELLO_MAX_LENGTH); Go stops at 65536,
#: rustls at 65535. The field itself would let anyone who can connect fill 16 MiB.
MAX_HANDSHAKE = 131396

_HEADER = 4  # bytes


# struct {
#     HandshakeType msg_type;
#     uint24 length;
#     select (Handshake.msg_type) { ... };
# } Handshake;
#
# RFC 8446 section 4; RFC 5246, 4346 and 2246 section 7.4
class Handshake(Struct):
    """One handshake message: its ``msg_type``, and its ``body`` without the header.

    .. versionadded:: 0.1
    """

    __slots__ = ("msg_type", "body")

    def __init__(self, msg_type: int, body: bytes) -> None:
        self.msg_type = msg_type
        self.body = body

    def write(self) -> bytes:
        """Return header and body; ``WireError`` if the body exceeds the length's 24 bits.

        .. versionadded:: 0.1
        """
        out = Writer("handshake")
        out.uint(1, self.msg_type, "msg_type")
        out.opaque(3, self.body)
        return bytes(out.data)


class Messages:
    """Reads a stream of bytes: ``feed()`` it, then ``read()`` until that is ``None``.

    Holds what was fed and not read yet; if it is read dry each time, at most one record and one
    message. ``limit`` is the longest message to accept, in bytes.

    .. versionadded:: 0.1
    """

    __slots__ = ("_buffer", "_limit", "_offset", "_records", "_waiting")

    def __init__(self, limit: int = MAX_HANDSHAKE) -> None:
        self._records = Records()
        self._limit = limit
        self._buffer = bytearray()
        self._offset = 0  # among the handshake's bytes, of the buffer's first
        self._waiting: Record | None = None

    @property
    def pending(self) -> int:
        """How many bytes were fed and not read: more than 0 at the end of a stream is a cut."""
        return len(self._buffer) + self._records.pending

    def feed(self, data: bytes) -> None:
        """Append what has arrived.

        .. versionadded:: 0.1
        """
        self._records.feed(data)

    def read(self) -> Handshake | Record | None:
        """Return the next message, or a record that carries none, or ``None``: need more data.

        Raises:
            WireError: what comes next is neither. Its offset is in the stream for a record's field,
                and among the bytes of the handshake for a message's.

        .. versionadded:: 0.1
        """
        while True:
            message = self._message()
            if message is not None:
                return message
            record = self._waiting or self._records.read()
            if record is None:
                return None
            if record.content_type == HANDSHAKE:
                self._buffer += record.fragment
            elif not self._buffer:
                return record
            else:
                self._waiting = record  # reading on gives the error again
                problem = f"is cut by a record of content type {record.content_type}"
                raise WireError(problem, "handshake", self._offset)

    def _message(self) -> Handshake | None:
        buffer = self._buffer
        if len(buffer) < _HEADER:
            return None
        size = int.from_bytes(buffer[1:_HEADER], "big")
        if size > self._limit:
            problem = f"is {size}, the maximum is {self._limit}"
            raise WireError(problem, "handshake.length", self._offset + 1)
        end = _HEADER + size
        if len(buffer) < end:
            return None
        message = Handshake(buffer[0], bytes(buffer[_HEADER:end]))
        del buffer[:end]
        self._offset += end
        return message
