"""Examine endpoints: which versions each accepts, and whether a floor would cut it off.

``offers`` says what is offered, and what a dropped connection means. An answer that cannot be
decided is *unknown*, with the reason, and never a pass.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.endpoints.attempts import (
    CLOSED,
    NOT_TLS,
    TIMEOUT,
    UNREACHABLE,
    Attempt,
    Caller,
    Endpoint,
)
from tlsfloor.endpoints.negotiation import Negotiation, explain_failure, negotiate
from tlsfloor.endpoints.offers import offer_all
from tlsfloor.endpoints.starttls import NONE, REFUSALS, TIMED_OUT
from tlsfloor.peers.base import reason_of
from tlsfloor.peers.hello_answers import ACCEPTED, INCONCLUSIVE, REFUSED
from tlsfloor.versions import SSL3, TLS1_3

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator, Iterable
    from typing import Any

# What this Python says of a handshake that it did not complete.
_FAILED = (REFUSED, CLOSED, TIMED_OUT)

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


@dataclass
class EndpointReport:
    """Everything about one endpoint.

    ``state`` is ``"reached"``, or what the endpoint did instead; then ``reason`` has the details.
    ``unreliable`` says why dropped connections prove nothing; empty if the controls were answered.
    ``client_certificate`` is requested, required, accepted, refused or, if one was given, not
    requested. It is empty if nothing became clear, and if none was given and none is asked for.
    """

    endpoint: Endpoint
    address: str = ""
    state: str = "reached"
    reason: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    negotiated: Negotiation | None = None
    unreliable: str = ""
    client_certificate: str = ""

    def accepted(self) -> list[int]:
        """Return the versions that were accepted with any key exchange, the lowest first."""
        return sorted({attempt.version for attempt in self.attempts if attempt.outcome == ACCEPTED})

    def _doubt(self, low: int, high: int) -> str:
        """Return why versions from ``low`` to below ``high`` are undecided; empty if none is."""
        if self.state != "reached":
            return f"{self.state}: {self.reason}"
        if not self.accepted():
            answers = ", ".join(dict.fromkeys(attempt.answer for attempt in self.attempts))
            doubts = [f"it accepted no hello: {answers}"]
        else:
            offers: dict[str, list[str]] = {}
            for attempt in self.attempts:
                if low <= attempt.version < high and attempt.outcome == INCONCLUSIVE:
                    offer = f"{versions.name(attempt.version)} {attempt.key_exchange}"
                    offers.setdefault(attempt.answer, []).append(offer)
            doubts = [f"{', '.join(names)}: {answer}" for answer, names in offers.items()]
        return "; ".join([*doubts, self.unreliable] if doubts and self.unreliable else doubts)

    def cut_off(self, floor: int) -> tuple[str, str]:
        """Return whether a floor (a wire number) would cut it off: yes, no or unknown; and why."""
        accepted = self.accepted()
        explanation = ""
        if self.negotiated:
            accepted.append(versions.OPENSSL_NAMES.get(self.negotiated.protocol, 0))
            explanation = self.negotiated.explanation
        highest = max(accepted, default=0)
        if highest >= floor and self._only_promises(floor):
            name = versions.floor_name(floor)
            return "unknown", (
                f"it accepts hellos of {versions.name(highest)}, but handshakes complete only with "
                f"versions below {name}{f': {explanation}' if explanation else ''}"
            )
        if highest >= floor:
            but = f", but {explanation}" if explanation else ""
            return "no", f"it accepts {versions.name(highest)}{but}"
        doubt = self._doubt(floor, TLS1_3 + 1)
        if doubt:
            return "unknown", doubt
        return "yes", f"the highest version that it accepts is {versions.name(highest)}"

    def _only_promises(self, floor: int) -> bool:
        """Return whether it goes no further than a hello, except with versions below a floor.

        A handshake may fail for many reasons. But if those with lower versions complete, programs
        use them, and a floor would cut the endpoint off.
        """
        accepted = [attempt for attempt in self.attempts if attempt.outcome == ACCEPTED]
        failed = [
            attempt.handshake not in ("", "completed")
            for attempt in accepted
            if attempt.version >= floor
        ]
        below = any(each.handshake == "completed" for each in accepted if each.version < floor)
        found = self.negotiated
        connects = found is not None and (found.protocol or found.state not in _FAILED)
        return below and all(failed) and not connects

    def accepts_below(self, floor: int) -> tuple[str, str]:
        """Return whether it accepts versions below a floor: yes, no or unknown; which, or why."""
        below = [versions.name(version) for version in self.accepted() if version < floor]
        if below:
            return "yes", ", ".join(below)
        doubt = self._doubt(SSL3, floor)
        return ("unknown", doubt) if doubt else ("no", "")

    def as_dict(self, floor: int) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "endpoint": str(self.endpoint),
            **vars(self.endpoint),
            "address": self.address,
            "state": self.state,
            "reason": self.reason,
            "accepts": [versions.name(version) for version in self.accepted()],
            "attempts": [attempt.as_dict() for attempt in self.attempts],
            "unreliable": self.unreliable,
            "client_certificate": self.client_certificate,
            "negotiated": self.negotiated and vars(self.negotiated),
            "cut_off": dict(zip(("answer", "reason"), self.cut_off(floor))),
            "accepts_below": dict(zip(("answer", "reason"), self.accepts_below(floor))),
        }


def examine_endpoint(
    endpoint: Endpoint,
    *,
    timeout: float = TIMEOUT,
    context: ssl.SSLContext | None = None,
    pause: float = 0.0,
    stop: threading.Event | None = None,
    own: tuple[Any, Any] | None = None,
) -> EndpointReport:
    """Offer one endpoint every version; with a ``context``, let this interpreter connect too.

    Args:
        endpoint: what to connect to.
        timeout: seconds for each connection.
        context: what this interpreter connects with.
        pause: seconds between two connections, for an endpoint with a rate limit.
        stop: gives up before the next connection when it is set.
        own: the client certificate of the context and its key, for tlslite-ng.

    Raises:
        CancelledError: ``stop`` was set.
    """
    report = EndpointReport(endpoint)
    try:
        report.address = _reach(endpoint, timeout)
    except socket.timeout:
        report.state, report.reason = TIMED_OUT, f"no connection within {timeout:g} s"
    except (OSError, UnicodeError) as error:
        report.state, report.reason = UNREACHABLE, reason_of(error)
    else:
        caller = Caller(endpoint, report.address, timeout, pause, stop, own)
        report.attempts, report.unreliable = offer_all(caller)
        if all(attempt.failure for attempt in report.attempts):
            report.state, report.reason = report.attempts[0].failure, report.attempts[0].answer
            report.reason += _about_the_guess(report)
        elif context is not None:
            caller.wait()
            report.negotiated = negotiate(endpoint, report.address, context, timeout)
        report.client_certificate = _client_certificate(report, given=own is not None)
        found = report.negotiated
        if context is not None and found is not None and found.state in (REFUSED, CLOSED):
            why = _ABOUT_THE_CERTIFICATE.get(report.client_certificate, "") + found.reason
            found.explanation = explain_failure(report.attempts, context, why)
    report.attempts.sort(key=lambda attempt: (-attempt.version, attempt.key_exchange))
    return report


def _about_the_guess(report: EndpointReport) -> str:
    """Return what to do if the protocol was a guess that may be wrong."""
    guess = report.endpoint.starttls
    if report.endpoint.starttls_from != "port" or report.reason.partition(":")[0] in REFUSALS:
        return ""
    if guess == NONE:
        may_be_text = report.state in (NOT_TLS, CLOSED)  # PostgreSQL closes, and says nothing
        return "; if it begins in plain text, --starttls names its protocol" * may_be_text
    return (
        f"; {guess} is a guess from the port: --starttls names another protocol, or {NONE} for TLS "
        "from the first byte"
    )


_ABOUT_THE_CERTIFICATE = {
    "required": "it demands a client certificate: ",
    "refused": "it refuses the client certificate: ",
}


def _client_certificate(report: EndpointReport, *, given: bool) -> str:
    """Say what became clear about client certificates, as ``EndpointReport`` describes it.

    In TLS 1.3 a refusal comes after the handshake and may be late, so lower versions say more.
    """
    asked = [attempt for attempt in report.attempts if attempt.certificate_requested]
    if not asked:
        completed = any(attempt.handshake == "completed" for attempt in report.attempts)
        return "not requested" if given and completed else ""
    found = report.negotiated
    if given and found is not None and found.state in ("negotiated", REFUSED, CLOSED):
        return "accepted" if found.state == "negotiated" else "refused"
    say_more = [attempt for attempt in asked if attempt.version < TLS1_3] or asked
    if any(attempt.handshake == "completed" for attempt in say_more):
        return "accepted" if given else "requested"
    ended = ("TLSRemoteAlert", "TLSAbruptClose", "Connection", "BrokenPipe")
    if any(attempt.handshake.startswith(ended) for attempt in say_more):
        return "refused" if given else "required"
    return "requested"


def examine_all(
    endpoints: Iterable[Endpoint], jobs: int = 8, **options: Any
) -> Generator[EndpointReport, None, None]:
    """Yield a report for each endpoint, in their order; ``jobs`` of them are examined at a time.

    ``options`` are those of ``examine_endpoint``. Closing the generator gives up the rest at once:
    a thread that waits for an endpoint ends within its time-out and keeps no process alive. (The
    threads of an executor would: Python waits for them at exit.)
    """
    stop = threading.Event()
    waiting: deque[tuple[Endpoint, futures.Future[EndpointReport]]]
    waiting = deque((endpoint, futures.Future()) for endpoint in endpoints)
    results = [future for _, future in waiting]

    def work() -> None:
        while not stop.is_set():
            try:
                endpoint, future = waiting.popleft()
            except IndexError:
                return
            _fulfil(future, examine_endpoint, endpoint, stop=stop, **options)

    for _ in range(min(jobs, len(results))):
        threading.Thread(target=work, daemon=True, name="tlsfloor-check").start()
    try:
        for future in results:
            yield future.result()
    finally:
        stop.set()


def _fulfil(
    future: futures.Future[Any], function: Callable[..., Any], *args: Any, **options: Any
) -> None:
    """Call a function, and hand its result or its error to the thread that waits for it."""
    try:
        future.set_result(function(*args, **options))
    except BaseException as error:  # noqa: BLE001 - future.result() raises it
        future.set_exception(error)


def _reach(endpoint: Endpoint, timeout: float) -> str:
    """Return the first address of an endpoint that accepts a connection.

    Raises:
        OSError: there is none.
        UnicodeError: the host name is not valid.
    """
    deadline = time.monotonic() + timeout
    addresses = _addresses_of(endpoint, timeout)
    last_error = OSError("the name has no address")
    for index, address in enumerate(addresses):
        # Divide the time that is left, because the first address may never answer.
        left = max(1e-3, deadline - time.monotonic()) / (len(addresses) - index)
        try:
            socket.create_connection((address, endpoint.port), left).close()
        except OSError as error:
            last_error = error
        else:
            return address
    raise last_error


def _addresses_of(endpoint: Endpoint, timeout: float) -> list[str]:
    """Return the addresses. The system's resolver has no time-out, so a thread calls it."""
    future: futures.Future[list[Any]] = futures.Future()
    arguments = (future, socket.getaddrinfo, endpoint.host, endpoint.port, 0, socket.SOCK_STREAM)
    threading.Thread(target=_fulfil, args=arguments, daemon=True).start()
    try:
        found = future.result(timeout)
    except futures.TimeoutError:
        raise socket.timeout from None
    return [socket.getnameinfo(entry[4], _NUMERIC)[0] for entry in found]
