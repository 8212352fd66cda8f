"""The base of every peer: it listens on loopback, and records what it saw of each connection."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from typing_extensions import Self

    from tlsfloor.wire import ClientHello

_FOLDER = os.path.dirname(os.path.abspath(__file__))

#: The certificate authority of the peers: what a verifying client must trust.
CA_FILE = os.path.join(_FOLDER, "ca.pem")

#: A key and its certificate for localhost, 127.0.0.1 and ::1, as server and as client.
PEER_FILE = os.path.join(_FOLDER, "peer.pem")

#: The certificate of the verifier's servers. Their key is in ``server_key``.
SERVER_FILE = os.path.join(_FOLDER, "server.pem")

#: Seconds to wait for the other side: long enough for a slow machine.
TIMEOUT = 10.0

# Seconds until the next look at the listeners, and the next try to accept a connection while files
# or threads have run out.
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
        self.listener = socket.create_server((host, port), family=family)
        self.port: int = self.listener.getsockname()[1]
        self.group: PeerGroup
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        PeerGroup([self]).__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.group.__exit__(*error)

    def settle(self) -> None:
        """Accept no more connections, and wait until all have ended and ``seen`` is complete."""
        self.group.settle()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all connections have ended, for so many seconds each."""
        for thread in self._threads:
            thread.join(timeout)

    def close(self) -> None:
        """Close the port and all connections."""
        # shutdown() wakes the thread that waits for connections; close() alone does not, on Linux.
        for connection in (self.listener, *self._open):
            with suppress(OSError):  # it is already closed
                connection.shutdown(socket.SHUT_RDWR)

    def start(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        """Serve a connection, in a thread of its own."""
        thread = threading.Thread(target=self._serve, args=(connection, address), daemon=True)
        self._open.add(connection)
        try:
            thread.start()  # before another thread can join it
        except RuntimeError:
            self._open.discard(connection)
            connection.close()
            raise
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]

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
            self.group.one_has_ended.set()
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


class PeerGroup:
    """Peers whose connections one thread accepts. A context manager.

    Each peer has a port of its own, so a connection belongs to that peer, however late it comes.
    """

    def __init__(self, peers: Sequence[Peer]) -> None:
        self.one_has_ended = threading.Event()
        self._peers = peers
        self._ended = False
        self._is_short = False
        self._last_address: object = None
        self._last_has_come = False
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        for peer in peers:
            peer.group = self
            peer.listener.settimeout(0)
            self._selector.register(peer.listener, selectors.EVENT_READ, peer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = True
        self.one_has_ended.set()
        for peer in self._peers:
            peer.close()
        self._thread.join()
        self._selector.close()
        for peer in self._peers:
            peer.listener.close()
            peer.wait()

    def settle(self) -> None:
        """Accept no more connections, and wait until all have ended and ``seen`` is complete."""
        for last in self._peers[-1:]:
            # When this connection can be accepted, so can all that were made before it.
            with socket.socket(last.listener.family) as connection:
                connection.settimeout(last.timeout)
                connection.bind((last.listener.getsockname()[0], 0))
                self._last_address = connection.getsockname()
                connection.connect(last.listener.getsockname())
                self._thread.join(last.timeout)
        for peer in self._peers:
            peer.wait(peer.timeout)

    def _accept(self) -> None:
        while self._peers and not self._ended:
            # Not all systems wake this thread when a listener is shut down.
            ready = self._selector.select(0 if self._last_has_come else _RETRY)
            if self._last_has_come and not ready:
                return
            for key, _ in ready:
                self._accept_one(key.data)

    def _accept_one(self, peer: Peer) -> None:
        try:
            connection, address = peer.listener.accept()
            if address == self._last_address:
                connection.close()
                self._last_has_come = True
                return
            peer.start(connection, address)
        except BlockingIOError:  # the client has gone
            return
        except (OSError, RuntimeError) as error:  # no file or no thread is left
            if self._ended:  # __exit__ has closed the listener
                return
            if not self._is_short:
                peer.on_shortage(error)
            self._is_short = True
            self.one_has_ended.wait(_RETRY)
            self.one_has_ended.clear()
        else:
            self._is_short = False


def reason_of(error: BaseException) -> str:
    """Return what an error says: OpenSSL's reason, or the system's sentence in lower case."""
    sentence = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return getattr(error, "reason", None) or sentence.lower()
