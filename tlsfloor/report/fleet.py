"""Judges from the findings on many machines whether a floor is held everywhere."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tlsfloor import versions
from tlsfloor.report import phrases
from tlsfloor.report.machines import KINDS, VERDICTS, Finding, Machines
from tlsfloor.report.tally import NO, UNKNOWN, YES

_PLURALS = {"process": "processes", "library": "libraries"}


class Entry(NamedTuple):
    """Findings that differ only in the machine, and when they were made."""

    finding: Finding
    hosts: list[str]
    last: float

    def where(self) -> str:
        """Return the names of the machines where they are few, and else their number."""
        if len(self.hosts) > phrases.FEW:
            return phrases.many(len(self.hosts), "machine")
        return phrases.some(self.hosts, "machine")


class Fleet:
    """What is flagged on many machines.

    Attributes:
        findings: of the newest reports, the worst first.
        doubts: why they do not prove what they say, as phrases.
    """

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.findings = machines.findings()
        self.doubts = machines.doubts()
        self._owners: dict[str, set[str]] = {}
        for each in self.findings:
            if each.owner:
                self._owners.setdefault(each.host, set()).add(each.owner)

    def owners(self, hosts: set[str]) -> set[str]:
        """Return whose machines these are, as far as their reports say it."""
        return set().union(*(self._owners.get(host, ()) for host in hosts))

    def flagged(self, floor: int, answer: str = YES) -> list[Finding]:
        """Return the findings that permit something below a floor, or have another answer."""
        return [each for each in self.findings if each.flagged(floor) == answer]

    def answer(self, floor: int, *, doubtful: bool) -> str:
        """Return whether anything is flagged: yes, no or unknown.

        ``doubtful`` says that not everything could be read.
        """
        if self.flagged(floor):
            return YES
        is_unknown = doubtful or self.doubts or not self.findings or self.flagged(floor, UNKNOWN)
        return UNKNOWN if is_unknown else NO

    def headline(self, floor: int, answer: str) -> str:
        """Return the answer as a sentence."""
        name, reason = versions.floor_name(floor), self.reason(floor, answer)
        if answer == NO and self.is_of_files:
            return f"nothing is flagged, but files do not show whether a floor is held: {reason}"
        return {
            YES: f"floor {name} is not held everywhere: {reason}",
            NO: f"floor {name} is held on everything that was examined: {reason}",
            UNKNOWN: f"unknown whether floor {name} is held everywhere: {reason}",
        }[answer]

    @property
    def is_of_files(self) -> bool:
        """Whether all findings are about files: a covered library is held once a floor is armed."""
        return all(each.kind == "library" for each in self.findings)

    def reason(self, floor: int, answer: str) -> str:
        """Return what the answer is based on, as a phrase."""
        if answer == YES:
            return f"{self._parts(self.flagged(floor))} flagged"
        if answer == NO:
            return self._parts()
        parts = self._parts(self.flagged(floor, UNKNOWN))
        return f"{parts} inconclusive" if parts else "not everything was examined"

    def _parts(self, part: list[Finding] | None = None) -> str:
        """Return how many findings there are of each kind, or of a part of them."""
        known = Counter(each.kind for each in self.findings)
        if part is None:
            return ", ".join(_amount(known[kind], kind) for kind in KINDS if known[kind])
        found = Counter(each.kind for each in part)
        kinds = [kind for kind in KINDS if found[kind]]
        parts = [f"{found[kind]:,} of {_amount(known[kind], kind)}" for kind in kinds]
        is_one = len(part) == 1
        return f"{', '.join(parts)} {'is' if is_one else 'are'}" if parts else ""

    def entries(self, kind: str, floor: int) -> list[Entry]:
        """Return what is flagged or inconclusive, the worst first."""
        entries: dict[tuple[str, ...], Entry] = {}
        for each in self.findings:
            if each.kind == kind and each.flagged(floor) != NO:
                key = (each.verdict, str(each.floor), each.name, *each[6:])
                entry = entries.setdefault(key, Entry(each, [], each.when))
                entry.hosts.append(each.host)
                entries[key] = entry._replace(last=max(entry.last, each.when))
        return list(entries.values())

    def verdicts(self, *fields: str) -> list[tuple[tuple[str, ...], set[str], Counter[str]]]:
        """Return for each owner and image, say, the machines, and how often there is each verdict.

        ``fields`` are those of a finding. Those with the worst verdicts come first.
        """
        found: dict[tuple[str, ...], tuple[set[str], Counter[str]]] = {}
        for each in self.findings:
            key = tuple(getattr(each, field) for field in fields)
            hosts, counts = found.setdefault(key, (set(), Counter()))
            hosts.add(each.host)
            counts[each.verdict] += 1

        def worst_first(key: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
            return [-found[key][1][name] for name in VERDICTS], key

        return [(key, *found[key]) for key in sorted(found, key=worst_first)]

    def scope(self) -> str:
        """Return how many reports were read, of which machines and when."""
        known = self.machines
        size = phrases.many(len(known.hosts), "machine")
        if 0 < len(known.hosts) <= phrases.FEW:
            size += f" ({phrases.some(known.hosts, 'machine')})"
        commands = Counter(scope.command for scope in known.newest)
        of = phrases.some(commands, "command")
        times = [when for when in known.newest.values() if when]
        span = [phrases.moment(when) for when in (min(times), max(times))] if times else []
        when = f", {' to '.join(dict.fromkeys(span))} UTC" if span else ""
        return f"{phrases.many(known.reports, 'report')} of {of} from {size}{when}"


def _amount(count: int, kind: str) -> str:
    return f"{count:,} {kind if count == 1 else _PLURALS.get(kind, f'{kind}s')}"
