"""Collects what ``verify``, ``check``, ``stacks`` and ``status`` found on many machines.

Each of their reports is a JSON object of schema 2. What it says of one interpreter, endpoint,
library or process is a ``Finding``. The order in which reports are read makes no difference: of
several reports with the same scope (command, machine, owner, image, floor, targets) the newest one
counts. A run of ``verify`` that was interrupted replaces nothing but what it reached.

A finding is about the floor that its command was asked about. A machine that permits TLS 1.1 below
floor 1.2 permits it below floor 1.3, too. Whether one that is in order at 1.2 is in order at 1.3 is
unknown.
"""

from __future__ import annotations

import calendar
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tlsfloor import stacks, versions
from tlsfloor.report.tally import EARLIEST, NO, UNKNOWN, YES, shortened

#: The schema of the reports that are read.
SCHEMA = 2

#: What a report may be: what its answer is based on, and the command that prints it.
COMMANDS = {
    "handshake": "verify",
    "hello": "verify",
    "connections": "check",
    "files": "stacks",
    "process": "status",
}

#: What a finding is about -> the heading of what is flagged or inconclusive.
KINDS = {
    "interpreter": "interpreters that permit a downgrade, or may permit one",
    "process": "processes that hold no floor, or a lower one",
    "library": "TLS libraries that nothing holds, or that could not be read",
    "endpoint": "endpoints that accept old versions, or may accept them",
}

#: Each verdict, the worst first, and whether it is flagged.
VERDICTS = {
    "leaks": YES,
    "lowerable": YES,
    "not held": YES,
    "not covered": YES,
    "cut off": YES,
    "accepts old versions": YES,
    "inconclusive": UNKNOWN,
    **dict.fromkeys(("enforced", "held", "covered", "accepts no old version", "immune"), NO),
}
SEVERITY = {verdict: -place for place, verdict in enumerate(VERDICTS)}

# What is wrong with an object that is no report of a machine.
DAMAGED = "damaged or unknown report of tlsfloor"
OTHER_TOOL = "report of another tool"
OTHER_SCHEMA = "report of another schema"
OF_EVENTS = "report of `tlsfloor report`: name it after --since"
PROBLEMS = {DAMAGED, OTHER_TOOL, OTHER_SCHEMA, OF_EVENTS}


class Finding(NamedTuple):
    """What a report says of one thing. ``floor`` is a wire number, 0 if a process holds none."""

    when: float
    verdict: str
    kind: str
    name: str
    floor: int
    host: str
    owner: str
    image: str
    text: str
    detail: str

    def flagged(self, floor: int) -> str:
        """Return whether it permits something below a floor: yes, no or unknown."""
        found = VERDICTS[self.verdict]
        if found == YES:
            return YES if self.floor <= floor else UNKNOWN
        if found == NO and self.floor < floor:
            return YES if self.kind == "process" else UNKNOWN
        return found


class Scope(NamedTuple):
    """What a report is about. ``targets`` is what was searched or tried, and how."""

    command: str
    host: str
    owner: str
    image: str
    floor: str
    targets: tuple[str, ...]


class Machines:
    """The findings of all reports.

    Attributes:
        reports: how many reports were read.
        newest: scope -> when the newest report on it was made, 0 if that is unknown.
        hosts: machine -> when its last report was made.
        partial: each scope whose newest report did not reach everything.
    """

    def __init__(self) -> None:
        self.reports = 0
        self.newest: dict[Scope, float] = {}
        self.hosts: dict[str, float] = {}
        self.partial: set[Scope] = set()
        # With whether its time is known: what has none neither replaces anything nor is replaced.
        self._found: dict[tuple[Scope, bool, str, str], Finding] = {}
        self._replaced: dict[Scope, float] = {}
        self._doubts: dict[tuple[Scope, bool, str], float] = {}
        self._latest = time.time() + 86400

    def take(self, report: dict[str, Any]) -> str:
        """Count a report; return what is wrong with it if it is none, and then count nothing."""
        try:
            if report["tool"]["name"] != "tlsfloor":
                return OTHER_TOOL
            if report["schema"] != SCHEMA:
                return OTHER_SCHEMA
            if report["evidence"] not in COMMANDS:
                return OF_EVENTS if "floors" in report else DAMAGED
            self._take(COMMANDS[report["evidence"]], report)
        except (AttributeError, LookupError, TypeError, ValueError):
            return DAMAGED
        return ""

    def _take(self, command: str, report: dict[str, Any]) -> None:
        run = report["run"]
        labels = run.get("labels", {})  # which the first reports of schema 2 do not have
        named = labels.get("host", run["host"])  # where names of machines are not unique
        host, owner, image = map(_text, (named, labels.get("owner"), labels.get("image")))
        doubts: list[str] = []
        when = float(calendar.timegm(time.strptime(run["time"], "%Y-%m-%dT%H:%M:%SZ")))
        if not EARLIEST <= when <= self._latest:
            doubts.append(f"its clock is wrong: {run['time']}")
            when = 0.0
        found, targets, more = _READERS[command](report)
        # What `status` found is the floor of the process, and none if that is not held.
        asked = "" if command == "status" else report["floor"]
        floor = versions.FLOORS[report["floor"]] if asked or report["held"] else 0
        if labels.get("service"):
            targets = [*targets, f"service {_text(labels['service'])}"]
        scope = Scope(command, host, owner, image, asked, tuple(map(str, targets)))
        who = (floor, host, owner, image)
        findings = [
            (
                (scope, when > 0, kind, name),
                Finding(when, verdict, kind, _text(name), *who, _text(text), _text(detail)),
            )
            for verdict, kind, name, text, detail in found
        ]
        # Nothing can fail any more.
        self.reports += 1
        for key, finding in findings:
            before = self._found.get(key)
            if before is None or _rank(finding) > _rank(before):
                self._found[key] = finding
        finished = report.get("finished", True)
        if when >= self.newest.get(scope, 0):
            equal = when == self.newest.get(scope) and scope in self.partial
            is_partial = not finished or bool(doubts or more) or equal
            (self.partial.add if is_partial else self.partial.discard)(scope)
            self.newest[scope] = when
        self.hosts[host] = max(when, self.hosts.get(host, 0))
        if command != "check" and finished:
            self._replaced[scope] = max(when, self._replaced.get(scope, 0))
        for doubt in (*doubts, *more):
            of = scope, when > 0, f"{host}: {command}: {doubt}"
            self._doubts[of] = max(when, self._doubts.get(of, 0))

    def findings(self) -> list[Finding]:
        """Return the findings of the newest reports, the worst first."""
        known = self._found.items()
        kept = [each for key, each in known if self._is_newest(key[0], each.when)]
        return sorted(kept, key=_worst_first)

    def doubts(self) -> list[str]:
        """Return why the newest reports do not prove what they say, as phrases."""
        known = self._doubts.items()
        return sorted({text for (scope, _, text), when in known if self._is_newest(scope, when)})

    def _is_newest(self, scope: Scope, when: float) -> bool:
        return not when or when >= self._replaced.get(scope, 0)


