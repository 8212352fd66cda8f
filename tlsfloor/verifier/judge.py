"""Conclude from the observations of probe and peers what an interpreter accepts.

Theory of operation
-------------------

The rules are those of ``docs/explanation/design.md#rules-of-evidence``.

The module gets two observations of each case: what the probe inside the interpreter said, and what
the peer at the other end saw. It starts nothing and prints nothing. First it gives each case an
outcome:

*accepted*
  One of the two sides completed the handshake. One side is enough: a probe that is killed says
  nothing, but its peer has seen the connection.

*refused*
  TLS or the program itself refused the connection, and the positive control of the program
  succeeded. TLS refuses by an alert on either side (RFC 8446 section 6.2), or by an error of
  OpenSSL about the version (its names are in include/openssl/sslerr.h). The program refuses if it
  raises an error of its own before a handshake, for example ``ValueError`` for a version that its
  ``ssl`` does not know.

*absent*
  The library, or a constant that the case needs, does not exist in the interpreter.

*inconclusive*
  Everything else. A connection that was dropped without an alert is here: a system without files or
  memory drops connections, and so does a peer that failed.

The positive control of a program is the same program with a peer of an allowed version. Without it
a program that can reach nothing at all would look safe. A setup for a fixed version below the floor
has no allowed version, so another setup with the same cipher suites is its control: if OpenSSL
refuses the suites (``@SECLEVEL=0`` does not exist in AWS-LC), nothing was tried. A floor refuses a
library that it cannot hold as a whole, at its import or before it connects. Then there is no
control, and the error says that it was the floor.

What the answer to a crafted hello means is decided in ``tlsfloor.peers.hello_answers``. Only an
alert or an error about the version counts as a refusal there.

Then each launch gets a verdict. What was accepted decides first, so that a launch that failed in
the middle can still be known to leak. Doubts come next. Only a launch without doubts can be
*immune* or *enforced*, and the launches without the floor decide which of the two. These are the
launch in isolation, and for any other launch also the one as started:

============  ====================================================================================
leaks         as started, a program that asks for no version connects below the floor
lowerable     as started, a program that asks for less than the floor gets it
inconclusive  some case has no outcome that proves anything
enforced      as started, nothing connects below the floor; without the floor, something does
immune        nothing connects below the floor in any of the launches
============  ====================================================================================

A verdict counts what this launch tried, and nothing else: a launch with an option of Python tries
fewer cases, and isolation has no packages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlsfloor import versions
from tlsfloor.peers.base import NO_HELLO, REFUSED
from tlsfloor.peers.hello_answers import SILENT
from tlsfloor.verifier.cases import ANY, DEFAULT_SETUPS, FIXED_VERSIONS, Case

#: The exit status for each verdict. Only *immune* and *enforced* have 0.
EXIT_STATUSES = {"immune": 0, "enforced": 0, "lowerable": 1, "leaks": 1, "inconclusive": 3}

#: The outcomes of a case, which are explained above.
OUTCOMES = ("accepted", "refused", "absent", "inconclusive")

# What the probe says of a case that it did not reach.
_NOT_REACHED = {"error": "the probe did not reach this case"}

# How OpenSSL names a version that it refuses or cannot offer.
_REASONS = ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS")

# How the error of a guard begins that refuses a library as a whole, before it connects.
_BY_FLOOR = "ProtocolRefused: "

# How the error begins if the import of a library that no guard holds is refused.
_AT_IMPORT = "tlsfloor: error: "

# Parts of errors of an import that failed although the library is installed. The dynamic linker
# says the second one, also if too many libraries have variables of each thread.
_NOT_ABSENT = (_AT_IMPORT, "allocate memory", "open files")

# In the text of tlslite-ng's TLSLocalAlert and TLSRemoteAlert: one side reached a decision.
_ALERT = "Alert: "

# How the text of a peer begins if the other side closed the connection without an alert.
_CLOSED = (
    *("TLSAbruptCloseError", "ConnectionResetError", "ConnectionAbortedError"),
    "BrokenPipe",
)

# Parts of errors that are not about TLS: of Python, the operating system, urllib3, httpx, aiohttp,
# awscrt, libpq, libmariadb, libldap, gRPC and libgit2. A program that closes without an alert and
# reports any other error has refused. Two lack their first letter, because its case varies:
# "Broken pipe" and "broken pipe", "ServerDisconnectedError" and "Server disconnected".
_DROPPED = (
    *("timed out", "Timeout", "TIMEOUT", "reset by peer", "ConnectionReset", "Connection refused"),
    *("ConnectionRefused", "Connection aborted", "ConnectionAborted", "roken pipe", "BrokenPipe"),
    *("EOF", "isconnected", "SOCKET_", "open files", "MemoryError", "allocate memory"),
    *("new thread", _NOT_REACHED["error"]),
    *("eof while reading", "SYSCALL", "closed the connection", "timeout expired"),
    *("Lost connection to", "Can't connect to", "Can't contact LDAP server"),
    *("Socket closed", "Deadline Exceeded", "syscall failure", "temporarily unavailable"),
)

# What a verdict counts: what was accepted, blocked or only tried.
_CONNECTIONS = {
    "accepted": "connection{s} below {floor} succeeded",
    "blocked": "downgrade{s} that {work} without the floor {are} blocked",
    "tried": "downgrade{s} that {were} tried succeeded",
}
_HELLOS = {
    "accepted": "hello{s} below {floor} {were} accepted",
    "blocked": "hello{s} below {floor} that {are} accepted without the floor {are} refused",
    "tried": "hello{s} below {floor} that {were} tried was accepted",
}
_ONE = {"s": "", "work": "works", "are": "is", "were": "was"}
_SEVERAL = {"s": "s", "work": "work", "are": "are", "were": "were"}


@dataclass(frozen=True)
class CaseResult:
    """The outcome of a case, and the evidence of both sides."""

    case: Case
    outcome: str
    probe_said: str
    peer_saw: str


@dataclass
class LaunchResult:
    """What one run of the probe observed. ``failure`` says why it observed nothing.

    ``reused_from`` is the interpreter that was launched, if it is another one of the same runtime.
    """

    name: str
    results: list[CaseResult] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    reused_from: str = ""

    def fact_list(self, name: str) -> list[Any]:
        """Return a fact that is a list; an empty one if the interpreter reported anything else."""
        value = self.facts.get(name)
        return value if isinstance(value, list) else []

    def below(self, floor: int, outcome: str) -> list[CaseResult]:
        """Return the cases below the floor that were ``"accepted"``, or another outcome."""
        found = (result for result in self.results if result.outcome == outcome)
        return [result for result in found if result.case.version < floor]

    def doubts(self) -> list[str]:
        """Return why this launch does not prove that nothing is accepted."""
        if self.failure:
            return [self.failure]
        outcomes = {result.outcome for result in self.results}
        found = [
            f"{result.case.id}: {result.probe_said or result.peer_saw}"
            for result in self.results
            if result.outcome == "inconclusive"
        ]
        return found if outcomes & {"accepted", "refused"} else [*found, "nothing could be tried"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a launch. Its name and ``explanation`` are one sentence."""

    name: str
    explanation: str
    reasons: list[str]

    @property
    def exit_status(self) -> int:
        """The exit status of a run with this verdict alone."""
        return EXIT_STATUSES[self.name]

    def __str__(self) -> str:
        return f"{self.name.upper()}, {self.explanation}"


