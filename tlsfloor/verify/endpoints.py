"""The examination of an endpoint, and its judgement: what it accepts, what a floor would cut off.

A ladder of attempts is climbed, each version with each kind of key exchange. A refusal counts only
beside something that was accepted: who accepts nothing may have any reason. What cannot be told is
*unknown*, with the reason, and never a pass.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.verify.attempts import (
    ACCEPTED,
    CLOSED,
    INCONCLUSIVE,
    REFUSED,
    TIMED_OUT,
    TIMEOUT,
    UNREACHABLE,
    Attempt,
    Endpoint,
    complete,
    hello,
    words,
)
from tlsfloor.verify.negotiation import Negotiation, negotiate
from tlsfloor.versions import SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator
    from typing import Any

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

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


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
        report.state, report.reason = UNREACHABLE, words(error)
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
            each.handshake = complete(endpoint, address, each, timeout)
        elif each.fault == CLOSED and report.accepted():
            each.outcome = REFUSED  # the way in which some servers say no
    attempts.sort(key=lambda each: (-each.version, each.key_exchange))
