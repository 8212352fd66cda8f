"""Handshake messages: collected from several records, or separated if they share one.

The rules (RFC 8446 section 5.1, RFC 5246 section 6.2.1):

- A message may be split over several records, and several messages may share a record.
- There is no other record between the parts of a message.
- The length of a message is checked before its body has arrived.
- Messages before an error are returned first; then each further read raises the error.

A ``Messages`` reads plaintext: the hellos, and alerts about them. What TLS 1.2 and lower send after
a change_cipher_spec is ciphertext, which it cannot interpret.
"""

from __future__ import annotations

from tlsfloor.wire.codec import Struct, WireError, Writer
from tlsfloor.wire.records import HANDSHAKE, Record, Records

# enum { client_hello(1), server_hello(2), ... (255) } HandshakeType;
CLIENT_HELLO, SERVER_HELLO = 1, 2

#: The longest message, in bytes without its header: a ClientHello with every vector full, which is
#: OpenSSL's bound too (CLIENT_HELLO_MAX_LENGTH). Go stops at 65536, rustls at 65535. The field
#: itself would let any peer fill 16 MiB.
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
    """One handshake message: ``msg_type``, and ``body`` without the header."""

    __slots__ = ("msg_type", "body")

    def __init__(self, msg_type: int, body: bytes) -> None:
        self.msg_type = msg_type
        self.body = body

    def write(self) -> bytes:
        """Return header and body; ``WireError`` if the body is too long for 24 bits."""
        out = Writer("handshake")
        out.uint(1, self.msg_type, "msg_type")
        out.opaque(3, self.body)
        return bytes(out.data)


class Messages:
    """Reads a stream of bytes: ``feed()`` it, then ``read()`` until ``None``.

    It keeps what was fed and not read: at most one record and one message if ``read()`` has
    returned ``None``. ``limit`` is the longest message to accept, in bytes.
    """

    __slots__ = ("_buffer", "_limit", "_offset", "_records", "_waiting")

    def __init__(self, limit: int = MAX_HANDSHAKE) -> None:
        self._records = Records()
        self._limit = limit
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte among the bytes of the handshake
        self._waiting: Record | None = None

    @property
    def pending(self) -> int:
        """The number of bytes that were fed and not read: 0 at the end of a complete stream."""
        return len(self._buffer) + self._records.pending

    def feed(self, data: bytes) -> None:
        """Append bytes that have arrived."""
        self._records.feed(data)

    def read(self) -> Handshake | Record | None:
        """Return the next message or other record; ``None`` means: need more data.

        Raises:
            WireError: the next bytes are neither. Its offset counts from the start of the stream
                for a field of a record, and among the handshake's bytes for a field of a message.
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
                self._waiting = record  # the next read raises the error again
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