def _worst_first(finding: Finding) -> tuple[Any, ...]:
    who = (finding.owner, finding.image, finding.host)
    return (-SEVERITY[finding.verdict], finding.name, who, finding)


def _rank(finding: Finding) -> tuple[Any, ...]:
    """Return which of several findings counts: the newest, and of those the worst."""
    return (finding.when, SEVERITY[finding.verdict], finding)


def _text(value: object) -> str:
    """Return a text of a report, cut off where it is long. Equal texts are one object."""
    return sys.intern(shortened(value))


# Findings (verdict, kind, name, text, detail), what the report is about, and why it does not prove
# what it says.
if TYPE_CHECKING:
    _Read = tuple[list[tuple[str, str, str, str, str]], list[str], list[str]]


def _verify(report: dict[str, Any]) -> _Read:
    found, doubts = [], [*map(_text, report["problems"])]
    if type(report["finished"]) is not bool:
        raise ValueError("whether it is finished is unknown")
    for each in report["interpreters"]:
        verdict = each["verdict"]
        if (VERDICTS[verdict] != NO) is not each["flagged"]:
            raise ValueError("the verdict contradicts itself")
        python = " ".join(filter(None, (each["implementation"], each["version"])))
        text = each["summary"]
        if verdict == "inconclusive":
            text = "; ".join(map(str, each["reasons"][:1])) or text
        found.append(
            (
                verdict,
                "interpreter",
                each["path"],
                text,
                ", ".join(filter(None, (python, each["openssl"]))),
            )
        )
    if not found:
        doubts.append("no interpreter was verified")
    flagged = {VERDICTS[verdict] for verdict, *_ in found} | ({UNKNOWN} if doubts else set())
    expected = 1 if YES in flagged else 3 if UNKNOWN in flagged else 0
    if report["exit_status"] != expected:
        raise ValueError("the exit status is of another report")
    targets = report["targets"] or [report["run"]["command"][0]]
    # Equal names in another folder are other interpreters.
    folder = [] if all(map(os.path.isabs, targets)) else [report["run"]["directory"]]
    return found, [report["evidence"], *report["roles"], *targets, *folder], doubts


def _check(report: dict[str, Any]) -> _Read:
    found = []
    for each in report["endpoints"]:
        cut, below = each["cut_off"], each["accepts_below"]
        if not {cut["answer"], below["answer"]} <= {YES, NO, UNKNOWN}:
            raise ValueError("an answer is unknown")
        verdict, text = "accepts no old version", cut["reason"]
        if cut["answer"] == YES:
            verdict = "cut off"
        elif below["answer"] == YES:
            verdict, text = "accepts old versions", below["reason"]
        elif UNKNOWN in (cut["answer"], below["answer"]):
            verdict = "inconclusive"
            text = cut["reason"] if cut["answer"] == UNKNOWN else below["reason"]
        detail = "" if each["starttls"] == "none" else f"STARTTLS: {each['starttls']}"
        found.append((verdict, "endpoint", each["endpoint"], text, detail))
    return found, [], [] if found else ["no endpoint was checked"]


def _stacks(report: dict[str, Any]) -> _Read:
    found = []
    for each in report["libraries"]:
        covered = set(each["coverage"].split(", ")) <= set(stacks.COVERED)
        verdict = "covered" if covered else "not covered"
        detail = f"{each['implementation']}, {each['coverage']}"
        found.append((verdict, "library", each["path"], each["stack"], detail))
    for path, why in report["unreadable"].items():
        found.append(("inconclusive", "library", path, why, ""))
    return found, report["searched"], []


def _status(report: dict[str, Any]) -> _Read:
    held = report["held"]
    if type(held) is not bool or (held and report["floor"] is None):
        raise ValueError("what is held is unknown")
    problems = [*report["below"], *report["problems"]]
    text = "; ".join(problems[:1]) if problems or not held else f"floor {report['floor']}"
    observed = f"floor {report['observed']} is only observed" if report["observed"] else ""
    found = [("held" if held else "not held", "process", report["interpreter"], text, observed)]
    # Services may share an interpreter, so a process is known by its folder and its user, too.
    run = report["run"]
    return found, [report["interpreter"], f"in {run['directory']}", f"user {run['user_id']}"], []


_READERS = {"verify": _verify, "check": _check, "stacks": _stacks, "status": _status}
