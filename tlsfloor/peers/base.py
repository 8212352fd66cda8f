"""The base of every peer: it listens on loopback, and records what it saw of each connection."""

from __future__ import annotations

import os
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self

    from tlsfloor.wire import ClientHello

_FOLDER = os.path.dirname(os.path.abspath(__file__))

#: The certificate authority of the peers: what a verifying client must trust.
CA_FILE = os.path.join(_FOLDER, "ca.pem")

#: The key and certificate of every peer, for localhost, 127.0.0.1 and ::1, as server and as client.
PEER_FILE = os.path.join(_FOLDER, "peer.pem")

#: Seconds to wait for the other side: long enough for a slow machine.
TIMEOUT = 10.0

# Seconds until the next try to accept a connection while files or threads have run out.
_RETRY = 1.0

#: The first words of the error of a hello peer whose version was refused for certain.
REFUSED = "refused: "

#: The error of a hello peer whose client has left without a hello; only the client knows why.
NO_HELLO = "no hello was sent"


@dataclass
class SeenConnection:
    """What a peer saw of one connection.

    ``version`` is the negotiated version (a wire number); if it is None the handshake failed, and
    ``error`` says why. ``data`` is what the other side sent first. A server peer records the
    ``address`` of the client and the hello that it ``offered``, None if it sent none. A client
    records whether the server asked for a certificate (``certificate_requested``).
    """

    address: tuple[Any, ...] = ()
    offered: ClientHello | None = None
    version: int | None = None
    suite: str = ""
    error: str = ""
    data: bytes = b""
    certificate_requested: bool = False

    def fail(self, error: Exception) -> None:
        """Record an error."""
        text = "" if str(error) == repr(error) else str(error)  # tlslite-ng's have no text
        self.error = f"{type(error).__name__}: {text}".rstrip(": ")


class Peer(ABC):
    """A peer that speaks one version (a wire number) only, on loopback by default.

    A context manager. ``port`` is the port to connect to, ``seen`` has one entry per connection.
    """

    #: Seconds to wait for each message of the other side.
    timeout = TIMEOUT

    def __init__(self, version: int, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.version = version
        self.seen: list[SeenConnection] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._ended = False
        self._one_has_ended = threading.Event()
        self._last_address: object = None
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = True
        self._one_has_ended.set()
        # shutdown() wakes the thread that waits in accept(); close() alone does not, on Linux.
        for connection in (self._listener, *self._open):
            with suppress(OSError):  # it is already closed
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def settle(self) -> None:
        """Accept no more connections, and wait until all have ended and ``seen`` is complete."""
        # Connections are accepted in order: when this one is, all before it were.
        with socket.socket(self._listener.family) as last:
            last.settimeout(self.timeout)
            last.bind((self._listener.getsockname()[0], 0))
            self._last_address = last.getsockname()
            last.connect(self._listener.getsockname())
            self._threads[0].join(self.timeout)
        for thread in self._threads[1:]:
            thread.join(self.timeout)

    def _accept(self) -> None:
        is_short = False
        while True:
            try:
                connection, address = self._listener.accept()
                if address == self._last_address:
                    connection.close()
                    return
                self._start(connection, address)
            except (OSError, RuntimeError) as error:  # noqa: PERF203 - no file or no thread is left
                if self._ended:  # __exit__ has closed the listener
                    return
                if not is_short:
                    self.on_shortage(error)
                is_short = True
                self._one_has_ended.wait(_RETRY)
                self._one_has_ended.clear()
            else:
                is_short = False

    def _start(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        thread = threading.Thread(target=self._serve, args=(connection, address), daemon=True)
        self._open.add(connection)
        try:
            thread.start()  # before another thread can join it
        except RuntimeError:
            self._open.discard(connection)
            connection.close()
            raise
        self._threads[1:] = [*filter(threading.Thread.is_alive, self._threads[1:]), thread]

    def _serve(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        seen = SeenConnection(address)
        self.seen.append(seen)
        connection.settimeout(self.timeout)
        # Without this, the end of a handshake and the request after it wait for one another: 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._speak(connection, seen)
        except Exception as error:  # noqa: BLE001 - any error is an observation
            seen.fail(error)
        finally:
            self._open.discard(connection)
            connection.close()
            self._one_has_ended.set()
        if seen.version is None:
            self.on_handshake(seen)

    def on_handshake(self, seen: SeenConnection) -> None:  # noqa: B027 - a subclass may override it
        """Handle the end of a server's handshake, completed or failed; called in its own thread."""

    def on_shortage(self, error: OSError | RuntimeError) -> None:
        """Handle that no connection can be accepted until another one ends.

        The client that tried to connect sees nothing of the reason, so ``seen`` records it.
        """
        self.seen.append(SeenConnection())
        self.seen[-1].fail(error)

    @abstractmethod
    def _speak(self, connection: socket.socket, seen: SeenConnection) -> None:
        """Speak to the other side of one connection."""


def reason_of(error: BaseException) -> str:
    """Return what an error says: OpenSSL's reason, or the system's sentence in lower case."""
    sentence = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return getattr(error, "reason", None) or sentence.lower()
