"""What an endpoint accepts: each version with each kind of key exchange; and what this Python gets.

Two strengths of evidence. A crafted *hello* offers one version and one kind of key exchange, and
the first answer is read: a ServerHello or an alert. It works against whatever speaks TLS, even if
it wants a client certificate later. Where a hello was accepted, a full *handshake* by tlslite-ng
follows; it can only confirm, and one that fails is noted and takes nothing back.

A refusal counts only beside something that was accepted: who accepts nothing may have any reason.
Whatever an endpoint does is data, and ends in time: each connection has a deadline and a bound.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.errors import VerifyError
from tlsfloor.verify import peers
from tlsfloor.versions import SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3
from tlsfloor.wire import (
    Alert,
    ClientHello,
    Handshake,
    Messages,
    Record,
    ServerHello,
    WireError,
    alerts,
    extensions,
)
from tlsfloor.wire.client_hello import TLS_EMPTY_RENEGOTIATION_INFO_SCSV
from tlsfloor.wire.codec import Writer
from tlsfloor.wire.records import ALERT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

#: Seconds for each connection, unless the caller says otherwise.
TIMEOUT = 10.0

#: What an attempt came to. The last one proves nothing.
ACCEPTED, REFUSED, INCONCLUSIVE = "accepted", "refused", "inconclusive"

#: What an endpoint did instead of answering in TLS.
CLOSED, TIMED_OUT, NOT_TLS, UNREACHABLE = "closed", "timed out", "not TLS", "unreachable"

# What is tried, in this order: the first two differ most, and who answers neither is given up.
_LADDER = (
    (TLS1_2, "ecdhe"),
    (TLS1_0, "rsa"),
    (TLS1_3, "ecdhe"),
    (TLS1_2, "rsa"),
    (TLS1_1, "rsa"),
    (TLS1_1, "ecdhe"),
    (TLS1_0, "ecdhe"),
    (SSL3, "rsa"),
    (SSL3, "ecdhe"),
)

# Suites that every version has (RFC 2246 and 5246 appendix A.5, RFC 8422 section 6), then those of
# TLS 1.2 alone. "other" is tried where both kinds were refused: Diffie-Hellman in finite fields,
# and anonymous. Few: some middleboxes choke on a hello of more than 255 bytes (RFC 7685 section 1).
_SUITES = {
    "rsa": (
        [0x002F, 0x0035, 0x000A, 0x0005, 0x0004, 0x0041, 0x0084, 0x0096, 0x0009],
        [0x009C, 0x009D, 0x003C, 0x003D],
    ),
    "ecdhe": (
        [0xC013, 0xC014, 0xC009, 0xC00A, 0xC012, 0xC008, 0xC011, 0xC007],
        [0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9, 0xC027, 0xC028, 0xC023, 0xC024],
    ),
    "other": (
        [0x0033, 0x0039, 0x0016, 0x0032, 0x0038, 0x0013, 0x0045, 0x0088, 0x0034, 0x003A, 0xC018],
        [0x009E, 0x009F, 0xCCAA, 0x0067, 0x006B, 0x00A2, 0x00A3],
    ),
}
_TLS13_SUITES = [0x1301, 0x1302, 0x1303, 0x1304]

# RFC 8446 section 4.2.7, and X25519MLKEM768; "other" has finite fields.
_X25519 = 0x001D
_GROUPS = [_X25519, 0x0017, 0x0018, 0x0019, 0x001E]
_GROUPS_13 = {"ecdhe": [*_GROUPS, 0x11EC], "other": [0x0100, 0x0101, 0x0102]}

# RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1: ECDSA, PSS and EdDSA, PKCS #1, SHA-1 and DSA.
_SIGNATURES = [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807]
_SIGNATURES += [0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0202]

# RFC 7627 section 5.1: some servers demand it.
_EXTENDED_MASTER_SECRET = 23

# Alerts that turn down what is offered; any other, access_denied say, is about something else. The
# last ones are illegal_parameter, decode_error, missing_extension, and internal_error: what a
# server of OpenSSL 3 says where its security level does not allow the version.
_NO = {alerts.PROTOCOL_VERSION, alerts.HANDSHAKE_FAILURE, alerts.INSUFFICIENT_SECURITY}
_NO |= {47, 50, 109, 80}

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

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


@dataclass
class Negotiation:
    """What this interpreter gets.

    ``state`` is negotiated, untrusted, refused, timed out or unreachable.

    .. versionadded:: 0.1
    """

    state: str
    protocol: str = ""
    suite: str = ""
    reason: str = ""


@dataclass
class Report:
    """All about one endpoint; ``state`` is ``"reached"``, or what it did instead, by ``reason``.

    .. versionadded:: 0.1
    """

    endpoint: Endpoint
    address: str = ""
    state: str = "reached"
    reason: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    negotiated: Negotiation | None = None

    def accepted(self) -> list[int]:
        """Return the versions that were accepted with any key exchange, the lowest first."""
        return sorted({each.version for each in self.attempts if each.outcome == ACCEPTED})

    def _doubt(self, low: int, high: int) -> str:
        """Return why versions from ``low`` to below ``high`` cannot be told; empty if they can."""
        if self.state != "reached":
            return f"{self.state}: {self.reason}"
        if not self.accepted():
            said = ", ".join(dict.fromkeys(each.told for each in self.attempts))
            return f"it accepts nothing that was tried: {said}"
        return "; ".join(
            f"{versions.name(each.version)} {each.key_exchange}: {each.told}"
            for each in self.attempts
            if low <= each.version < high and each.outcome == INCONCLUSIVE
        )

    def cut_off(self, floor: int) -> tuple[str, str]:
        """Tell whether a floor (a wire number) would cut it off: yes, no or unknown, and why.

        .. versionadded:: 0.1
        """
        held = [version for version in self.accepted() if version >= floor]
        if held:
            return "no", f"it speaks {versions.name(held[-1])}"
        doubt = self._doubt(floor, TLS1_3 + 1)
        if doubt:
            return "unknown", doubt
        return "yes", f"it speaks nothing at or above {versions.name(floor)}"

    def accepts_less(self, floor: int) -> tuple[str, str]:
        """Tell whether it still accepts less than a floor: yes, no or unknown, and what or why.

        .. versionadded:: 0.1
        """
        below = [versions.name(version) for version in self.accepted() if version < floor]
        if below:
            return "yes", ", ".join(below)
        doubt = self._doubt(SSL3, floor)
        return ("unknown", doubt) if doubt else ("no", "")

    def as_dict(self, floor: int) -> dict[str, Any]:
        """Return everything as JSON types.

        .. versionadded:: 0.1
        """
        cut_off, less = self.cut_off(floor), self.accepts_less(floor)
        return {
            "endpoint": str(self.endpoint),
            "host": self.endpoint.host,
            "port": self.endpoint.port,
            "address": self.address,
            "state": self.state,
            "reason": self.reason,
            "accepts": [versions.name(version) for version in self.accepted()],
            "attempts": [attempt.as_dict() for attempt in self.attempts],
            "negotiated": None if self.negotiated is None else dict(vars(self.negotiated)),
            "cut_off": {"answer": cut_off[0], "reason": cut_off[1]},
            "accepts_less": {"answer": less[0], "reason": less[1]},
        }


def client_hello(version: int, key_exchange: str, server_name: str = "") -> bytes:
    """Return a ClientHello of exactly that version, with suites of that kind only, as it is sent.

    .. versionadded:: 0.1
    """
    suites = _suites(version, key_exchange)
    more: list[tuple[int, bytes]] | None = None
    if version == SSL3:  # RFC 6101 has no extensions
        suites.append(TLS_EMPTY_RENEGOTIATION_INFO_SCSV)
    else:
        more = [extensions.server_name(server_name)] if server_name else []
        more += [extensions.renegotiation_info(), (_EXTENDED_MASTER_SECRET, b"")]
        if version == TLS1_3:
            groups = _GROUPS_13[key_exchange]
            more += [extensions.supported_versions([version]), _key_share(groups)]
            more.append(extensions.numbers(extensions.SUPPORTED_GROUPS, groups))
        elif key_exchange == "ecdhe":
            more.append(extensions.numbers(extensions.SUPPORTED_GROUPS, _GROUPS))
            more.append((extensions.EC_POINT_FORMATS, b"\1\0"))
        if version >= TLS1_2:
            more.append(extensions.numbers(extensions.SIGNATURE_ALGORITHMS, _SIGNATURES))
    # A session to resume is what middleboxes expect of TLS 1.3: RFC 8446 appendix D.4.
    session = os.urandom(32) if version == TLS1_3 else b""
    hello = ClientHello(min(version, TLS1_2), os.urandom(32), session, suites, extensions=more)
    return hello.to_records(min(version, TLS1_0))


def _suites(version: int, key_exchange: str) -> list[int]:
    old, new = _SUITES[key_exchange] if version < TLS1_3 else ([], _TLS13_SUITES)
    return [*(new if version >= TLS1_2 else []), *old]


# struct { NamedGroup group; opaque key_exchange<1..2^16-1>; } KeyShareEntry;
# struct { KeyShareEntry client_shares<0..2^16-1>; } KeyShareClientHello;
#
# RFC 8446 section 4.2.8. Any 32 bytes are a share of x25519. A server that wants another group asks
# again, which is an answer as well.
def _key_share(groups: list[int]) -> tuple[int, bytes]:
    out = Writer("key_share")
    shares = out.sub(2, "client_shares")
    if _X25519 in groups:
        shares.uint(2, _X25519)
        shares.opaque(2, os.urandom(32))
    out.opaque(2, shares.data)
    return extensions.KEY_SHARE, bytes(out.data)


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
            _listen(connection, deadline, attempt)
    except socket.timeout:
        attempt.fault, attempt.told = TIMED_OUT, f"no answer within {timeout:g} s"
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        attempt.fault, attempt.told = CLOSED, "it resets the connection"
    except OSError as error:
        attempt.fault, attempt.told = UNREACHABLE, _words(error)
    return attempt


def _listen(connection: socket.socket, deadline: float, attempt: Attempt) -> None:
    stream, heard = Messages(), b""
    while len(heard) < _LIMIT:
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout
        connection.settimeout(left)
        data = connection.recv(4096)
        if not data:
            attempt.fault, attempt.told = CLOSED, f"it closes after {len(heard)} bytes"
            return
        heard += data
        stream.feed(data)
        try:
            message = stream.read()
            while message is not None:
                if _understand(message, attempt):
                    return
                message = stream.read()
        except WireError:
            attempt.fault, attempt.told = NOT_TLS, f"it answers {heard[:24]!r}"
            return
    attempt.fault, attempt.told = NOT_TLS, f"it answers {_LIMIT} bytes, and none of them is a hello"


def _understand(message: Handshake | Record, attempt: Attempt) -> bool:
    """Write down what a message means; return whether it is an answer.

    Raises:
        WireError: it is no message that may be here.
    """
    if isinstance(message, Handshake):
        chosen = ServerHello.parse(message.body)
        attempt.suite = peers.suite_name(chosen.cipher_suite)
        if chosen.version() != attempt.version:
            attempt.outcome = REFUSED
            attempt.told = f"it chooses {versions.name(chosen.version())}"
        elif chosen.cipher_suite not in _suites(attempt.version, attempt.key_exchange):
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


def examine(
    endpoint: Endpoint, *, timeout: float = TIMEOUT, context: ssl.SSLContext | None = None
) -> Report:
    """Try everything against one endpoint; with a ``context``, what this interpreter gets too.

    .. versionadded:: 0.1
    """
    report = Report(endpoint)
    try:
        report.address = _reach(endpoint, timeout)
    except socket.timeout:
        report.state, report.reason = TIMED_OUT, f"no connection within {timeout:g} s"
    except (OSError, UnicodeError) as error:
        report.state, report.reason = UNREACHABLE, _words(error)
    else:
        _climb(report, timeout)
        if report.state == "reached" and context is not None:
            report.negotiated = negotiate(endpoint, report.address, context, timeout)
    return report


def examine_all(endpoints: Iterable[Endpoint], jobs: int = 8, **options: Any) -> Iterator[Report]:
    """Yield a report for each endpoint, in their order, ``jobs`` of them at a time.

    ``options`` are those of ``examine``.

    .. versionadded:: 0.1
    """
    with ThreadPoolExecutor(jobs, "tlsfloor-check") as pool:
        futures = [pool.submit(examine, endpoint, **options) for endpoint in endpoints]
        try:
            for future in futures:
                yield future.result()
        finally:  # who reads no further wants no more of them
            for future in futures:
                future.cancel()


def _reach(endpoint: Endpoint, timeout: float) -> str:
    """Return the first address of an endpoint that can be connected to.

    Raises:
        OSError: there is none.
        UnicodeError: the name cannot be one.
    """
    deadline = time.monotonic() + timeout
    found = _resolve(endpoint, timeout)
    failed = OSError("the name has no address")
    for place, address in enumerate(found):
        # What is left, divided: the first of them may be one that answers nothing.
        left = max(1e-3, deadline - time.monotonic()) / (len(found) - place)
        try:
            socket.create_connection((address, endpoint.port), left).close()
        except OSError as error:
            failed = error
        else:
            return address
    raise failed


def _resolve(endpoint: Endpoint, timeout: float) -> list[str]:
    """Return the addresses; the system's resolver knows no deadline, and so it gets a thread."""
    found: list[str] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            answer = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failed.append(error)
        else:
            found.extend(socket.getnameinfo(each[4], _NUMERIC)[0] for each in answer)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if failed:
        raise failed[0]
    if thread.is_alive():
        raise socket.timeout
    return found


