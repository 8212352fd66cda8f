"""The ladder of versions that an endpoint is asked for, and what a dropped connection means.

A ladder of attempts is climbed, each version with each kind of key exchange. A refusal counts only
if something else was accepted: an endpoint that accepts nothing may have any reason. What cannot be
told is *unknown*, with the reason, and never a pass.

A connection that is dropped (closed without a word of TLS) has two possible reasons: some servers
refuse a version that way, and rate limits, bans and overloaded machines drop whatever comes next.
Only repetition tells them apart. The control is a hello that this endpoint accepted; ``_is_steady``
sends it before, between and after repetitions of what was dropped, and a drop is a refusal only
if each control is answered and each repetition dropped::

    control  (dropped dropped control)  (dropped dropped control)  ...  control x 4

No pattern in the count of connections passes for a refusal: an endpoint that drops every second or
third connection answers one of two repetitions in a row, and whatever it drops of five in a row
(two of the four servers behind a load balancer, say) is one of the five controls at the end.
What was refused by an alert that is not about the version (an overloaded server may
send internal_error to everybody) needs one control that is answered, at the end.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from tlsfloor.endpoints.attempts import CLOSED, complete, hello
from tlsfloor.peers.answers import ACCEPTED, INCONCLUSIVE, REFUSED
from tlsfloor.versions import SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3

if TYPE_CHECKING:
    from tlsfloor.endpoints.attempts import Attempt, Endpoint

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

# Controls at the end, after the one that follows the last repetition.
_MORE = 4


class Caller:
    """Says hello to one endpoint, ``pause`` seconds after the connection before.

    Raises:
        CancelledError: ``stop`` was set; nobody waits for the report any more.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        address: str,
        timeout: float,
        pause: float = 0.0,
        stop: threading.Event | None = None,
    ) -> None:
        self.endpoint, self.address, self.timeout, self.pause = endpoint, address, timeout, pause
        self._stop = stop or threading.Event()

    def wait(self) -> None:
        """Wait for the next connection's turn."""
        if self._stop.wait(self.pause):
            raise CancelledError

    def hello(self, version: int, key_exchange: str) -> Attempt:
        """Offer one version with one kind of key exchange."""
        self.wait()
        return hello(self.endpoint, self.address, version, key_exchange, self.timeout)

    def complete(self, attempt: Attempt) -> str:
        """Do the whole handshake of a hello that was accepted."""
        self.wait()
        return complete(self.endpoint, self.address, attempt, self.timeout)


def climb(caller: Caller) -> tuple[list[Attempt], str]:
    """Try the ladder of versions; give up early on an endpoint that does not speak TLS at all.

    Returns:
        The attempts; and why what was dropped means nothing, empty if it was refused.

    .. versionadded:: 0.2
    """
    attempts: list[Attempt] = []
    for version, key_exchange in _LADDER:
        attempts.append(caller.hello(version, key_exchange))
        faults = [each.fault for each in attempts]
        if len(attempts) >= 2 and all(faults) and set(faults) != {CLOSED}:
            break
    if all(each.fault for each in attempts):
        return attempts, ""
    for version in (TLS1_3, TLS1_2, TLS1_1, TLS1_0):
        tried = [each for each in attempts if each.version == version]
        certain = any(
            each.outcome == ACCEPTED or each.told == "alert protocol_version" for each in tried
        )
        if not certain:
            attempts.append(caller.hello(version, "other"))
    unsteady = _repeat(caller, attempts)
    for each in attempts:
        if each.outcome == ACCEPTED and each.key_exchange != "other":
            each.handshake = caller.complete(each)
    return attempts, unsteady


def _repeat(caller: Caller, attempts: list[Attempt]) -> str:
    """Find out what the drops mean, as the docstring of this module has it; return why nothing."""
    control = next((each for each in attempts if each.outcome == ACCEPTED), None)
    dropped = [each for each in attempts if each.fault == CLOSED]
    slower = f"go slower, --pause {max(1.0, 2 * caller.pause):g}"
    if control is None and dropped:
        return f"it answers some connections and drops others, as a rate limit does: {slower}"
    if control is None or not any(each.fault or _is_vague(each) for each in attempts):
        return ""
    if _is_steady(caller, control, dropped):
        for each in dropped:
            each.outcome = REFUSED
        return ""
    for each in filter(_is_vague, attempts):
        each.outcome = INCONCLUSIVE
    return (
        "it does not always answer what it accepted, so what it drops says nothing about a version"
        f": {slower}"
    )


def _is_steady(caller: Caller, control: Attempt, dropped: list[Attempt]) -> bool:
    """Tell whether it drops what it dropped, and nothing else; what it answers now counts."""

    def answered() -> bool:
        return caller.hello(control.version, control.key_exchange).outcome == ACCEPTED

    steady = answered()
    for each in dropped:
        for _ in range(2):
            again = caller.hello(each.version, each.key_exchange)
            if again.fault != CLOSED:
                # A refusal whose alert was lost before (a reset does that) is one all the same.
                steady = steady and again.outcome == REFUSED
                vars(each).update(vars(again))
                break
        if not answered():
            steady = False
            if not answered():
                return False  # a ban: it is not to be made longer
    return steady and all(answered() for _ in range(_MORE if dropped else 0))


def _is_vague(attempt: Attempt) -> bool:
    """Tell whether it was refused by an alert that may be about something else than the version."""
    certain = attempt.told == "alert protocol_version"
    return attempt.outcome == REFUSED and attempt.told.startswith("alert ") and not certain
