"""Peers that exchange hellos only: they send a crafted hello and judge the first answer.

They need nothing but ``wire``, so ``verify --hello`` works without tlslite-ng. The module
``hello_answers`` says what an answer means. ``SeenConnection.error`` begins with ``REFUSED`` if the
version was refused for certain.
"""

from __future__ import annotations

import socket
import time
from functools import lru_cache

from tlsfloor.peers import hello_answers
from tlsfloor.peers.base import NO_HELLO, REFUSED, Peer
from tlsfloor.peers.crafted_hellos import client_hello, server_hello
from tlsfloor.peers.hello_answers import first_message, judge_client_hello, judge_version
from tlsfloor.peers.recording import RecordingSocket
from tlsfloor.wire import Messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.peers.base import SeenConnection
    from tlsfloor.peers.hello_answers import HelloAnswer

_CHUNK = 2**14


@lru_cache(maxsize=None)
def _hello(version: int) -> bytes:
    """Return the hello of a client, which needs no random numbers of its own each time."""
    return client_hello(version, "any")


class HelloServerPeer(Peer):
    """A server that chooses its one version, whether the client offered it or not."""

    def _speak(self, connection: socket.socket, seen: SeenConnection) -> None:
        recording = RecordingSocket(connection, time.monotonic() + self.timeout)
        while seen.offered is None:
            if not recording.recv(_CHUNK):
                seen.error = NO_HELLO
                return
            seen.offered = recording.client_hello()
        answer = judge_client_hello(seen.offered, self.version)
        if answer is None:
            begin = len(recording.received)
            connection.sendall(server_hello(seen.offered, self.version))
            # The client then waits for no more data, and leaves none unread: unread data would
            # reset the connection, and its alert would be lost.
            connection.shutdown(socket.SHUT_WR)
            while recording.recv(_CHUNK):
                pass
            answer = judge_version(first_message(bytes(recording.received[begin:])), self.version)
        _note_answer(seen, answer, self.version)


class HelloClientPeer(Peer):
    """A client that offers its one version to the server that connects."""

    def _speak(self, connection: socket.socket, seen: SeenConnection) -> None:
        recording = RecordingSocket(connection, time.monotonic() + self.timeout)
        connection.sendall(_hello(self.version))
        stream, message = Messages(), None
        while message is None:
            data = recording.recv(_CHUNK)
            if not data:
                raise ConnectionError("closed without an answer")
            message = first_message(data, stream)
        _note_answer(seen, judge_version(message, self.version), self.version)


def _note_answer(seen: SeenConnection, answer: HelloAnswer, version: int) -> None:
    if answer.outcome == hello_answers.ACCEPTED:
        seen.version, seen.suite = version, answer.evidence
    else:
        prefix = REFUSED if answer.outcome == hello_answers.REFUSED else ""
        seen.error = prefix + answer.evidence