def judge_cases(
    cases: list[Case],
    probe_said: dict[str, dict[str, str]],
    peer_saw: dict[str, tuple[bool, str]],
    floor: int,
) -> list[CaseResult]:
    """Return the outcome of each case.

    The dictionaries have the ids of cases as keys. ``peer_saw`` tells whether the peer completed a
    handshake, and what it saw.
    """
    controls = {
        case.program
        for case in cases
        if case.version >= floor
        and peer_saw[case.id][0]
        # No handshake is completed after a crafted hello.
        and (case.key_exchange == ANY or probe_said.get(case.id, {}).get("version"))
    }
    found = []
    for case in cases:
        said = probe_said.get(case.id, _NOT_REACHED)
        completed, saw = peer_saw[case.id]
        error = said.get("error", "")
        if case.key_exchange == ANY and set(saw.split(", ")) == {SILENT}:
            # asyncio drops the alert of a failed handshake, and the program reports the error.
            completed = not any(reason in error for reason in _REASONS)
        if completed or said.get("version"):
            outcome = "accepted"
        elif "absent" in said and not any(text in said["absent"] for text in _NOT_ABSENT):
            outcome = "absent"
        elif _is_refusal(case, said, saw, controls):
            outcome = "refused"
        else:
            outcome = "inconclusive"
        found.append(
            CaseResult(case, outcome, said.get("version") or said.get("absent") or error, saw)
        )
    return found


