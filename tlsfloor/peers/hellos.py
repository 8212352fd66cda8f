"""The quick peers: they say a crafted hello, hear what comes back, and need nothing but ``wire``.

The rules: the other side answers a version that it refuses with the alert protocol_version (RFC
8446 section 6.2), and whatever else it answers was not stopped by the version. So what OpenSSL
refuses later, a SHA-1 signature say, counts as accepted: this evidence may cry wolf, and never
calls safe what is not. ``Seen.error`` begins with ``REFUSED`` where the version was refused for
sure. A server here half-closes after its hello: no client waits for more, and none leaves data
unread, which would reset the connection and lose its alert.
"""

from __future__ import annotations

import socket
import time

from tlsfloor import versions
from tlsfloor.peers.base import NO_HELLO, REFUSED, SILENT, Peer
from tlsfloor.peers.crafted import alert_of, answer, client_hello, server_hello
from tlsfloor.peers.recording import Line
from tlsfloor.versions import SSL3, TLS1_3
from tlsfloor.wire import Handshake, ServerHello
from tlsfloor.wire.alerts import PROTOCOL_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.peers.base import Seen

_CHUNK = 2**14


class HelloServerPeer(Peer):
    """A server that chooses its one version, whatever it was offered.

    .. versionadded:: 0.1
    """

    def _speak(self, connection: socket.socket, seen: Seen) -> None:
        line = Line(connection, time.monotonic() + self.timeout)
        while seen.offered is None:
            if not line.recv(_CHUNK):
                seen.error = NO_HELLO
                return
            seen.offered = line.client_hello()
        if self.version == TLS1_3 and self.version not in seen.offered.versions():
            # It answers such a ServerHello with another alert, which says nothing (RFC 8446 4.2).
            seen.error = REFUSED + "it does not offer TLS 1.3"
            return
        begun = len(line.heard)
        connection.sendall(server_hello(seen.offered, self.version))
        connection.shutdown(socket.SHUT_WR)
        while line.recv(_CHUNK):
            pass
        alert = alert_of(answer(bytes(line.heard[begun:])))
        if alert is not None and alert.description == PROTOCOL_VERSION:
            seen.error = REFUSED + "alert protocol_version"
        else:
            seen.version = self.version
            seen.suite = f"alert {alert.name}" if alert else SILENT


class HelloClientPeer(Peer):
    """A client that offers its one version to whoever connects.

    .. versionadded:: 0.1
    """

    def _speak(self, connection: socket.socket, seen: Seen) -> None:
        line = Line(connection, time.monotonic() + self.timeout)
        connection.sendall(client_hello(self.version, "any"))
        said = None
        while said is None:
            if not line.recv(_CHUNK):
                raise ConnectionError("closed without an answer")
            said = answer(bytes(line.heard))
        alert = alert_of(said)
        if isinstance(said, Handshake):
            chosen = ServerHello.parse(said.body).version()
            if chosen == self.version:
                seen.version, seen.suite = chosen, "server_hello"
            else:
                seen.error = f"{REFUSED}it chooses {versions.name(chosen)}"
        elif alert is None:
            raise ConnectionError("the answer is not TLS")
        elif alert.description == PROTOCOL_VERSION:
            seen.error = REFUSED + "alert protocol_version"
        elif self.version == SSL3:
            # It has no such alert (RFC 6101 section 5.4.2): what the server itself says decides.
            seen.error = f"alert {alert.name}"
        else:
            seen.version, seen.suite = self.version, f"alert {alert.name}"
