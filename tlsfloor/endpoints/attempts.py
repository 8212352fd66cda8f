"""Attempts at an endpoint: offer one version with one kind of key exchange, and record the answer.

There are two strengths of evidence. A crafted *hello* offers exactly that, and the first answer is
judged (``peers/hello_answers``): a ServerHello or an alert. It works against any server that speaks
TLS, even if it demands a client certificate later. If the hello is accepted, a full *handshake* by
tlslite-ng can follow. It can only confirm: a failure is recorded and does not change the outcome.

Nothing that an endpoint does raises an error here, and each connection has a deadline and a limit.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.endpoints import starttls
from tlsfloor.endpoints.starttls import TIMED_OUT, StarttlsError
from tlsfloor.peers import handshakes
from tlsfloor.peers.base import reason_of
from tlsfloor.peers.crafted_hellos import client_hello, suites_of
from tlsfloor.peers.hello_answers import INCONCLUSIVE, first_message, judge_offer
from tlsfloor.peers.recording import RecordingSocket
from tlsfloor.wire import Messages, WireError

if TYPE_CHECKING:
    from typing import Any

#: Seconds for each connection.
TIMEOUT = 10.0

#: The failures: what an endpoint did instead of answering in TLS; ``starttls`` has two more.
CLOSED, NOT_TLS, UNREACHABLE = "closed", "not TLS", "unreachable"

_LIMIT = 2**16  # bytes of an answer; a ServerHello has about a hundred


@dataclass(frozen=True)
class Endpoint:
    """A host, by name or address, a port, and the protocol that is spoken before TLS.

    ``starttls_from`` says what that protocol was taken from: option, url, or (a guess) port.
    """

    host: str
    port: int = 443
    starttls: str = starttls.NONE
    starttls_from: str = "port"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def server_name(self) -> str:
        """The name to send: empty for an address, without a final dot (RFC 6066 section 3)."""
        try:
            ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return self.host.rstrip(".")
        return ""

    def prepare(self, connection: RecordingSocket) -> None:
        """Speak what comes before TLS on a fresh connection.

        Raises:
            StarttlsError: the endpoint is not ready for TLS.
            OSError: the connection broke.
        """
        starttls.begin(connection, self.starttls, self.server_name or self.host)


@dataclass
class Attempt:
    """One version with one kind of key exchange: the ``outcome``, and the evidence for it.

    ``answer`` is what the endpoint answered. ``failure`` is set if that was not TLS. ``handshake``
    is ``"completed"``, or the reason why the handshake failed; empty if there was none. If there
    was, ``certificate_requested`` says whether the endpoint asked for a client certificate.
    """

    version: int
    key_exchange: str
    outcome: str = INCONCLUSIVE
    answer: str = ""
    suite: str = ""
    failure: str = ""
    handshake: str = ""
    certificate_requested: bool = False

    def as_dict(self) -> dict[str, str | bool]:
        """Return the attempt as JSON types."""
        evidence = "handshake" if self.handshake == "completed" else "hello"
        return {
            **vars(self),
            "version": versions.name(self.version),
            "evidence": "" if self.outcome == INCONCLUSIVE else evidence,
        }


class Caller:
    """Connects to one endpoint, with ``pause`` seconds before each connection.

    ``own`` is what handshakes present to an endpoint that asks for a client certificate.

    Raises:
        CancelledError: ``stop`` was set, as nobody waits for the report any more.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        address: str,
        timeout: float = TIMEOUT,
        pause: float = 0.0,
        stop: threading.Event | None = None,
        own: tuple[Any, Any] | None = None,
    ) -> None:
        self.own = own
        self.endpoint, self.address, self.timeout, self.pause = endpoint, address, timeout, pause
        self._stop = stop or threading.Event()

    def wait(self) -> None:
        """Wait until the next connection may begin."""
        if self._stop.wait(self.pause):
            raise CancelledError

    def offer(self, version: int, key_exchange: str) -> Attempt:
        """Offer one version with one kind of key exchange, and record the first answer."""
        self.wait()
        attempt = Attempt(version, key_exchange)
        is_ready = False
        hello = client_hello(version, key_exchange, self.endpoint.server_name)
        deadline = time.monotonic() + self.timeout
        try:
            with socket.create_connection(
                (self.address, self.endpoint.port), self.timeout
            ) as connection:
                self.endpoint.prepare(RecordingSocket(connection, deadline))
                is_ready = True
                connection.sendall(hello)
                _read_answer(RecordingSocket(connection, deadline), attempt)
        except StarttlsError as error:
            attempt.failure, attempt.answer = error.failure, str(error)
        except socket.timeout:
            attempt.failure, attempt.answer = TIMED_OUT, f"no answer within {self.timeout:g} s"
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
            attempt.failure, attempt.answer = CLOSED, "it resets the connection"
        except OSError as error:
            attempt.failure, attempt.answer = UNREACHABLE, reason_of(error)
        if attempt.failure and is_ready and self.endpoint.starttls != starttls.NONE:
            attempt.answer += ", after its go-ahead for TLS"
        return attempt

    def complete(self, attempt: Attempt) -> str:
        """Do the whole handshake of an accepted hello: ``"completed"``, or why it failed."""
        self.wait()
        try:
            seen = handshakes.call(
                self.address,
                self.endpoint.port,
                attempt.version,
                attempt.key_exchange,
                timeout=self.timeout,
                server_name=self.endpoint.server_name,
                request=b"",
                before_tls=self.endpoint.prepare,
                own=self.own,
            )
        except OSError as error:
            return reason_of(error)
        attempt.certificate_requested = seen.certificate_requested
        return "completed" if seen.version == attempt.version else seen.error


def _read_answer(recording: RecordingSocket, attempt: Attempt) -> None:
    stream = Messages()
    while len(recording.received) < _LIMIT:
        data = recording.recv(4096)
        if not data:
            attempt.failure = CLOSED
            attempt.answer = f"it closes after {len(recording.received)} bytes"
            return
        try:
            message = first_message(data, stream)
            if message is None:
                continue
            suites = suites_of(attempt.version, attempt.key_exchange)
            answer = judge_offer(message, attempt.version, suites)
        except WireError:
            attempt.failure = NOT_TLS
            attempt.answer = f"it answers {bytes(recording.received[:24])!r}"
            return
        attempt.outcome, attempt.answer = answer.outcome, answer.evidence
        if answer.suite is not None:
            attempt.suite = handshakes.suite_name(answer.suite)
        if answer.evidence == "alert close_notify":
            attempt.failure = CLOSED
        return
    attempt.failure, attempt.answer = NOT_TLS, f"it sends {_LIMIT} bytes without a ServerHello"
