"""Judges the sums of the events: what a floor would break, and whether that is certain.

A floor is said to break nothing only if nothing is in doubt: there were handshakes, every line was
read, and every TLS library that a program imported is one whose handshakes tlsfloor sees.
"""

from __future__ import annotations

import time
from collections import Counter

from tlsfloor import versions
from tlsfloor.report import words
from tlsfloor.report.tally import NO, UNKNOWN, UNSEEN, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.report.lines import Reading
    from tlsfloor.report.tally import Row, Tally

#: The floors that are judged, whichever was asked about.
FLOORS = {name: versions.FLOORS[name] for name in ("1.2", "1.3")}

STATUSES = {NO: 0, YES: 1, UNKNOWN: 3}

#: A smaller share of the handshakes is worth a warning, and no alarm.
FEW = 0.01

_HEADINGS = {
    "1.2": "floor 1.2 would break",
    "1.3": "floor 1.3 would break",
    UNKNOWN: "not known whether a floor would break it",
    "exempted": "exemptions",
    "changed": "changed by the floor, but not broken",
    "fine": "",
}


class Answer:
    """What a floor would break, judged from all events.

    Attributes:
        floor: the floor that was asked about: ``"1.2"``.
        made: when the report was made.
        rows: each connection, the worst first; rows that sum up several come last.
        breaks: floor -> yes, no or unknown.
        doubts: floor -> what keeps the answer from being a certain "no", in words.
        lists: the rows by what to do about them, each row in one list: ``"1.2"`` (that floor
            breaks it), ``"1.3"`` (only that one does), ``unknown``, ``exempted``, ``changed``,
            ``fine``.
        handshakes: version (wire number) -> how many were completed.
        last: version -> when the last one was, 0 if that is unknown.
        total: how many handshakes there were, with those that failed or were refused.
        first_time, last_time: of all events, 0 if unknown.
    """

    def __init__(self, floor: str, summed: Tally, reading: Reading, tool: str) -> None:
        self.floor, self.tally, self.reading, self.tool = floor, summed, reading, tool
        self.made = time.time()
        self.rows = [*summed.rows.values(), *summed.rest.values()]
        _exempt(self.rows)
        self.rows.sort(key=_worst_first)
        self.lists: dict[str, list[Row]] = {name: [] for name in _HEADINGS}
        for row in self.rows:
            self.lists[list_of(row)].append(row)
        self.handshakes: Counter[int] = Counter()
        self.last: dict[int, float] = {}
        for row in self.rows:
            if row.kind == "handshake":
                self.handshakes[row.version] += row.count
                self.last[row.version] = max(self.last.get(row.version, 0), row.last)
        self.total = _handshakes(self.rows)
        self.first_time = min((row.first for row in self.rows if row.last), default=0)
        self.last_time = max((row.last for row in self.rows), default=0)
        self.doubts = {name: self._doubts(wire) for name, wire in FLOORS.items()}
        self.breaks = {}
        for name, wire in FLOORS.items():
            found = {row.breaks(wire) for row in self.rows}
            unsure = UNKNOWN in found or self.doubts[name]
            self.breaks[name] = YES if YES in found else UNKNOWN if unsure else NO

    @property
    def status(self) -> int:
        """The exit status, for the floor that was asked about."""
        return STATUSES[self.breaks[self.floor]]

    def broken(self, name: str) -> list[Row]:
        """Return the rows that a floor breaks."""
        return [row for row in self.rows if row.breaks(FLOORS[name]) == YES]

    def share(self, name: str) -> float | None:
        """Return which part of all handshakes a floor would break; None if there were none."""
        return _handshakes(self.broken(name)) / self.total if self.total else None

    def tone(self, name: str) -> str:
        """Return how to mark a floor: as ``breaks`` says, or ``few`` if it breaks only a few."""
        share = self.share(name)
        is_few = self.breaks[name] == YES and share and share < FEW
        return "few" if is_few else self.breaks[name]

    def verdict(self, name: str) -> str:
        """Return how much a floor would break, in a few words: ``0.1% of handshakes``."""
        if self.breaks[name] != YES:
            return "nothing" if self.breaks[name] == NO else UNKNOWN
        count = _handshakes(self.broken(name))
        return f"{words.share(count, self.total)} of handshakes" if count else "something"

    def reason(self, name: str) -> str:
        """Return what the verdict on a floor rests on, in one line."""
        broken = self.broken(name)
        if broken:
            seen = [row for row in self.rows if row.kind in words.ATTEMPTED]
            count = _handshakes(broken)
            of = f", {words.number(count)} of {words.number(self.total)} handshakes" * bool(count)
            doubt = ", and not all traffic was seen" if self.doubts[name] else ""
            return f"{words.connections(broken)} of {words.amount(seen)}{of}{doubt}"
        if self.doubts[name]:
            return "not all traffic was seen" if self.handshakes else "no handshake was seen"
        spared = [row for row in self.rows if row.exempted and row.version < FLOORS[name]]
        if spared:
            size = f"{words.connections(spared)}, {words.times(spared)}"
            return f"everything below it is exempted: {size}"
        count = sum(self.handshakes.values())
        all_of_them = f"all {words.number(count)} handshakes are"
        subject = all_of_them if count > 1 else "the only handshake is"
        return f"{subject} at TLS {name} or above"

    def all_doubts(self) -> list[str]:
        """Return the doubts about both floors, first those about the one that was asked about."""
        names = (self.floor, *FLOORS)
        return list(dict.fromkeys(doubt for name in names for doubt in self.doubts[name]))

    def headline(self, name: str) -> str:
        """Return the verdict on a floor as a sentence."""
        if self.breaks[name] == UNKNOWN:
            return f"unknown whether floor {name} would break anything: {self.reason(name)}"
        return f"floor {name} would break {self.verdict(name)}: {self.reason(name)}"

    def heading(self, name: str) -> str:
        """Return the heading of a list; empty for rows that need no attention."""
        more = " as well" if name == "1.3" and self.lists["1.2"] else ""
        return _HEADINGS[name] + more

    def size(self, name: str) -> str:
        """Return how many rows a list has, and how many handshakes, or how often it was seen."""
        rows = self.lists[name]
        if name not in FLOORS:
            return f"{words.connections(rows, 'case')}, {words.times(rows)}"
        count = _handshakes(rows)
        often = words.many(count, "handshake") if count else words.times(rows)
        return f"{words.connections(rows)}, {often}"

    def versions(self) -> list[tuple[str, int, float]]:
        """Return each version, its handshakes and when the last one was; then those without."""
        found = [
            (words.version(wire), count, self.last[wire])
            for wire, count in sorted(self.handshakes.items())
        ]
        rest = [row for row in self.rows if row.kind != "handshake" and _handshakes([row])]
        if rest:
            last = max(row.last for row in rest)
            found.append(("failed or refused", _handshakes(rest), last))
        return found

    def scope(self) -> list[str]:
        """Return how much was seen, of whom and when."""
        summed = self.tally
        machines = words.plural(words.at_least(summed.hosts), "machine")
        if 0 < len(summed.hosts) <= words.FEW:
            machines += f" ({words.some(summed.hosts, 'machine')})"
        found = [
            words.many(self.total, "handshake"),
            words.plural(words.at_least(summed.programs), "program"),
            machines,
        ]
        if self.last_time:
            period = f"{words.moment(self.first_time)} to {words.moment(self.last_time)}"
            found.append(f"{period} UTC")
        return found

    def origin(self) -> str:
        """Return when the report was made, by which version, and from what."""
        reading = self.reading
        sources = f" from {words.some(reading.targets, 'file')}" if reading.targets else ""
        size = f"{words.many(reading.events, 'line')} in {words.many(reading.files, 'file')}"
        return f"made {words.moment(self.made)} UTC by tlsfloor {self.tool}{sources}: {size}"

    def _doubts(self, floor: int) -> list[str]:
        reading, doubts = self.reading, []
        if not reading.events:
            doubts.append("no events were read")
        elif not self.handshakes:
            doubts.append("no handshake was seen")
        unseen = [row for row in self.rows if row.kind in UNSEEN]
        for stack in sorted({row.stack for row in unseen}):
            programs = words.some({row.program for row in unseen if row.stack == stack}, "program")
            doubts.append(
                f"{programs} imported {stack or 'a TLS library'}, whose TLS tlsfloor cannot see"
            )
        vague = [row for row in self.rows if row.kind not in UNSEEN]
        for text, found in (
            ("events of a kind that this version of tlsfloor does not know", ("other",)),
            ("handshakes of an unknown version", ("handshake",)),
            ("failures under a stricter floor", ("failed", "discarded", "refused")),
        ):
            many = [row for row in vague if row.kind in found and row.breaks(floor) == UNKNOWN]
            if many:
                doubts.append(f"{words.number(sum(row.count for row in many))} {text}")
        # A guard that enforces a floor does not report what is above it: where a library is held
        # at 1.2, nobody knows whether it negotiates 1.2 or 1.3.
        for held in self.tally.held_below(floor):
            name = versions.floor_name(floor)
            doubts.append(
                f"some processes enforce {versions.floor_name(held)}, which does not show all "
                f"that {name} would break: observe {name} in them as well"
            )
        doubts += [f"{path}: {why}" for path, why in reading.unread.items()]
        for path, problems in reading.bad.items():
            lines = ", ".join(f"{words.number(many)} {what}" for what, many in problems.items())
            doubts.append(f"{path}: lines that are not events: {lines}")
        if reading.more:
            doubts.append(f"{words.number(reading.more)} more files with problems")
        return doubts


