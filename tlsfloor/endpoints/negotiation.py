"""What this interpreter gets of an endpoint by itself: through urllib3, with certificates verified.

Nothing is crafted here: urllib3 makes the context and the connection as it does for any program, so
whatever this Python, its OpenSSL and a floor do to both is in the answer. It is imported on use
only, and so is certifi.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.endpoints.attempts import (
    CLOSED,
    TIMED_OUT,
    TIMEOUT,
    UNREACHABLE,
    words,
)
from tlsfloor.errors import VerifyError
from tlsfloor.peers.answers import ACCEPTED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tlsfloor.endpoints.attempts import Attempt, Endpoint


@dataclass
class Negotiation:
    """What this interpreter gets.

    ``state`` is negotiated, untrusted, refused, closed (without a word of TLS), timed out or
    unreachable. ``explanation`` says why nothing is negotiated with an endpoint that speaks TLS.

    .. versionadded:: 0.1
    .. versionchanged:: 0.2
        ``explanation``, and the state closed, which was refused.
    """

    state: str
    protocol: str = ""
    suite: str = ""
    reason: str = ""
    explanation: str = ""


def trust(
    ca_certs: str | None = None, cert: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """Return a context as urllib3 makes it, which trusts certifi's authorities or those of a file.

    Raises:
        VerifyError: urllib3 or certifi is missing, or a file is not what it should be.

    .. versionadded:: 0.1
    """
    try:
        import certifi
        from urllib3.util.ssl_ import create_urllib3_context
    except ImportError as error:
        hint = "pip install 'tlsfloor[verify]'"
        raise VerifyError(f"a part is missing: {error}", hint=hint) from None
    context = create_urllib3_context()
    context.verify_mode = ssl.CERT_REQUIRED  # and urllib3 sees to the name, each version in its way
    try:
        file = ca_certs or certifi.where()
        context.load_verify_locations(file)
        if cert:
            file = cert if key is None else f"{cert} and {key}"
            context.load_cert_chain(cert, key, lambda: "")  # never ask at the terminal
    except OSError as error:  # ssl.SSLError is one
        hint = "a PEM file, with a key that has no password where it is a client's"
        raise VerifyError(f"{file} cannot be used: {words(error)}", hint=hint) from None
    return context


def negotiate(
    endpoint: Endpoint, address: str, context: ssl.SSLContext, timeout: float = TIMEOUT
) -> Negotiation:
    """Connect by urllib3, as this interpreter does by itself, and verify the certificate.

    .. versionadded:: 0.1
    """
    from urllib3.connection import HTTPSConnection
    from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

    begun = time.monotonic()
    name = endpoint.server_name or endpoint.host.partition("%")[0]
    connection = HTTPSConnection(
        address, endpoint.port, timeout=timeout, ssl_context=context, server_hostname=name
    )
    connection.assert_hostname = None  # which urllib3 1 leaves to its pools
    try:
        connection.connect()
        line: Any = connection.sock
        found = Negotiation("negotiated", line.version() or "", (line.cipher() or ("",))[0])
        if found.protocol == "TLSv1.3":
            # The server may still refuse what came last, and says so one round trip later.
            line.settimeout(min(timeout, max(0.25, time.monotonic() - begun)))
            try:
                line.recv(1)
            except socket.timeout:
                pass
            except OSError as error:
                found.state, found.reason = _state(error), words(error)
    except ssl.SSLCertVerificationError as error:
        reason = getattr(error, "verify_message", None) or str(error)
        return Negotiation("untrusted", reason=reason.lower())
    except NewConnectionError as error:  # a ConnectTimeoutError too, in urllib3's view
        cause = error.__cause__ or error.__context__
        return Negotiation(UNREACHABLE, reason=words(cause or error))
    except (socket.timeout, ConnectTimeoutError):
        return Negotiation(TIMED_OUT, reason=f"no handshake within {timeout:g} s")
    except (ssl.SSLError, ConnectionError, ValueError) as error:
        # urllib3's own, of Python 3.12 and later.
        named = type(error).__name__ == "CertificateError"
        return Negotiation("untrusted" if named else _state(error), reason=words(error))
    except (OSError, HTTPError) as error:
        return Negotiation(UNREACHABLE, reason=words(error))
    finally:
        connection.close()
    return found


def _state(error: Exception) -> str:
    """Tell a refusal from a connection that is closed without a word of TLS."""
    silent = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return CLOSED if isinstance(error, silent) else REFUSED


def explain(attempts: Iterable[Attempt], context: ssl.SSLContext, reason: str) -> str:
    """Return why this interpreter gets no connection to an endpoint that accepts a version of TLS.

    .. versionadded:: 0.2
    """
    minimum = max(0, context.minimum_version)  # MINIMUM_SUPPORTED is negative
    accepted = [each for each in attempts if each.outcome == ACCEPTED and each.version >= minimum]
    if not accepted:
        return f"this Python does not connect to it: its own minimum is {versions.name(minimum)}"
    # OpenSSL, SSL_CIPHER_description: the suites of TLS 1.3 have "any", and PSK has RSAPSK.
    static_rsa = any("Kx=RSA " in suite["description"] for suite in context.get_ciphers())
    if {each.key_exchange for each in accepted} == {"rsa"} and not static_rsa:
        return (
            "this Python does not connect to it, with or without a floor: "
            "it accepts static RSA key exchange only, which this Python's cipher suites leave out"
        )
    return f"this Python does not connect to it, and not because of its version: {reason}"
