"""The examination of an endpoint, and its judgement: what it accepts, what a floor would cut off.

What is connected to, and what a dropped connection means, is in ``ladder``. What cannot be told is
*unknown*, with the reason, and never a pass.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.endpoints.attempts import (
    CLOSED,
    TIMED_OUT,
    TIMEOUT,
    UNREACHABLE,
    Attempt,
    Endpoint,
    words,
)
from tlsfloor.endpoints.ladder import Caller, climb
from tlsfloor.endpoints.negotiation import Negotiation, explain, negotiate
from tlsfloor.peers.answers import ACCEPTED, INCONCLUSIVE, REFUSED
from tlsfloor.versions import SSL3, TLS1_3

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterable
    from typing import Any

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


@dataclass
class Report:
    """All about one endpoint; ``state`` is ``"reached"``, or what it did instead, by ``reason``.

    ``unsteady`` says why what it drops means nothing; it is empty if the controls were answered.

    .. versionadded:: 0.1
    """

    endpoint: Endpoint
    address: str = ""
    state: str = "reached"
    reason: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    negotiated: Negotiation | None = None
    unsteady: str = ""

    def accepted(self) -> list[int]:
        """Return the versions that were accepted with any key exchange, the lowest first."""
        return sorted({each.version for each in self.attempts if each.outcome == ACCEPTED})

    def _doubt(self, low: int, high: int) -> str:
        """Return why versions from ``low`` to below ``high`` cannot be told; empty if they can."""
        if self.state != "reached":
            return f"{self.state}: {self.reason}"
        if not self.accepted():
            said = ", ".join(dict.fromkeys(each.told for each in self.attempts))
            slower = self.unsteady and f"; {self.unsteady}"
            return f"it accepts nothing that was tried: {said}{slower}"
        found: dict[str, list[str]] = {}
        for each in self.attempts:
            if low <= each.version < high and each.outcome == INCONCLUSIVE:
                tried = f"{versions.name(each.version)} {each.key_exchange}"
                found.setdefault(each.told, []).append(tried)
        doubts = [f"{', '.join(tried)}: {told}" for told, tried in found.items()]
        return "; ".join([*doubts, self.unsteady] if doubts and self.unsteady else doubts)

    def cut_off(self, floor: int) -> tuple[str, str]:
        """Tell whether a floor (a wire number) would cut it off: yes, no or unknown, and why.

        .. versionadded:: 0.1
        """
        found = self.negotiated.protocol if self.negotiated else ""
        spoken = [*self.accepted(), versions.OPENSSL_NAMES.get(found, 0)]
        held = sorted(version for version in spoken if version >= floor)
        if held:
            but = self.negotiated.explanation if self.negotiated else ""
            return "no", f"it speaks {versions.name(held[-1])}{but and f', but {but}'}"
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
            "unsteady": self.unsteady,
            "negotiated": None if self.negotiated is None else dict(vars(self.negotiated)),
            "cut_off": {"answer": cut_off[0], "reason": cut_off[1]},
            "accepts_less": {"answer": less[0], "reason": less[1]},
        }


def examine(
    endpoint: Endpoint,
    *,
    timeout: float = TIMEOUT,
    context: ssl.SSLContext | None = None,
    pause: float = 0.0,
    stop: threading.Event | None = None,
) -> Report:
    """Try everything against one endpoint; with a ``context``, what this interpreter gets too.

    Args:
        endpoint: what to connect to.
        timeout: seconds for each connection.
        context: what this interpreter connects with.
        pause: seconds between two connections, for an endpoint with a rate limit.
        stop: gives up before the next connection once it is set.

    Raises:
        CancelledError: ``stop`` was set.

    .. versionadded:: 0.1
    .. versionchanged:: 0.2
        ``pause`` and ``stop``; a dropped connection is no refusal by itself.
    """
    report = Report(endpoint)
    try:
        report.address = _reach(endpoint, timeout)
    except socket.timeout:
        report.state, report.reason = TIMED_OUT, f"no connection within {timeout:g} s"
    except (OSError, UnicodeError) as error:
        report.state, report.reason = UNREACHABLE, words(error)
    else:
        caller = Caller(endpoint, report.address, timeout, pause, stop)
        report.attempts, report.unsteady = climb(caller)
        if all(each.fault for each in report.attempts):
            report.state, report.reason = report.attempts[0].fault, report.attempts[0].told
        elif context is not None:
            caller.wait()
            found = report.negotiated = negotiate(endpoint, report.address, context, timeout)
            if found.state in (REFUSED, CLOSED):
                found.explanation = explain(report.attempts, context, found.reason)
    report.attempts.sort(key=lambda each: (-each.version, each.key_exchange))
    return report


def examine_all(
    endpoints: Iterable[Endpoint], jobs: int = 8, **options: Any
) -> Generator[Report, None, None]:
    """Yield a report for each endpoint, in their order, ``jobs`` of them at a time.

    ``options`` are those of ``examine``. Closing the generator gives up the rest at once: a thread
    that waits for an endpoint then ends by itself, within its time-out, and keeps no process alive
    (which is why they are not those of an executor).

    .. versionadded:: 0.1
    """
    stop = threading.Event()
    waiting: queue.SimpleQueue[tuple[Future[Report], Endpoint]] = queue.SimpleQueue()
    futures: list[Future[Report]] = []
    for endpoint in endpoints:
        futures.append(Future())
        waiting.put((futures[-1], endpoint))

    def work() -> None:
        while not stop.is_set():
            try:
                future, endpoint = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                future.set_result(examine(endpoint, stop=stop, **options))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                future.set_exception(error)

    for _ in range(min(jobs, len(futures))):
        threading.Thread(target=work, daemon=True, name="tlsfloor-check").start()
    try:
        for future in futures:
            yield future.result()
    finally:
        stop.set()


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
