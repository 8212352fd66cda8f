"""Sums up events one by one: how often each connection was seen, and when each version was.

A connection here is one line of one program, in one role, to one peer, at one version. A million
events are about a few hundred connections as a rule, but may be about a million. So memory is
bounded: up to ``MOST_ROWS`` connections that floor 1.2 would break have a row each, as many that
only floor 1.3 would break, and as many others. The remaining events are summed by version, so that
every event counts in the answer.
"""

from __future__ import annotations

import time

from tlsfloor import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Rows of one connection each: of those that floor 1.2 would break, of those that only floor 1.3
#: would break, and of others.
MOST_ROWS = 5000

#: Names of machines that a row keeps, and names of machines and of programs in all.
MOST_HOSTS = 16
MOST_NAMES = 10_000

#: Characters of a text that are kept.
LONGEST_TEXT = 200

#: The highest ``count`` that an event may have.
MOST_COUNTED = 10**12

#: Bars of the timeline, and how many seconds a bar may be: each is a multiple of the one before.
MOST_SLOTS = 96
WIDTHS = (60, 300, 900, 3600, 10800, 21600, 86400, 604_800, 4 * 604_800, 52 * 604_800)

#: When the first Monday of 1970 began, since a week begins on a Monday.
MONDAY = 4 * 86400

#: The year 2020: a machine whose events are older has no clock.
EARLIEST = 1_577_836_800

#: The versions that an event may name, by OpenSSL's name and by ours; others are unknown.
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

#: Kinds that say that tlsfloor sees nothing of a TLS library.
UNSEEN = ("uncovered", "unknown")

YES, NO, UNKNOWN = "yes", "no", "unknown"

# Entries of the cache from the fields of an event to its row.
_MOST_CACHED = 20_000


class Row:
    """A connection, or what a floor did to it, and how often.

    What is unknown is empty, or 0. ``rest`` is true for a row that sums up many connections.
    ``version``, ``asked`` and ``floor`` are wire numbers.
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
        """Return whether a floor would break it: yes, no or unknown."""
        if self.exempted:
            return NO
        if self.kind == "handshake":
            version = self.version
        elif self.kind in ("failed", "discarded", "refused"):
            version = self.version or (self.asked if self.kind == "refused" else 0)
            if not version:
                # No version was negotiated. What one floor broke, a stricter one breaks too.
                return YES if 0 < self.floor <= floor else UNKNOWN
        else:
            # A context that was raised may still connect: its handshake is an event of its own.
            return NO if self.kind in KINDS and self.kind not in UNSEEN else UNKNOWN
        return UNKNOWN if not version else YES if version < floor else NO


class Timeline:
    """How many handshakes of each version there were over time, in up to ``MOST_SLOTS`` slots.

    When there would be more, the slots are made wider and their counts are added up.
    """

    __slots__ = ("_high", "_low", "counts", "width")

    def __init__(self) -> None:
        self.width = WIDTHS[0]
        #: (slot, version) -> handshakes. A slot is how many widths it begins after ``MONDAY``.
        self.counts: dict[tuple[int, int], int] = {}
        self._low: float = float("inf")
        self._high: float = -1

    def add(self, when: float, version: int, count: int) -> None:
        """Count handshakes of this time."""
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
        """Return when each slot begins, including empty ones."""
        if not self.counts:
            return []
        slots = range(int(self._low), int(self._high) + 1)
        return [slot * self.width + MONDAY for slot in slots]

    def at(self, start: int, version: int) -> int:
        """Return how many handshakes of a version were in the slot that begins at ``start``."""
        return self.counts.get(((start - MONDAY) // self.width, version), 0)


class Tally:
    """The sums of all events."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.rest: dict[tuple[str, str, int, int, int], Row] = {}
        self.timeline = Timeline()
        self.untimed = 0
        self.hosts: set[str] = set()
        self.programs: set[str] = set()
        # (floor, program, machine) where a floor is enforced, with None for any program; and
        # (program, machine) -> the highest floor that is observed there.
        self._enforced: set[tuple[int, str | None, str]] = set()
        self._observed: dict[tuple[str | None, str], int] = {}
        self._kept = [0, 0, 0]
        self._sorts: dict[tuple[Any, ...], tuple[tuple[str, str, int, int, int], int]] = {}
        self._cache: dict[tuple[Any, ...], Row] = {}
        self._latest = time.time() + 86400

    def take(self, event: dict[str, Any]) -> None:
        """Count an event.

        Raises:
            TypeError, ValueError: it is not an event; nothing was counted.
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
            # The address of a server that has a name adds nothing, and may change every hour.
            "" if name and role == "client" else get("peer", ""),
            get("port", 0),
        )
        if type(count) is not int or not 0 < count <= MOST_COUNTED or type(host) is not str:
            raise ValueError("the count or the host is invalid")
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
        """Return floors below this one that were enforced where this one was not observed."""
        held = {
            each
            for each, program, host in self._enforced
            if each < floor and self._observed.get((program, host), 0) < floor
        }
        return sorted(held)

    def _met(self, row: Row, host: str) -> None:
        """Remember a machine of a row, and which floor is enforced or observed there."""
        host = _text(host)
        who = (None if row.rest else row.program, host)
        if row.mode != "observe" and row.floor:
            full = len(self._enforced) >= MOST_NAMES
            # Beyond the limit it is any program, whatever is observed.
            self._enforced.add((row.floor, None, "") if full else (row.floor, *who))
        elif not row.rest and (who in self._observed or len(self._observed) < MOST_NAMES):
            self._observed[who] = max(row.floor, self._observed.get(who, 0))
        if host and len(self.hosts) < MOST_NAMES:
            self.hosts.add(host)
        if host in row.hosts:
            return
        if len(row.hosts) < MOST_HOSTS:
            row.hosts.add(host)
        else:
            row.more_hosts = True

    def _row(self, literal: tuple[Any, ...], event: dict[str, Any]) -> Row:
        """Return the row of an event; make it if there is none."""
        sort, tier = self._sorts.get(literal[:5]) or self._sort(literal[:5])
        texts, port = literal[5:12], literal[12]
        short = _short(texts)
        if not short:
            texts = tuple(map(_text, texts))
        if type(port) is not int or not 0 <= port < 65536:
            raise ValueError("the port is invalid")
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
        """Return what an event is about, and how many of the floors would not break it."""
        kind, mode, floor, version, asked = (_text(each) for each in literal)
        if not kind:
            raise ValueError("it has no kind")
        sort = (
            kind if kind in KINDS else "other",
            mode if mode in ("enforce", "observe") else "",
            versions.FLOORS.get(floor, 0),
            VERSIONS.get(version, 0),
            VERSIONS.get(asked, 0),
        )
        breaks = [Row(sort).breaks(each) for each in (versions.TLS1_2, versions.TLS1_3)]
        if _short(literal):
            if len(self._sorts) >= _MOST_CACHED:
                self._sorts.clear()
            self._sorts[literal] = (sort, breaks.count(NO))
        return sort, breaks.count(NO)


def _short(values: tuple[Any, ...]) -> bool:
    """Return whether all are texts that need not be cut off."""
    for each in values:  # noqa: SIM110 - a generator takes three times as long
        if type(each) is not str or len(each) > LONGEST_TEXT:
            return False
    return True


def _text(value: object) -> str:
    """Return a text of an event, cut off where it is long; an empty one if it is missing."""
    if value is None:
        return ""
    if type(value) is not str:
        raise ValueError("a text is of another type")
    return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
