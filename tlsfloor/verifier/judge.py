"""What the observations mean. Nothing here tries, starts or prints anything.

A case is *accepted* when either side completed the handshake, *refused* when it was tried, TLS or
the program itself said no, and its positive control succeeded, *absent* when its library is not
there, and else *inconclusive*: never a pass. So is a connection that was merely dropped: a system
without files or memory does that, or a peer that failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlsfloor import versions
from tlsfloor.peers.answers import SILENT
from tlsfloor.peers.base import NO_HELLO, REFUSED
from tlsfloor.verifier.cases import ANY, FIXED, Case

#: The verdicts that are not flagged.
SOUND = ("immune", "enforced")


# What OpenSSL calls a version that it refuses, or cannot offer.
_REASONS = ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS")

# How tlslite-ng begins where either side sent an alert: it reached a decision.
_ALERT = "Alert: "

# How a peer begins where the other side has left without an alert.
_GONE = ("TLSAbruptCloseError", "ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError")

# What errors hold that say nothing about TLS: of Python, of the system, of urllib3, httpx, aiohttp
# and awscrt. A program that has left without an alert and says anything else has its own reason.
_DROPS = (
    *("timed out", "Timeout", "TIMEOUT", "reset by peer", "ConnectionReset", "Connection refused"),
    *("ConnectionRefused", "Connection aborted", "ConnectionAborted", "roken pipe", "BrokenPipe"),
    *(
        "EOF",
        "isconnected",
        "SOCKET_",
        "open files",
        "MemoryError",
        "allocate memory",
        "new thread",
    ),
    "the probe did not come to it",
)


@dataclass(frozen=True)
class Result:
    """What became of a case: ``outcome``, and the evidence of both sides."""

    case: Case
    outcome: str
    told: str
    seen: str

    def as_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON types."""
        return {
            "role": self.case.role,
            "via": self.case.via,
            "way": self.case.way,
            "version": versions.name(self.case.version),
            "key_exchange": self.case.key_exchange,
            "outcome": self.outcome,
            "told": self.told,
            "seen": self.seen,
        }


@dataclass
class Launch:
    """One run of the probe: what it was for, what it observed, or why it could not."""

    name: str
    results: list[Result] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    failure: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the run as JSON types."""
        return {
            "name": self.name,
            "failure": self.failure,
            "facts": self.facts,
            "cases": [result.as_dict() for result in self.results],
        }

    def accepted(self, floor: int) -> list[Result]:
        """Return what was accepted below the floor."""
        return [
            result
            for result in self.results
            if result.outcome == "accepted" and result.case.version < floor
        ]

    def doubts(self) -> list[str]:
        """Return what keeps this run from proving that nothing is accepted."""
        if self.failure:
            return [f"{self.name}: {self.failure}"]
        found = [
            f"{self.name}: {result.case.id}: {result.told or result.seen}"
            for result in self.results
            if result.outcome == "inconclusive"
        ]
        tried = any(result.outcome in ("accepted", "refused") for result in self.results)
        return found if tried else [*found, f"{self.name}: nothing could be tried"]


def results(
    cases: list[Case],
    told: dict[str, dict[str, str]],
    seen: dict[str, tuple[bool, str]],
    floor: int,
) -> list[Result]:
    """Put together what the probe told and what the peers saw.

    ``seen`` is, for each case, whether the peer completed a handshake, and its own words.
    """
    controls = {
        case.subject
        for case in cases
        if case.version >= floor
        and seen[case.id][0]
        # Nobody completes a handshake after a crafted hello.
        and (case.key_exchange == ANY or told.get(case.id, {}).get("version"))
    }
    # A fixed version below the floor has no control of its own: that of a program stands in for it
    # which asks for the same cipher suites, since where these are refused nothing is tried.
    controls |= {
        case.subject
        for case in cases
        if case.way in FIXED and f"{case.role} {case.via} {_stand_in(case.way)}" in controls
    }
    found = []
    for case in cases:
        tell = told.get(case.id, {"error": "the probe did not come to it"})
        completed, words = seen[case.id]
        if case.key_exchange == ANY and set(words.split(", ")) == {SILENT}:
            # asyncio drops the alert of a failed handshake; the program itself heard its OpenSSL.
            completed = not any(each in tell.get("error", "") for each in _REASONS)
        if completed or tell.get("version"):
            outcome = "accepted"
        elif "absent" in tell:
            outcome = "absent"
        elif case.subject in controls and _refuses(case, tell.get("error", ""), words):
            outcome = "refused"
        else:
            outcome = "inconclusive"
        words_told = tell.get("version") or tell.get("absent") or tell.get("error", "")
        found.append(Result(case, outcome, words_told, words))
    return found


def _stand_in(way: str) -> str:
    return "lowered, @SECLEVEL=0" if way.endswith("@SECLEVEL=0") else "default"


def _refuses(case: Case, error: str, words: str) -> bool:
    """Tell whether what is not accepted was refused, by an ``error`` here and the peer's ``words``.

    TLS said no where a reason or an alert says so; after a mere hello, only where that is about the
    version. The program said no where it came to no handshake, and not for want of a connection.
    """
    if "timed out" in error:
        return False
    hello = case.key_exchange == ANY
    if words.startswith(REFUSED) or any(each in error for each in _REASONS):
        return True
    if not hello and _ALERT in words:
        return True
    left = not words or words.startswith((NO_HELLO,) if hello else _GONE)
    return left and not any(each in error for each in _DROPS)


def verdict(isolated: Launch, deployed: Launch, floor: int) -> tuple[str, list[str]]:
    """Return the verdict of design section 7 for a floor (a wire number), and the reasons for it.

    What was accepted as deployed decides first, then any doubt, and only then can an interpreter be
    sound: of both launches the worse one speaks.
    """
    accepted = deployed.accepted(floor)
    if any(result.case.asks_nothing for result in accepted):
        return "leaks", [f"accepted: {each.case.id}" for each in accepted if each.case.asks_nothing]
    if accepted:
        return "lowerable", [f"accepted: {each.case.id}" for each in accepted]
    doubts = deployed.doubts()
    if not doubts and isolated.accepted(floor):
        return "enforced", [f"only isolated: {each.case.id}" for each in isolated.accepted(floor)]
    doubts += isolated.doubts()
    if doubts:
        return "inconclusive", doubts
    return "immune", ["nothing below the floor is accepted, whatever the program asks for"]
