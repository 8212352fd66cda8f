"""A socket that records what it receives, and stops an endless answer.

The rules: a deadline is for everything that is received, not for each read, so a peer that sends
one byte at a time gains nothing. The record is bounded. For everything else it is the socket
itself, which is what tlslite-ng needs.
"""

from __future__ import annotations

import socket
import time

from tlsfloor.errors import VerifyError
from tlsfloor.wire import ClientHello, Handshake, Messages, Record, Sslv2Hello, WireError
from tlsfloor.wire.messages import CLIENT_HELLO
from tlsfloor.wire.records import SSLV2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The most bytes of one handshake: the longest certificate chains have about 20 KB.
_LIMIT = 2**20


class RecordingSocket:
    """A socket with the record ``received``; ``deadline`` is a time of the monotonic clock."""

    def __init__(self, connection: socket.socket, deadline: float | None = None) -> None:
        self._connection = connection
        self._deadline = deadline
        self.received = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def recv(self, size: int) -> bytes:
        """Return the next bytes, as a socket does.

        Raises:
            socket.timeout: the deadline has passed.
            VerifyError: there is a deadline, and too many bytes came before it.
        """
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            self._connection.settimeout(left)
        data = self._connection.recv(size)
        if len(self.received) < _LIMIT:
            self.received += data
        elif self._deadline is not None:
            raise VerifyError(f"it sent more than {_LIMIT} bytes")
        return data

    def hurry(self, seconds: float) -> None:
        """Move the deadline to so many seconds from now, unless it is nearer."""
        soon = time.monotonic() + seconds
        self._deadline = soon if self._deadline is None else min(self._deadline, soon)

    def client_hello(self) -> ClientHello | None:
        """Return the hello that a client sent first; None if it is not complete or not a hello."""
        stream = Messages()
        stream.feed(bytes(self.received))
        try:
            first = stream.read()
            if isinstance(first, Handshake) and first.msg_type == CLIENT_HELLO:
                return ClientHello.parse(first.body)
            if isinstance(first, Record) and first.content_type == SSLV2:
                return Sslv2Hello.parse(first.fragment).to_client_hello()
        except WireError:
            pass
        return None
