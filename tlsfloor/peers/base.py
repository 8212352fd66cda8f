"""What every peer of the verifier has in common: it listens on loopback, and notes what it saw."""

from __future__ import annotations

import os
import socket
import threading
from abc import ABC, abstractmethod

from tlsfloor import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from tlsfloor.wire import ClientHello

_FOLDER = os.path.dirname(os.path.abspath(__file__))

#: The authority that vouches for the peers: what a verifying client must trust.
CA_FILE = os.path.join(_FOLDER, "ca.pem")

#: The key and certificate of every peer, for localhost, 127.0.0.1 and ::1, in either role.
PEER_FILE = os.path.join(_FOLDER, "peer.pem")

# Seconds after which a connection is tried to be taken again, if none has ended until then.
_AGAIN = 1.0

# Long enough for a slow machine, short enough to find out within one case: seconds.
TIMEOUT = 10.0


#: How a quick peer begins where the version was refused for sure.
REFUSED = "refused: "

#: What a quick peer says of a client that has left without a hello; the client knows why.
NO_HELLO = "no hello was sent"


class Seen:
    """What a peer saw of one connection.

    ``version`` is the wire number that was negotiated, None when the handshake failed, and
    ``error`` says how; ``data`` is what the other side sent first. A server has the ``address`` of
    the client and the hello that it ``offered``, None if what came first was none.
    """

    __slots__ = ("address", "data", "error", "offered", "suite", "version")

    def __init__(self) -> None:
        self.address: tuple[Any, ...] = ()
        self.offered: ClientHello | None = None
        self.version: int | None = None
        self.suite = ""
        self.error = ""
        self.data = b""

    def __repr__(self) -> str:
        version = versions.name(self.version) if self.version else "no TLS"
        return f"<Seen {version} {self.suite} {self.error}>"


class Peer(ABC):
    """Somebody who speaks ``version`` (a wire number) only, on loopback unless told otherwise.

    A context manager: ``port`` is where to connect to, ``seen`` what came of each connection.
    """

    #: Seconds to wait, each time, for what the other side has to say.
    timeout = TIMEOUT

    def __init__(self, version: int, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.version = version
        self.seen: list[Seen] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._ended = False
        self._less = threading.Event()  # one of the connections has ended
        self._last: object = None
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        self._less.set()
        # shutdown() wakes the thread that waits in accept(); close() alone does not, on Linux.
        for each in (self._listener, *self._open):
            _shut_down(each)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def settle(self) -> None:
        """Wait until all that was begun has ended, so that ``seen`` says all; no more is taken."""
        # Connections are taken in their order: when this one is, all before it were.
        with socket.socket(self._listener.family) as last:
            last.settimeout(self.timeout)
            last.bind((self._listener.getsockname()[0], 0))
            self._last = last.getsockname()
            last.connect(self._listener.getsockname())
            self._threads[0].join(self.timeout)
        for thread in self._threads[1:]:
            thread.join(self.timeout)

    def _accept(self) -> None:
        short = False
        while True:
            try:
                connection, address = self._listener.accept()
                if address == self._last:
                    connection.close()
                    return
                self._begin(connection, address)
            except (OSError, RuntimeError) as error:  # noqa: PERF203 - no file is left, or no thread
                if self._ended:  # closed by __exit__
                    return
                if not short:
                    self.short(error)
                short = True
                self._less.wait(_AGAIN)
                self._less.clear()
            else:
                short = False

    def _begin(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        thread = threading.Thread(target=self._serve, args=(connection, address), daemon=True)
        self._open.add(connection)
        try:
            thread.start()  # before others can join it
        except RuntimeError:
            self._open.discard(connection)
            connection.close()
            raise
        self._threads[1:] = [each for each in self._threads[1:] if each.is_alive()]
        self._threads.append(thread)

    def _serve(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        seen = Seen()
        seen.address = address
        self.seen.append(seen)
        connection.settimeout(self.timeout)
        # What ends a handshake and the request after it would wait for one another, 40 ms a time.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._speak(connection, seen)
        except Exception as error:  # noqa: BLE001 - whatever went wrong is an observation
            seen.error = f"{type(error).__name__}: {error}".rstrip(": ")
        finally:
            self._open.discard(connection)
            connection.close()
            self._less.set()
        if seen.version is None:
            self.told(seen)

    def told(self, seen: Seen) -> None:  # noqa: B027 - nobody has to listen
        """Hear of a server's handshake once it is done or has failed; in a thread of its own."""

    def short(self, error: OSError | RuntimeError) -> None:
        """Hear that no connection can be taken for now; it is tried again as others end.

        Who tried to connect is told nothing by it, and ``seen`` says so.
        """
        seen = Seen()
        seen.error = f"{type(error).__name__}: {error}"
        self.seen.append(seen)

    @abstractmethod
    def _speak(self, connection: socket.socket, seen: Seen) -> None:
        """Say what this kind of peer says to one who connects."""


def _shut_down(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed already, which is what was wanted
        return
