"""Sums events up as they come: how often each kind of connection was seen, and which version when.

A million events have a few hundred kinds of connection, as a rule, and nothing keeps anybody from
writing a million. So at most ``MOST_ROWS`` are kept apart of those that each floor would break, and
of others; of the rest it is kept how many there were of which version. No event is lost to an
answer by that.
"""

from __future__ import annotations

import time

from tlsfloor import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Rows that are kept apart: of those that floor 1.2 would break, those that floor 1.3 would break
#: as well, and others.
MOST_ROWS = 5000

#: Machines of a row that are named, and names of machines and programs that are told apart at all.
MOST_HOSTS = 16
MOST_NAMES = 10_000

#: Characters of a text of an event.
LONGEST_TEXT = 200

#: More cannot have been counted.
MOST_COUNTED = 10**12

#: Bars of the timeline, and what one may stand for, in seconds: each is a multiple of the former.
MOST_SLOTS = 96
WIDTHS = (60, 300, 900, 3600, 10800, 21600, 86400, 604_800, 4 * 604_800, 52 * 604_800)

#: A week begins on a Monday: seconds from the first one of 1970.
MONDAY = 4 * 86400

#: 2020: no event is older. A machine that believes so has no clock.
EARLIEST = 1_577_836_800

#: What can be the version of a handshake, or asked for; others are unknown.
VERSIONS = {
    **versions.OPENSSL_NAMES,
    **{versions.name(wire): wire for wire in versions.OPENSSL_NAMES.values()},
}

KINDS = (
    "armed",
    "raised",
    "clamped",
    "refused",
    "handshake",
    "failed",
    "discarded",
    "uncovered",
    "unknown",
    "exempted",
    "unexempted",
)

#: Kinds that say that nothing is seen of a stack.
UNSEEN = ("uncovered", "unknown")

YES, NO, UNKNOWN = "yes", "no", "unknown"

# Entries of the cache from what an event says, literally, to its row; and for how long a line.
_MOST_CACHED = 20_000


class Row:
    """One kind of connection, or of what a floor did to it: who, what, towards whom, how often.

    What is unknown is empty, or 0. ``rest`` is true where it stands for all that were not kept
    apart. ``version``, ``asked`` and ``floor`` are wire numbers.
    """

    __slots__ = (
        "asked",
        "count",
        "exempted",
        "first",
        "floor",
        "hosts",
        "kind",
        "last",
        "library",
        "mode",
        "more_hosts",
        "name",
        "peer",
        "port",
        "program",
        "rest",
        "role",
        "stack",
        "suite",
        "text",
        "version",
        "where",
    )

    def __init__(self, sort: tuple[str, str, int, int, int]) -> None:
        self.kind, self.mode, self.floor, self.version, self.asked = sort
        self.stack = self.role = self.program = self.where = self.library = ""
        self.name = self.peer = self.suite = self.text = self.exempted = ""
        self.port = 0
        self.rest = False
        self.count = 0
        self.first, self.last = float("inf"), 0.0
        self.hosts: set[str] = set()
        self.more_hosts = False

    def breaks(self, floor: int) -> str:
        """Return whether a floor breaks it: yes, no or unknown."""
        if self.exempted:
            return NO
        if self.kind == "handshake":
            told = self.version
        elif self.kind in ("failed", "discarded", "refused"):
            told = self.version or (self.asked if self.kind == "refused" else 0)
            if not told:
                # It did not come to a version. What one floor broke, a stricter one breaks.
                return YES if 0 < self.floor <= floor else UNKNOWN
        else:
            # A raised context may well be content with more.
            return NO if self.kind in KINDS and self.kind not in UNSEEN else UNKNOWN
        return UNKNOWN if not told else YES if told < floor else NO