def _control_of(case: Case) -> str:
    """Return the program that is the positive control of a case."""
    if case.setup not in FIXED_VERSIONS:
        return case.program
    control = "lowered, @SECLEVEL=0" if case.setup.endswith("@SECLEVEL=0") else "default"
    return f"{case.role} {case.library} {control}"


def _is_refusal(case: Case, said: dict[str, str], saw: str, controls: set[str]) -> bool:
    """Return whether a case that was not accepted was refused."""
    if "absent" in said:  # if ssl is refused at its import too, there are no controls at all
        return bool(controls) and said["absent"].startswith(_AT_IMPORT)
    error = said.get("error", "")
    by_floor = error.startswith(_BY_FLOOR) and not saw
    if "timed out" in error or not (by_floor or _control_of(case) in controls):
        return False
    hello = case.key_exchange == ANY
    if saw.startswith(REFUSED) or any(reason in error for reason in _REASONS):
        return True
    if not hello and _ALERT in saw:
        return True
    closed = not saw or saw.startswith((NO_HELLO,) if hello else _CLOSED)
    return closed and not any(text in error for text in _DROPPED)


def judge_launch(
    isolated: LaunchResult, launch: LaunchResult, floor: int, as_started: LaunchResult | None = None
) -> Verdict:
    """Return the verdict on a launch, by comparison with the launches without the floor.

    ``as_started`` is one of them if a launch with the floor or with an option is judged.
    """
    accepted, refused = launch.below(floor, "accepted"), launch.below(floor, "refused")
    hellos = any(result.case.key_exchange == ANY for result in launch.results)

    def counted(results: list[CaseResult], what: str) -> str:
        words = (_HELLOS if hellos else _CONNECTIONS)[what]
        forms = _ONE if len(results) == 1 else _SEVERAL
        return f"{len(results)} {words.format(floor=versions.name(floor), **forms)}"

    by_default = [result for result in accepted if result.case.setup in DEFAULT_SETUPS]
    when_asked = [result for result in accepted if result.case.setup not in DEFAULT_SETUPS]
    if by_default:
        how = f"{counted(by_default, 'accepted')} with default settings"
        if when_asked:
            how += f", and {len(when_asked)} more when a program asked for less"
        return Verdict("leaks", how, _reasons("accepted", [*by_default, *when_asked]))
    if accepted:
        how = f"{counted(accepted, 'accepted')} when a program asked for less"
        return Verdict("lowerable", how, _reasons("accepted", accepted))
    doubts = launch.doubts()
    others = [isolated, as_started or isolated]
    works = {result.case for other in others for result in other.below(floor, "accepted")}
    blocked = [result for result in refused if result.case in works]
    if blocked and not doubts:
        how = counted(blocked, "blocked")
        return Verdict("enforced", how, _reasons("blocked", blocked))
    how = f"{isolated.name}, without environment variables and start-up files"
    doubts += [f"{how}: {doubt}" for doubt in isolated.doubts()]
    if works and not doubts:
        doubts = ["nothing that works without the floor was tried"]
    if doubts:
        return unproven(doubts)
    without = len(isolated.below(floor, "refused"))
    end = f"and none of the {without} that were tried without the floor"
    if without == len(refused):
        end = "even without the floor"
    how = f"none of the {counted(refused, 'tried')}, {end}"
    return Verdict("immune", how, _reasons("refused", refused))


def unproven(doubts: list[str]) -> Verdict:
    """Return the verdict on what could not be tried."""
    first = f"the first of {len(doubts)} reasons: " if len(doubts) > 1 else ""
    return Verdict("inconclusive", f"nothing is proven: {first}{doubts[0]}", doubts)


def _reasons(word: str, results: list[CaseResult]) -> list[str]:
    return [f"{word}: {result.case.id}" for result in results]
