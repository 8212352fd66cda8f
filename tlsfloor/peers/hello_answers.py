"""What the first answer to a crafted hello says about the version of that hello.

How it works: a TLS implementation checks the version before it checks anything else. A client
reads the version of a ServerHello first (RFC 8446 section 4.1.3; OpenSSL's
``ssl_choose_client_version()`` in ``ssl/statem/statem_lib.c``). A server chooses the version before
the cipher suite (RFC 8446 section 4.2.1; ``ssl_choose_server_version()`` in the same file). Each of
them answers a version that it does not accept with the alert protocol_version (RFC 8446 section
6.2). SSL 3.0 does not have that alert (RFC 6101 section 5.4.2): there, only the error of the
implementation itself says why it stopped.

Any other alert is about something else. What it means depends on the question:

- ``judge_version`` asks whether the version was what stopped the other side. Any other alert then
  means that it was not, so the version counts as accepted. This can flag a connection that OpenSSL
  would refuse later, for example because of a SHA-1 signature. It never reports as refused what a
  handshake would complete.
- ``judge_offer`` asks whether a server accepts what a hello offered. An alert about the parameters
  is then a refusal too. An alert about something else, such as access_denied, proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlsfloor import versions
from tlsfloor.versions import SSL3, TLS1_3
from tlsfloor.wire import Alert, Handshake, Messages, Record, ServerHello, WireError, alerts
from tlsfloor.wire.messages import SERVER_HELLO
from tlsfloor.wire.records import ALERT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from tlsfloor._types import Outcome
    from tlsfloor.wire import ClientHello

#: The outcomes. ``INCONCLUSIVE`` proves nothing.
ACCEPTED: Outcome = "accepted"
REFUSED: Outcome = "refused"
INCONCLUSIVE: Outcome = "inconclusive"

#: The evidence for a client that sends nothing after a ServerHello: it waits for the certificate.
SILENT = "it says nothing"

# The alerts that are about the offered parameters. OpenSSL 3 sends internal_error as a server whose
# security level does not allow the version.
_ABOUT_THE_OFFER = {
    alerts.HANDSHAKE_FAILURE,
    alerts.ILLEGAL_PARAMETER,
    alerts.DECODE_ERROR,
    alerts.PROTOCOL_VERSION,
    alerts.INSUFFICIENT_SECURITY,
    alerts.INTERNAL_ERROR,
    alerts.MISSING_EXTENSION,
}


@dataclass(frozen=True)
class HelloAnswer:
    """An outcome and the evidence for it; ``suite`` is the number of the suite of a ServerHello."""

    outcome: Outcome
    evidence: str
    suite: int | None = None


def first_message(data: bytes, stream: Messages | None = None) -> Handshake | Record | None:
    """Return the first message that is not a warning; None means: need more data.

    A server may send a warning and go on, for example unrecognized_name (RFC 6066 section 3).

    Args:
        data: what has arrived, or what has arrived since the last call with the same stream.
        stream: the reader that keeps what was not enough for a message.

    Raises:
        WireError: the bytes are not TLS.
    """
    stream = stream or Messages()
    stream.feed(data)
    message = stream.read()
    while isinstance(message, Record) and message.content_type == ALERT:
        alert = Alert.parse(message.fragment)
        if alert.level != alerts.WARNING or alert.description == alerts.CLOSE_NOTIFY:
            break
        message = stream.read()
    return message


def judge_client_hello(offered: ClientHello, version: int) -> HelloAnswer | None:
    """Return the refusal if a ClientHello already refuses the version; None if it does not.

    A client that does not offer TLS 1.3 answers a ServerHello of TLS 1.3 with an alert about the
    extension (RFC 8446 section 4.2), which says nothing about the version.
    """
    if version == TLS1_3 and version not in offered.versions():
        return HelloAnswer(REFUSED, "it does not offer TLS 1.3")
    return None


def judge_version(
    message: Handshake | Record | None, version: int, own_error: str | None = None
) -> HelloAnswer:
    """Say whether the version of a hello is what stopped the other side.

    Args:
        message: what the other side sent first, None if it sent nothing.
        version: the one version of the hello.
        own_error: the error of the implementation under test, None if it is not known.

    Raises:
        WireError: the message is a handshake message other than a ServerHello.
    """
    if isinstance(message, Handshake):
        return _judge_server_hello(message, version, None)
    if message is None:
        evidence = own_error or SILENT
    else:
        alert = _alert(message)
        evidence = f"alert {alert.name}"
        if alert.description == alerts.PROTOCOL_VERSION:
            return HelloAnswer(REFUSED, evidence)
        if version == SSL3 and own_error is None:
            return HelloAnswer(INCONCLUSIVE, evidence)
    if version == SSL3 and "VERSION_TOO_LOW" in (own_error or ""):
        return HelloAnswer(REFUSED, str(own_error))
    return HelloAnswer(ACCEPTED, evidence)


def judge_offer(message: Handshake | Record, version: int, suites: Container[int]) -> HelloAnswer:
    """Say whether a server accepts a hello that offered one version and these cipher suites.

    Raises:
        WireError: the message is neither a ServerHello nor an alert.
    """
    if isinstance(message, Handshake):
        return _judge_server_hello(message, version, suites)
    alert = _alert(message)
    refused = alert.description in _ABOUT_THE_OFFER
    # SSL 3.0 has no extension for the name that the server demands.
    refused |= version == SSL3 and alert.description == alerts.UNRECOGNIZED_NAME
    outcome = REFUSED if refused else INCONCLUSIVE
    return HelloAnswer(outcome, f"alert {alert.name}")


def _judge_server_hello(
    message: Handshake, version: int, suites: Container[int] | None
) -> HelloAnswer:
    if message.msg_type != SERVER_HELLO:
        raise WireError(f"is {message.msg_type}, not server_hello", "handshake.msg_type", 0)
    hello = ServerHello.parse(message.body)
    chosen, suite = hello.version(), hello.cipher_suite
    if chosen != version:
        return HelloAnswer(REFUSED, f"it chooses {versions.name(chosen)}", suite)
    if suites is not None and suite not in suites:
        return HelloAnswer(INCONCLUSIVE, "it chooses a cipher suite that was not offered", suite)
    return HelloAnswer(
        ACCEPTED, "hello_retry_request" if hello.is_retry() else "server_hello", suite
    )


def _alert(record: Record) -> Alert:
    if record.content_type != ALERT:
        raise WireError(f"is {record.content_type}, not an alert", "record.type", 0)
    return Alert.parse(record.fragment)
