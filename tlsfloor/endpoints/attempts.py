"""One attempt at an endpoint: one version with one kind of key exchange, and what it came to.

Two strengths of evidence. A crafted *hello* offers just that, and the first answer is read: a
ServerHello or an alert. It works against whatever speaks TLS, even if it wants a client certificate
later. Where it was accepted, a full *handshake* by tlslite-ng can follow; it can only confirm, and
one that fails is noted and takes nothing back.

Whatever an endpoint does is data, and ends in time: each connection has a deadline and a bound.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass

from tlsfloor import versions
from tlsfloor.peers import handshakes
from tlsfloor.peers.answers import INCONCLUSIVE, first_message, judge_offer
from tlsfloor.peers.crafted import client_hello, suites_of
from tlsfloor.peers.recording import RecordingSocket
from tlsfloor.wire import Messages, WireError

#: Seconds for each connection, unless the caller says otherwise.
TIMEOUT = 10.0

#: What an endpoint did instead of answering in TLS.
CLOSED, TIMED_OUT, NOT_TLS, UNREACHABLE = "closed", "timed out", "not TLS", "unreachable"

_LIMIT = 2**16  # bytes of an answer; a ServerHello has about a hundred


@dataclass(frozen=True)
class Endpoint:
    """A host, by name or address, and a port.

    .. versionadded:: 0.1
    """

    host: str
    port: int = 443

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def server_name(self) -> str:
        """What server_name says: no address, and no dot at the end (RFC 6066 section 3)."""
        try:
            ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return self.host.rstrip(".")
        return ""


@dataclass
class Attempt:
    """One version with one kind of key exchange: ``outcome``, and the evidence for it.

    ``fault`` is set where the answer was none in TLS; ``handshake`` is ``"completed"``, or what
    stopped it.

    .. versionadded:: 0.1
    """

    version: int
    key_exchange: str
    outcome: str = INCONCLUSIVE
    told: str = ""
    suite: str = ""
    fault: str = ""
    handshake: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON types."""
        evidence = "" if self.outcome == INCONCLUSIVE else "hello"
        return {
            "version": versions.name(self.version),
            "key_exchange": self.key_exchange,
            "outcome": self.outcome,
            "evidence": "handshake" if self.handshake == "completed" else evidence,
            "suite": self.suite,
            "told": self.told,
            "fault": self.fault,
            "handshake": self.handshake,
        }


def hello(
    endpoint: Endpoint, address: str, version: int, key_exchange: str, timeout: float
) -> Attempt:
    """Offer one version and one kind of key exchange, and tell what the first answer was.

    .. versionadded:: 0.1
    """
    attempt = Attempt(version, key_exchange)
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((address, endpoint.port), timeout) as connection:
            connection.sendall(client_hello(version, key_exchange, endpoint.server_name))
            _listen(RecordingSocket(connection, deadline), attempt)
    except socket.timeout:
        attempt.fault, attempt.told = TIMED_OUT, f"no answer within {timeout:g} s"
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        attempt.fault, attempt.told = CLOSED, "it resets the connection"
    except OSError as error:
        attempt.fault, attempt.told = UNREACHABLE, words(error)
    return attempt


def _listen(recording: RecordingSocket, attempt: Attempt) -> None:
    suites = suites_of(attempt.version, attempt.key_exchange)
    stream = Messages()
    while len(recording.received) < _LIMIT:
        data = recording.recv(4096)
        if not data:
            attempt.fault, attempt.told = CLOSED, f"it closes after {len(recording.received)} bytes"
            return
        try:
            message = first_message(data, stream)
            if message is None:
                continue
            answer = judge_offer(message, attempt.version, suites)
        except WireError:
            attempt.fault, attempt.told = NOT_TLS, f"it answers {bytes(recording.received[:24])!r}"
            return
        attempt.outcome, attempt.told = answer.outcome, answer.evidence
        if answer.suite is not None:
            attempt.suite = handshakes.suite_name(answer.suite)
        if answer.evidence == "alert close_notify":
            attempt.fault = CLOSED
        return
    attempt.fault, attempt.told = NOT_TLS, f"it answers {_LIMIT} bytes, and none of them is a hello"


def complete(endpoint: Endpoint, address: str, attempt: Attempt, timeout: float) -> str:
    """Return ``"completed"`` if a handshake does what the hello promised, else what stopped it."""
    try:
        seen = handshakes.call(
            address,
            endpoint.port,
            attempt.version,
            attempt.key_exchange,
            timeout=timeout,
            server_name=endpoint.server_name,
            request=b"",
        )
    except OSError as error:
        return words(error)
    return "completed" if seen.version == attempt.version else seen.error


def words(error: BaseException) -> str:
    """Return what an error says, in lower case where it is a sentence of the system."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason)
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
