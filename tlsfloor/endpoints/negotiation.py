"""What this interpreter negotiates with an endpoint: through urllib3, with certificates verified.

Nothing is crafted here. urllib3 creates the context and the connection as it does for any program,
so the result has all that this Python, its OpenSSL and a floor do to both. urllib3 and certifi are
imported on use only.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.endpoints import client_certificate
from tlsfloor.endpoints.attempts import CLOSED, TIMEOUT, UNREACHABLE
from tlsfloor.endpoints.starttls import TIMED_OUT, StarttlsError
from tlsfloor.errors import VerifyError
from tlsfloor.peers.base import reason_of
from tlsfloor.peers.hello_answers import ACCEPTED, REFUSED
from tlsfloor.peers.recording import RecordingSocket

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from urllib3.connection import HTTPSConnection

    from tlsfloor.endpoints.attempts import Attempt, Endpoint


@dataclass
class Negotiation:
    """The result.

    ``state`` is negotiated, untrusted, refused, closed (without an answer in TLS), timed out,
    no STARTTLS or unreachable. ``explanation`` says why nothing is negotiated with an endpoint
    that speaks TLS.
    """

    state: str
    protocol: str = ""
    suite: str = ""
    reason: str = ""
    explanation: str = ""


def trust(
    ca_certs: str | None = None, cert: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """Return a context of urllib3 that trusts certifi's authorities or those of a file.

    Raises:
        ModuleNotFoundError: urllib3 or certifi is not installed.
        VerifyError: a file cannot be used.
    """
    import certifi
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    context.verify_mode = ssl.CERT_REQUIRED  # urllib3 itself checks the host name
    file = ca_certs or certifi.where()
    try:
        context.load_verify_locations(file)
    except OSError as error:  # ssl.SSLError is one
        problem = f"{file} cannot be used: {reason_of(error)}"
        raise VerifyError(problem, hint="--ca-certs needs a PEM file of certificates") from None
    if cert:
        client_certificate.load(context, cert, key)
    return context


def negotiate(
    endpoint: Endpoint, address: str, context: ssl.SSLContext, timeout: float = TIMEOUT
) -> Negotiation:
    """Connect with urllib3, as a program of this interpreter does, and verify the certificate."""
    from urllib3.exceptions import HTTPError

    begin = time.monotonic()
    connection = _connection(endpoint, address, context, timeout)
    try:
        connection.connect()
        tls: Any = connection.sock
        found = Negotiation("negotiated", tls.version() or "", (tls.cipher() or ("",))[0])
        if found.protocol == "TLSv1.3":
            # The server may still refuse the client's last message, one round trip later. OpenLDAP
            # closes the connection if it misses a certificate, and says nothing.
            tls.settimeout(min(timeout, max(0.25, time.monotonic() - begin)))
            try:
                if not tls.recv(1):
                    found.state, found.reason = (
                        CLOSED,
                        "it closes the connection after the handshake",
                    )
            except socket.timeout:
                pass
            except OSError as error:
                found.state, found.reason = _state_of(error), reason_of(error)
    except (OSError, HTTPError, ValueError, StarttlsError) as error:
        return _failed(error, timeout)
    finally:
        connection.close()
    return found


def _connection(
    endpoint: Endpoint, address: str, context: ssl.SSLContext, timeout: float
) -> HTTPSConnection:
    from urllib3.connection import HTTPSConnection

    class Connection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            fresh = super()._new_conn()
            try:
                endpoint.prepare(RecordingSocket(fresh, time.monotonic() + timeout))
                fresh.settimeout(timeout)
            except BaseException:
                fresh.close()
                raise
            return fresh

    connection = Connection(
        address,
        endpoint.port,
        timeout=timeout,
        ssl_context=context,
        server_hostname=endpoint.server_name or endpoint.host.partition("%")[0],
    )
    connection.assert_hostname = None  # urllib3 1 sets it in its pools only
    return connection


def _failed(error: Exception, timeout: float) -> Negotiation:
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    state, reason = UNREACHABLE, reason_of(error)
    if isinstance(error, StarttlsError):
        state, reason = error.failure, str(error)
    elif isinstance(error, ssl.SSLCertVerificationError):
        state, reason = "untrusted", (getattr(error, "verify_message", None) or str(error)).lower()
    elif isinstance(error, NewConnectionError):  # in urllib3, a subclass of ConnectTimeoutError
        reason = reason_of(error.__cause__ or error.__context__ or error)
    elif isinstance(error, (socket.timeout, ConnectTimeoutError)):
        state, reason = TIMED_OUT, f"no handshake within {timeout:g} s"
    elif isinstance(error, (ssl.SSLError, ConnectionError, ValueError)):
        # urllib3's own error about the host name, on Python 3.12 and later.
        is_about_name = type(error).__name__ == "CertificateError"
        state = "untrusted" if is_about_name else _state_of(error)
    return Negotiation(state, reason=reason)


def _state_of(error: Exception) -> str:
    """Return whether an error is a refusal, or a connection closed without an answer in TLS."""
    silent = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return CLOSED if isinstance(error, silent) else REFUSED


def explain_failure(attempts: Iterable[Attempt], context: ssl.SSLContext, reason: str) -> str:
    """Return why this interpreter does not connect to an endpoint that accepts a TLS version."""
    minimum = max(0, context.minimum_version)  # MINIMUM_SUPPORTED is negative
    kinds = {
        attempt.key_exchange
        for attempt in attempts
        if attempt.outcome == ACCEPTED and attempt.version >= minimum
    }
    if not kinds:
        return f"this Python does not connect to it: its own minimum is {versions.name(minimum)}"
    # OpenSSL, SSL_CIPHER_description: the suites of TLS 1.3 have "any", and PSK has RSAPSK.
    static_rsa = any("Kx=RSA " in suite["description"] for suite in context.get_ciphers())
    if kinds == {"rsa"} and not static_rsa:
        return (
            "this Python does not connect to it, with or without a floor: it accepts static RSA "
            "key exchange only, and no cipher suite of this Python has that"
        )
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return f"it does not accept from this Python what it accepted in a hello: {reason}"
    return f"this Python does not connect to it, for a reason other than its version: {reason}"