def _exempt(rows: list[Row]) -> None:
    """Mark the handshakes that an exemption allows.

    An exemption that does not apply is left out. Where an event says that one does not apply, and
    not which one, none of that program counts.
    """
    ended = [row for row in rows if row.kind == "unexempted"]
    if any(row.rest for row in ended):
        return
    sides = {each for row in ended for each in _keys(row)}
    programs = {row.program for row in ended if not _keys(row)}
    reasons: dict[tuple[str, ...], str] = {}
    for row in rows:
        if row.kind == "exempted" and row.program not in programs:
            reasons.update(dict.fromkeys(_keys(row), row.text or "exempted"))
    for each in sides:
        reasons.pop(each, None)
    for row in rows:
        if row.kind == "handshake" and 0 < row.version < max(FLOORS.values()):
            found = [reasons[each] for each in _keys(row) if each in reasons]
            row.exempted = found[0] if found else ""


def _keys(row: Row) -> list[tuple[str, ...]]:
    """Return keys by which to find rows of the same program and peer: one by name, one by address.

    A row that sums up several has none.
    """
    who = (row.program, row.role, str(row.port))
    return [(*who, each) for each in (row.name, row.peer) if each]


def _handshakes(rows: list[Row]) -> int:
    """Return how many handshakes rows are about.

    What ``observe`` would refuse goes on, and its handshake is an event of its own.
    """
    return sum(
        row.count
        for row in rows
        if row.kind in words.ATTEMPTED and (row.kind, row.mode) != ("refused", "observe")
    )


def list_of(row: Row) -> str:
    """Return the list that a row belongs to."""
    if row.exempted or row.kind in ("exempted", "unexempted"):
        return "exempted"
    for name, wire in FLOORS.items():
        breaks = row.breaks(wire)
        if breaks != NO:
            return name if breaks == YES else UNKNOWN
    return "fine" if row.kind in ("handshake", "armed") else "changed"


def _worst_first(row: Row) -> tuple[bool, bool, int, int]:
    below = row.breaks(FLOORS["1.2"]) == YES
    return (row.rest, not below, row.version or row.asked or 0xFFFF, -row.count)
