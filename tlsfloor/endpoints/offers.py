"""Offer an endpoint each version, and find out what a dropped connection means.

How it works: each version is offered with each kind of key exchange, and with everything that there
is if these are refused for a reason other than the version. A refusal counts only if something else
is accepted, as an endpoint that accepts nothing may have any reason. What cannot be decided is
*inconclusive*, with the reason, and never a pass.

A connection can be dropped (closed without an answer in TLS) for two reasons. Some servers refuse a
version that way, and rate limits, bans and overloaded machines drop any connection. Only repetition
can tell. The control is a hello that this endpoint has accepted. ``_is_steady`` sends it before,
between and after repetitions of what was dropped, and a drop is a refusal only if each control is
answered and each repetition is dropped::

    control  (dropped dropped control)  (dropped dropped control)  ...  control x 4

No pattern that depends on the number of the connection can look like a refusal. An endpoint that
drops every second or third connection answers one of two repetitions in a row. One that drops some
of five in a row (two of the four servers behind a load balancer, for example) drops one of the five
controls at the end.

A refusal by an alert that is not about the version needs one control that is answered at the end:
an overloaded server may send internal_error to every client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlsfloor.endpoints.attempts import CLOSED
from tlsfloor.endpoints.starttls import TIMED_OUT
from tlsfloor.peers.hello_answers import ACCEPTED, INCONCLUSIVE, REFUSED
from tlsfloor.versions import SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3

if TYPE_CHECKING:
    from tlsfloor.endpoints.attempts import Attempt, Caller

# The offers, in order. The first two differ most: an endpoint that answers neither is given up.
_OFFERS = (
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

# The kinds that follow, while a version is neither accepted nor refused by name.
_UNUSUAL = ("other", "rare")

# How many controls are sent at the end, after the one that follows the last repetition.
_LAST_CONTROLS = 4


def offer_all(caller: Caller) -> tuple[list[Attempt], str]:
    """Offer all versions; give up early on an endpoint that does not speak TLS.

    Returns:
        The attempts; and why dropped connections prove nothing, empty if they are refusals.
    """
    attempts: list[Attempt] = []
    for version, key_exchange in _OFFERS:
        attempts.append(caller.offer(version, key_exchange))
        failures = {attempt.failure for attempt in attempts}
        if len(attempts) >= 2 and "" not in failures and failures != {CLOSED}:
            break
    if all(attempt.failure for attempt in attempts):
        return attempts, ""
    for version in (TLS1_3, TLS1_2, TLS1_1, TLS1_0, SSL3):
        for key_exchange in _UNUSUAL:
            if not any(
                attempt.outcome == ACCEPTED
                or attempt.answer == "alert protocol_version"
                or attempt.failure == TIMED_OUT
                for attempt in attempts
                if attempt.version == version
            ):
                attempts.append(caller.offer(version, key_exchange))
    unreliable = _decide_drops(caller, attempts)
    for attempt in attempts:
        if attempt.outcome == ACCEPTED and attempt.key_exchange not in _UNUSUAL:
            attempt.handshake = caller.complete(attempt)
    return attempts, unreliable


def _decide_drops(caller: Caller, attempts: list[Attempt]) -> str:
    """Decide what the drops mean, as above; return why they prove nothing, empty if they do."""
    control = next((attempt for attempt in attempts if attempt.outcome == ACCEPTED), None)
    dropped = [attempt for attempt in attempts if attempt.failure == CLOSED]
    vague = [attempt for attempt in attempts if _is_vague(attempt)]
    again = f"try again with --pause {max(1.0, 2 * caller.pause):g}"
    if control is None and dropped:
        return f"it answers some connections and drops others, as a rate limit does: {again}"
    if control is None or not (vague or any(attempt.failure for attempt in attempts)):
        return ""
    if _is_steady(caller, control, dropped):
        for attempt in dropped:
            attempt.outcome = REFUSED
        return ""
    for attempt in filter(_is_vague, attempts):
        attempt.outcome = INCONCLUSIVE
    return (
        "it did not always answer a hello that it had accepted, so a dropped connection proves "
        f"nothing: {again}"
    )


def _is_steady(caller: Caller, control: Attempt, dropped: list[Attempt]) -> bool:
    """Return whether the endpoint drops what it dropped and answers the control, each time.

    If a repetition is answered, its answer replaces the drop in ``dropped``.
    """

    def is_answered() -> bool:
        return caller.offer(control.version, control.key_exchange).outcome == ACCEPTED

    steady = is_answered()
    for attempt in dropped:
        for _ in range(2):
            repetition = caller.offer(attempt.version, attempt.key_exchange)
            if repetition.failure != CLOSED:
                # It is a refusal if its alert was lost the first time, as a reset can do.
                steady = steady and repetition.outcome == REFUSED
                vars(attempt).update(vars(repetition))
                break
        if not is_answered():
            steady = False
            if not is_answered():
                return False  # it may be a ban: further connections would prolong it
    return steady and all(is_answered() for _ in range(_LAST_CONTROLS if dropped else 0))


def _is_vague(attempt: Attempt) -> bool:
    """Return whether it was refused by an alert that may be about something else."""
    about_version = attempt.answer == "alert protocol_version"
    return attempt.outcome == REFUSED and attempt.answer.startswith("alert ") and not about_version
