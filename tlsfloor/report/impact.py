"""Judges from the sums of the events what a floor would break, and whether that is certain.

A floor is said to break nothing only if nothing is in doubt: there were handshakes, every line was
read, and every TLS library that a program imported is one whose handshakes tlsfloor sees.
"""

from __future__ import annotations

import time
from collections import Counter

from tlsfloor import versions
from tlsfloor.report import phrases
from tlsfloor.report.changes import Changes
from tlsfloor.report.fleet import Fleet
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import ATTEMPTED, NO, UNKNOWN, UNSEEN, YES, Row, Tally

#: The floors that are judged, whichever was asked about.
FLOORS = {name: versions.FLOORS[name] for name in ("1.2", "1.3")}

STATUSES = {NO: 0, YES: 1, UNKNOWN: 3}

#: If a floor would break a smaller share of the handshakes, that is a warning and not an alarm.
FEW = 0.01

_HEADINGS = {
    "1.2": "floor 1.2 would break",
    "1.3": "floor 1.3 would break",
    UNKNOWN: "unknown whether a floor would break it",
    "exempted": "exemptions",
    "changed": "changed by the floor, but not broken",
    "fine": "",
}


class Impact:
    """What a floor would break, judged from all events.

    Attributes:
        floor: the floor that the user asked about: ``"1.2"``.
        tool: the version of tlsfloor.
        run: where, as whom and how it was made, as JSON types.
        created: when the report was made.
        rows: each connection, the worst first; rows that sum up several come last.
        breaks: floor -> yes, no or unknown.
        doubts: floor -> why the answer is not a certain "no", as phrases.
        lists: the rows by what to do about them, each row in one list: ``"1.2"`` (that floor
            breaks it), ``"1.3"`` (only that one does), ``unknown``, ``exempted``, ``changed``,
            ``fine``.
        handshakes: version (wire number) -> how many were completed.
        last: version -> when the last one was, 0 if that is unknown.
        total: how many handshakes there were, with those that failed or were refused.
        first_time, last_time: of all events, 0 if unknown.
        fleet: what the reports of machines say; None if none was read.
        flagged: floor -> whether anything in them is flagged: yes, no or unknown.
        last_seen: machine -> when it was heard of last, by an event or a report, or before by an
            earlier report (``heard_before``); 0 if unknown.
        silent: machine -> the same, if that is longer ago than the limit.
        changes: what changed since an earlier report; None if there is none.
    """

    def __init__(
        self,
        floor: str,
        tally: Tally,
        files: EventFiles,
        tool: str,
        run: dict[str, object] | None = None,
        silent_days: float | None = None,
        heard_before: dict[str, float] | None = None,
    ) -> None:
        self.floor, self.tally, self.files, self.tool = floor, tally, files, tool
        self.run = run or {}
        self.created = time.time()
        tally.settle()
        self.rows = [*tally.rows.values(), *tally.rest.values()]
        self._exempted = {_connection(row) for row in self.rows if row.exempted}
        self.rows.sort(key=_worst_first)
        self.lists: dict[str, list[Row]] = {name: [] for name in _HEADINGS}
        self.handshakes: Counter[int] = Counter()
        self.last: dict[int, float] = {}
        for row in self.rows:
            self.lists[self.list_of(row)].append(row)
            if row.kind == "handshake":
                self.handshakes[row.version] += row.count
                self.last[row.version] = max(self.last.get(row.version, 0), row.last)
        self.total = _handshakes(self.rows)
        self.first_time = min((row.first for row in self.rows if row.last), default=0)
        self.last_time = max((row.last for row in self.rows), default=0)
        self.fleet = Fleet(files.machines) if files.machines.reports else None
        self.changes: Changes | None = None
        self.last_seen = dict(tally.hosts)
        for host, last in (*files.machines.hosts.items(), *(heard_before or {}).items()):
            self.last_seen[host] = max(last, self.last_seen.get(host, 0))
        self.silent_days = silent_days
        self._limit = 0.0 if silent_days is None else self.created - silent_days * 86400
        self.silent = {host: last for host, last in self.last_seen.items() if last < self._limit}
        self.doubts, self.breaks = {}, {}
        self.flagged: dict[str, str] = {}
        for name, wire in FLOORS.items():
            self.doubts[name] = self._doubts(wire)
            found = {row.breaks(wire) for row in self.rows}
            unsure = UNKNOWN in found or self.doubts[name]
            self.breaks[name] = YES if YES in found else UNKNOWN if unsure else NO
            if self.fleet:
                self.flagged[name] = self.fleet.answer(wire, doubtful=bool(self._missing()))

    @property
    def has_events(self) -> bool:
        """Whether the report is about events: they were read, or nothing was."""
        return bool(self.files.events or not self.fleet)

    @property
    def evidence(self) -> str:
        """What the answer is based on."""
        kinds = ["events"] * self.has_events + ["reports"] * bool(self.fleet)
        return " and ".join(kinds)

    @property
    def status(self) -> int:
        """The exit status, which is about ``floor``: the worst of what was asked."""
        answers = {self.breaks[self.floor]} if self.has_events else set()
        if self.fleet:
            answers.add(self.flagged[self.floor])
        return STATUSES[next(each for each in (YES, UNKNOWN, NO) if each in answers)]

    def list_of(self, row: Row) -> str:
        """Return the list that a row belongs to."""
        if row.kind == "exempted" and not row.rest and _connection(row) in self._exempted:
            return "fine"  # the handshake is in the list of exemptions
        if row.exempted or row.kind in ("exempted", "unexempted"):
            return "exempted"
        for name, wire in FLOORS.items():
            breaks = row.breaks(wire)
            if breaks != NO:
                return name if breaks == YES else UNKNOWN
        return "fine" if row.kind in ("handshake", "armed") else "changed"

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
        return f"{phrases.share(count, self.total)} of handshakes" if count else "something"

    def reason(self, name: str) -> str:
        """Return what the verdict on a floor is based on, as a phrase."""
        broken = self.broken(name)
        if broken:
            seen = [row for row in self.rows if row.kind in ATTEMPTED]
            count = _handshakes(broken)
            of = f", {count:,} of {phrases.many(self.total, 'handshake')}" * bool(count)
            doubt = ", and not all traffic was seen" if self.doubts[name] else ""
            return f"{phrases.connections(broken)} of {phrases.amount(seen)}{of}{doubt}"
        if self.doubts[name]:
            return "not all traffic was seen" if self.handshakes else "no handshake was seen"
        spared = [row for row in self.rows if row.exempted and row.version < FLOORS[name]]
        if spared:
            size = f"{phrases.connections(spared)}, {phrases.times(spared)}"
            return f"everything below it is exempted: {size}"
        count = sum(self.handshakes.values())
        subject = f"all {count:,} handshakes are" if count > 1 else "the only handshake is"
        return f"{subject} at TLS {name} or above"

    def all_doubts(self) -> list[str]:
        """Return the doubts about both floors, those about ``floor`` first."""
        names = (self.floor, *FLOORS) if self.has_events else ()
        found = [doubt for name in names for doubt in self.doubts[name]]
        if self.fleet:
            found += [*self.fleet.doubts, *self._missing()]
        return list(dict.fromkeys(found))

    def headline(self, name: str) -> str:
        """Return the verdict on a floor as a sentence."""
        if self.breaks[name] == UNKNOWN:
            return f"unknown whether floor {name} would break anything: {self.reason(name)}"
        return f"floor {name} would break {self.verdict(name)}: {self.reason(name)}"

    def heading(self, name: str) -> str:
        """Return the heading of a list; empty for rows that need no attention."""
        return _HEADINGS[name] + " as well" * (name == "1.3" and bool(self.lists["1.2"]))

    def size(self, name: str) -> str:
        """Return how many rows a list has, and how many handshakes, or how often it was seen."""
        rows = self.lists[name]
        if name not in FLOORS:
            return f"{phrases.connections(rows, 'case')}, {phrases.times(rows)}"
        count = _handshakes(rows)
        often = phrases.many(count, "handshake") if count else phrases.times(rows)
        return f"{phrases.connections(rows)}, {often}"

    def versions(self) -> list[tuple[int | None, str, int, float]]:
        """Return each version, its name, its handshakes and the time of the last one.

        Attempts that ended without a handshake follow, with None in place of a version.
        """
        found: list[tuple[int | None, str, int, float]] = [
            (wire, phrases.version(wire), count, self.last[wire])
            for wire, count in sorted(self.handshakes.items())
        ]
        rest = [row for row in self.rows if row.kind != "handshake" and _handshakes([row])]
        if rest:
            last = max(row.last for row in rest)
            found.append((None, "failed or refused", _handshakes(rest), last))
        return found

    def scope(self) -> list[str]:
        """Return how many handshakes were seen, of which machines and when."""
        known = self.tally
        machines = phrases.plural(phrases.number_of(known.machines), "machine")
        if 0 < len(known.hosts) <= phrases.FEW:
            machines += f" ({phrases.some(known.hosts, 'machine')})"
        programs = phrases.plural(phrases.number_of(known.names), "program")
        found = [phrases.many(self.total, "handshake"), programs, machines]
        if self.last_time:
            first, last = phrases.moment(self.first_time), phrases.moment(self.last_time)
            found.append(f"{first} to {last} UTC")
        return found

    def scopes(self) -> list[list[str]]:
        """Return what was seen in events, and what machines have examined."""
        events = [self.scope()] if self.has_events else []
        return events + ([[self.fleet.scope()]] if self.fleet else [])

    def machines(self, row: Row) -> str:
        """Return the machines of a row and their owners, as far as they are known."""
        owners = self.fleet.owners(row.hosts) if self.fleet else set()
        of = f" (owner {phrases.some(owners, 'owner')})" if owners else ""
        return phrases.hosts(row) + of

    def headlines(self) -> list[str]:
        """Return the answers about ``floor``."""
        answers = [self.headline(self.floor)] if self.has_events else []
        if self.fleet:
            answers.append(self.fleet.headline(FLOORS[self.floor], self.flagged[self.floor]))
        return answers

    def origin(self) -> str:
        """Return when the report was made, by which version, and from which files."""
        files = self.files
        sources = f" from {phrases.some(files.targets, 'file')}" if files.targets else ""
        sizes = [phrases.many(files.events, "line")] if self.has_events else []
        if self.fleet:
            sizes.append(phrases.many(files.machines.reports, "report"))
        size = f"{' and '.join(sizes)} in {phrases.many(files.files, 'file')}"
        return f"made {phrases.moment(self.created)} UTC by tlsfloor {self.tool}{sources}: {size}"

    def _doubts(self, floor: int) -> list[str]:
        files, doubts = self.files, []
        if not files.events:
            doubts.append("no events were read")
        elif not self.handshakes:
            doubts.append("no handshake was seen")
        unseen = [row for row in self.rows if row.kind in UNSEEN]
        for stack in sorted({row.stack for row in unseen}):
            names = phrases.some({row.program for row in unseen if row.stack == stack}, "program")
            library = stack or "a TLS library"
            doubts.append(f"{names} imported {library}, whose handshakes tlsfloor cannot see")
        vague = [row for row in self.rows if row.kind not in UNSEEN]
        for text, found in (
            ("events of a kind that this version of tlsfloor does not know", ("other",)),
            ("handshakes of an unknown version", ("handshake",)),
            ("failures under a stricter floor", ("failed", "discarded", "refused")),
        ):
            many = [row for row in vague if row.kind in found and row.breaks(floor) == UNKNOWN]
            if many:
                doubts.append(f"{sum(row.count for row in many):,} {text}")
        # A guard that enforces a floor reports nothing above it: if a library is held at 1.2, it is
        # unknown whether it negotiates 1.2 or 1.3.
        for held in self.tally.held_below(floor):
            name = versions.floor_name(floor)
            text = (
                f"some processes enforce {versions.floor_name(held)}, which does not show all "
                f"that {name} would break: observe {name} in them as well"
            )
            if self.tally.held_elsewhere:
                text += " (some may: there are more programs on machines than a report remembers)"
            doubts.append(text)
        return doubts + self._missing()

    def _missing(self) -> list[str]:
        """Return what could not be read, and who was not heard of, as phrases."""
        doubts = []
        if self.silent_days is not None:
            days = f"{self.silent_days:g} day{'s' * (self.silent_days != 1)}"
            old = {
                f"{scope.command} on {scope.host}"
                for scope, when in self.files.machines.newest.items()
                if when < self._limit and scope.host not in self.silent
            }
            for names, text in (
                (phrases.some(self.silent, "machine"), f"not heard of for more than {days}"),
                (phrases.some(old, "report"), f"reports that are older than {days}"),
            ):
                doubts += [f"{text}: {names}"] * bool(names)
            if self.tally.machines.more:
                machines = phrases.number_of(self.tally.machines)
                doubts.append(f"{machines} machines: whether the others are silent is unknown")
        return doubts + self.files.problems()


def _connection(row: Row) -> tuple[object, ...]:
    """Return what the events of a connection have in common, whatever line made them."""
    return row.program, row.role, row.port, row.name, row.peer


def _handshakes(rows: list[Row]) -> int:
    """Return how many handshakes rows are about.

    What ``observe`` would refuse goes on, and its handshake is an event of its own.
    """
    return sum(
        row.count
        for row in rows
        if row.kind in ATTEMPTED and (row.kind, row.mode) != ("refused", "observe")
    )


def _worst_first(row: Row) -> tuple[bool, bool, int, int]:
    below = row.breaks(FLOORS["1.2"]) == YES
    return (row.rest, not below, row.version or row.asked or 0xFFFF, -row.count)