def _climb(report: Report, timeout: float) -> None:
    """Try the ladder of versions; give up early on an endpoint that does not speak TLS at all."""
    endpoint, address, attempts = report.endpoint, report.address, report.attempts
    for version, key_exchange in _LADDER:
        attempts.append(hello(endpoint, address, version, key_exchange, timeout))
        faults = [each.fault for each in attempts]
        if len(attempts) >= 2 and all(faults) and set(faults) != {CLOSED}:
            break
    spoken = [each for each in attempts if not each.fault]
    if not spoken:
        report.state, report.reason = attempts[0].fault, attempts[0].told
    for version in (TLS1_3, TLS1_2, TLS1_1, TLS1_0) if spoken else ():
        tried = [each for each in attempts if each.version == version]
        certain = any(
            each.outcome == ACCEPTED or each.told == "alert protocol_version" for each in tried
        )
        if not certain:
            attempts.append(hello(endpoint, address, version, "other", timeout))
    for each in attempts:
        if each.outcome == ACCEPTED and each.key_exchange != "other":
            each.handshake = _complete(endpoint, address, each, timeout)
        elif each.fault == CLOSED and report.accepted():
            each.outcome = REFUSED  # the way in which some servers say no
    attempts.sort(key=lambda each: (-each.version, each.key_exchange))