class Timeline:
    """How many handshakes of each version there were, over time, in at most ``MOST_SLOTS``."""

    __slots__ = ("_high", "_low", "counts", "width")

    def __init__(self) -> None:
        self.width = WIDTHS[0]
        #: (slot, version) -> handshakes; a slot is a number of widths since a Monday.
        self.counts: dict[tuple[int, int], int] = {}
        self._low: float = float("inf")
        self._high: float = -1

    def add(self, when: float, version: int, count: int) -> None:
        """Count handshakes that were at this time."""
        slot = int(when - MONDAY) // self.width
        if not self._low <= slot <= self._high:
            self._low, self._high = min(slot, self._low), max(slot, self._high)
            while self._high - self._low >= MOST_SLOTS:
                self._widen()
            slot = int(when - MONDAY) // self.width
        key = (slot, version)
        self.counts[key] = self.counts.get(key, 0) + count

    def _widen(self) -> None:
        width = WIDTHS[WIDTHS.index(self.width) + 1]
        factor = width // self.width
        wider: dict[tuple[int, int], int] = {}
        for (slot, version), count in self.counts.items():
            key = (slot // factor, version)
            wider[key] = wider.get(key, 0) + count
        self.counts, self.width = wider, width
        self._low, self._high = self._low // factor, self._high // factor

    def starts(self) -> list[int]:
        """Return when each slot begins, the empty ones between too."""
        if not self.counts:
            return []
        slots = range(int(self._low), int(self._high) + 1)
        return [slot * self.width + MONDAY for slot in slots]

    def at(self, start: int, version: int) -> int:
        """Return how many handshakes of a version there were in the slot that begins then."""
        return self.counts.get(((start - MONDAY) // self.width, version), 0)


class Tally:
    """All that is kept of the events."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.rest: dict[tuple[str, str, int, int, int], Row] = {}
        self.timeline = Timeline()
        self.untimed = 0
        self.hosts: set[str] = set()
        self.programs: set[str] = set()
        # (floor, program, machine) of those who enforce one, a program of None being any; and
        # (program, machine) -> the highest floor that they observe.
        self._enforced: set[tuple[int, str | None, str]] = set()
        self._observed: dict[tuple[str | None, str], int] = {}
        self._kept = [0, 0, 0]
        self._sorts: dict[tuple[Any, ...], tuple[tuple[str, str, int, int, int], int]] = {}
        self._cache: dict[tuple[Any, ...], Row] = {}
        self._latest = time.time() + 86400

    def take(self, event: dict[str, Any]) -> None:
        """Count an event.

        Raises:
            TypeError, ValueError: it is none; nothing was counted.
        """
        get = event.get
        role, name = get("role", ""), get("server_name", "")
        count, host, when = get("count", 1), get("host", ""), get("time", 0)
        literal = (
            get("kind", ""),
            get("mode", ""),
            get("floor", ""),
            get("version", ""),
            get("asked", ""),
            get("stack", ""),
            role,
            get("program", ""),
            get("where", ""),
            get("library", ""),
            name,
            # Of a server that has a name the address says nothing more: it may change by the hour.
            "" if name and role == "client" else get("peer", ""),
            get("port", 0),
        )
        if type(count) is not int or not 0 < count <= MOST_COUNTED or type(host) is not str:
            raise ValueError("it does not count, or names no machine")
        row = self._cache.get(literal)
        if row is None:
            row = self._row(literal, event)
        row.count += count
        if host not in row.hosts:
            self._met(row, host)
        if type(when) in (float, int) and EARLIEST <= when <= self._latest:
            row.first = min(row.first, when)
            row.last = max(row.last, when)
            if row.kind == "handshake":
                self.timeline.add(when, row.version, count)
        else:
            self.untimed += 1

    def held_below(self, floor: int) -> list[int]:
        """Return the floors below one that were enforced where that one was not observed too."""
        held = {
            each
            for each, program, host in self._enforced
            if each < floor and self._observed.get((program, host), 0) < floor
        }
        return sorted(held)

    def _met(self, row: Row, host: str) -> None:
        """Keep in mind that a machine had such a connection, and which floor it has."""
        host = _text(host)
        who = (None if row.rest else row.program, host)
        if row.mode != "observe" and row.floor:
            full = len(self._enforced) >= MOST_NAMES
            # Of too many, any: what they observe is then not asked.
            self._enforced.add((row.floor, None, "") if full else (row.floor, *who))
        elif not row.rest and (who in self._observed or len(self._observed) < MOST_NAMES):
            self._observed[who] = max(row.floor, self._observed.get(who, 0))
        if len(self.hosts) < MOST_NAMES:
            self.hosts.add(host)
        if host in row.hosts:
            return
        if len(row.hosts) < MOST_HOSTS:
            row.hosts.add(host)
        else:
            row.more_hosts = True

    def _row(self, literal: tuple[Any, ...], event: dict[str, Any]) -> Row:
        """Return the row of an event, which may be new."""
        sort, tier = self._sorts.get(literal[:5]) or self._sort(literal[:5])
        texts, port = literal[5:12], literal[12]
        short = _short(texts)
        if not short:
            texts = tuple(map(_text, texts))
        if type(port) is not int or not 0 <= port < 65536:
            raise ValueError("it has a port that is none")
        suite, text = _text(event.get("suite")), _text(event.get("text"))
        key = (*sort, *texts, port)
        row = self.rows.get(key)
        if row is None:
            if self._kept[tier] < MOST_ROWS:
                self._kept[tier] += 1
                row = self.rows[key] = Row(sort)
                row.stack, row.role, row.program, row.where, row.library = texts[:5]
                row.name, row.peer = texts[5:]
                row.port = port
                row.suite, row.text = suite, text
            else:
                row = self.rest.get(sort)
                if row is None:
                    row = self.rest[sort] = Row(sort)
                    row.rest = True
            if len(self.programs) < MOST_NAMES:
                self.programs.add(texts[2])
        if short:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[literal] = row
        return row

    def _sort(self, literal: tuple[Any, ...]) -> tuple[tuple[str, str, int, int, int], int]:
        """Return what an event is about, and how many of the floors to come leave it alone."""
        kind, mode, floor, version, asked = (_text(each) for each in literal)
        if not kind:
            raise ValueError("it is of no kind")
        sort = (
            kind if kind in KINDS else "other",
            mode if mode in ("enforce", "observe") else "",
            versions.FLOORS.get(floor, 0),
            VERSIONS.get(version, 0),
            VERSIONS.get(asked, 0),
        )
        told = [Row(sort).breaks(each) for each in (versions.TLS1_2, versions.TLS1_3)]
        if _short(literal):
            if len(self._sorts) >= _MOST_CACHED:
                self._sorts.clear()
            self._sorts[literal] = (sort, told.count(NO))
        return sort, told.count(NO)


def _short(values: tuple[Any, ...]) -> bool:
    """Return whether they are texts, and none has to be cut off."""
    for each in values:  # noqa: SIM110 - a generator takes three times as long
        if type(each) is not str or len(each) > LONGEST_TEXT:
            return False
    return True


def _text(value: object) -> str:
    """Return a text of an event, which may be missing, cut off where it is long."""
    if value is None:
        return ""
    if type(value) is not str:
        raise ValueError("it has a text that is none")
    return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
