"""The line to the other side: a socket that keeps what it heard first, and can end what is endless.

The rules: a deadline is for all that is to be heard, not for each read, so one who drips bytes
gains nothing by it; and what is kept is bounded. All else is the socket's, which is what tlslite-ng
asks for.
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

# More bytes than these in one handshake are no handshake: the longest chains have some 20 KB.
_ENDLESS = 2**20


class Line:
    """A connection with a memory; with a ``deadline`` of the monotonic clock, it ends by then."""

    def __init__(self, connection: socket.socket, deadline: float | None = None) -> None:
        self._connection = connection
        self._deadline = deadline
        self.heard = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def recv(self, size: int) -> bytes:
        """Return what comes next, as a socket does.

        Raises:
            socket.timeout: the deadline has passed.
            VerifyError: there is a deadline, and no end of what comes.
        """
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            self._connection.settimeout(left)
        data = self._connection.recv(size)
        if len(self.heard) < _ENDLESS:
            self.heard += data
        elif self._deadline is not None:
            raise VerifyError(f"more than {_ENDLESS} bytes, and no end")
        return data

    def client_hello(self) -> ClientHello | None:
        """Return the hello that a client said first; None if it was none, or is not whole."""
        stream = Messages()
        stream.feed(bytes(self.heard))
        try:
            first = stream.read()
            if isinstance(first, Handshake) and first.msg_type == CLIENT_HELLO:
                return ClientHello.parse(first.body)
            if isinstance(first, Record) and first.content_type == SSLV2:
                return Sslv2Hello.parse(first.fragment).to_client_hello()
        except WireError:
            pass
        return None