def _complete(endpoint: Endpoint, address: str, attempt: Attempt, timeout: float) -> str:
    """Return ``"completed"`` if a handshake does what the hello promised, else what stopped it."""
    try:
        seen = peers.call(
            address,
            endpoint.port,
            attempt.version,
            attempt.key_exchange,
            timeout=timeout,
            server_name=endpoint.server_name,
            request=b"",
        )
    except OSError as error:
        return _words(error)
    return "completed" if seen.version == attempt.version else seen.error


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
        raise VerifyError(f"{file} cannot be used: {_words(error)}", hint=hint) from None
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
                found.state, found.reason = REFUSED, _words(error)
    except ssl.SSLCertVerificationError as error:
        reason = getattr(error, "verify_message", None) or str(error)
        return Negotiation("untrusted", reason=reason.lower())
    except NewConnectionError as error:  # a ConnectTimeoutError too, in urllib3's view
        cause = error.__cause__ or error.__context__
        return Negotiation(UNREACHABLE, reason=_words(cause or error))
    except (socket.timeout, ConnectTimeoutError):
        return Negotiation(TIMED_OUT, reason=f"no handshake within {timeout:g} s")
    except (ssl.SSLError, ConnectionError, ValueError) as error:
        named = (
            type(error).__name__ == "CertificateError"
        )  # urllib3's own, of Python 3.12 and later
        return Negotiation("untrusted" if named else REFUSED, reason=_words(error))
    except (OSError, HTTPError) as error:
        return Negotiation(UNREACHABLE, reason=_words(error))
    finally:
        connection.close()
    return found


def _words(error: BaseException) -> str:
    """Return what an error says, in lower case where it is a sentence of the system."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason)
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
