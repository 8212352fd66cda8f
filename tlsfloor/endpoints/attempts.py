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
from tlsfloor.peers.crafted import client_hello, suites_of
from tlsfloor.peers.recording import Line
from tlsfloor.wire import (
    Alert,
    Handshake,
    Messages,
    Record,
    ServerHello,
    WireError,
    alerts,
)
from tlsfloor.wire.records import ALERT

#: Seconds for each connection, unless the caller says otherwise.
TIMEOUT = 10.0

#: What an attempt came to. The last one proves nothing.
ACCEPTED, REFUSED, INCONCLUSIVE = "accepted", "refused", "inconclusive"

#: What an endpoint did instead of answering in TLS.
CLOSED, TIMED_OUT, NOT_TLS, UNREACHABLE = "closed", "timed out", "not TLS", "unreachable"

# Alerts that turn down what is offered; any other, access_denied say, is about something else. The
# last ones are illegal_parameter, decode_error, missing_extension, and internal_error: what a
# server of OpenSSL 3 says where its security level does not allow the version.
_NO = {alerts.PROTOCOL_VERSION, alerts.HANDSHAKE_FAILURE, alerts.INSUFFICIENT_SECURITY}
_NO |= {47, 50, 109, alerts.INTERNAL_ERROR}

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
            _listen(Line(connection, deadline), attempt)
    except socket.timeout:
        attempt.fault, attempt.told = TIMED_OUT, f"no answer within {timeout:g} s"
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        attempt.fault, attempt.told = CLOSED, "it resets the connection"
    except OSError as error:
        attempt.fault, attempt.told = UNREACHABLE, words(error)
    return attempt


def _listen(line: Line, attempt: Attempt) -> None:
    stream = Messages()
    while len(line.heard) < _LIMIT:
        data = line.recv(4096)
        if not data:
            attempt.fault, attempt.told = CLOSED, f"it closes after {len(line.heard)} bytes"
            return
        stream.feed(data)
        try:
            message = stream.read()
            while message is not None:
                if _understand(message, attempt):
                    return
                message = stream.read()
        except WireError:
            attempt.fault, attempt.told = NOT_TLS, f"it answers {bytes(line.heard[:24])!r}"
            return
    attempt.fault, attempt.told = NOT_TLS, f"it answers {_LIMIT} bytes, and none of them is a hello"


def _understand(message: Handshake | Record, attempt: Attempt) -> bool:
    """Write down what a message means; return whether it is an answer.

    Raises:
        WireError: it is no message that may be here.
    """
    if isinstance(message, Handshake):
        chosen = ServerHello.parse(message.body)
        attempt.suite = handshakes.suite_name(chosen.cipher_suite)
        if chosen.version() != attempt.version:
            attempt.outcome = REFUSED
            attempt.told = f"it chooses {versions.name(chosen.version())}"
        elif chosen.cipher_suite not in suites_of(attempt.version, attempt.key_exchange):
            attempt.told = f"it chooses {attempt.suite}, which was not offered"
        else:
            attempt.outcome = ACCEPTED
            attempt.told = "hello_retry_request" if chosen.is_retry() else "server_hello"
        return True
    if message.content_type != ALERT:
        raise WireError(f"is {message.content_type}, not an alert", "record.type", 0)
    alert = Alert.parse(message.fragment)
    if alert.level == alerts.WARNING and alert.description != 0:
        return False  # unrecognized_name, which RFC 6066 section 3 lets a server say and go on
    attempt.told = f"alert {alert.name}"
    if alert.description == 0:
        attempt.fault = CLOSED
    elif alert.description in _NO:
        attempt.outcome = REFUSED
    return True


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
