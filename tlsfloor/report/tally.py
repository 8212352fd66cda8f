"""Sums up events one by one: how often each connection was seen, and when each version was.

A connection here is one line of one program, in one role, to one peer, at one version. A million
events are about a few hundred connections as a rule, but may be about a million. So memory is
bounded: up to ``MOST_ROWS`` connections that floor 1.2 would break have a row each, as many that
only floor 1.3 would break, and as many others. The remaining events are summed by version, so that
every event counts in the answer.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tlsfloor import versions

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

#: Kinds of event that are about one handshake.
ATTEMPTED = ("handshake", "failed", "discarded", "refused")

#: Kinds that report a TLS library whose handshakes tlsfloor does not see.
UNSEEN = ("uncovered", "unknown")

KINDS = (*ATTEMPTED, *UNSEEN, "armed", "raised", "clamped", "exempted", "unexempted")

YES, NO, UNKNOWN = "yes", "no", "unknown"

# Entries of each cache: from the fields of an event to its row, for example.
_MOST_CACHED = 20_000

# The texts of an event that tell its row from others, in the order of the fields of a row, and the
# places of some of them.
_SUBJECT = ("kind", "mode", "floor", "version", "asked")
_TEXTS = (*_SUBJECT, "stack", "role", "program", "where", "library", "server_name", "peer")
_EMPTY = ("",) * len(_TEXTS)
_ROLE, _PROGRAM, _SERVER_NAME, _PEER = map(_TEXTS.index, ("role", "program", "server_name", "peer"))


class Row:
    """A connection, or what a floor did to it, and how often.

    What is unknown is empty, or 0. ``rest`` is true for a row that sums up many connections.
    ``version``, ``asked`` and ``floor`` are wire numbers.
    """

    def __init__(
        self, subject: tuple[str, str, int, int, int], texts: Iterable[str] = ("",) * 7
    ) -> None:
        self.kind, self.mode, self.floor, self.version, self.asked = subject
        self.stack, self.role, self.program, self.where, self.library, self.name, self.peer = texts
        self.suite = self.text = self.exempted = ""
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
        if self.kind not in ATTEMPTED:
            # A context that was raised may still connect: its handshake is an event of its own.
            return NO if self.kind in KINDS and self.kind not in UNSEEN else UNKNOWN
        version = self.version or (self.asked if self.kind == "refused" else 0)
        if version:
            return YES if version < floor else NO
        # No version was negotiated. What one floor broke, a stricter one breaks too.
        return YES if self.kind != "handshake" and 0 < self.floor <= floor else UNKNOWN


class Timeline:
    """How many handshakes of each version there were over time, in up to ``MOST_SLOTS`` slots.

    When there would be more, the slots are made wider and their counts are added up.
    """

    def __init__(self) -> None:
        self.width = WIDTHS[0]
        #: (slot, version) -> handshakes. A slot is how many widths it begins after ``MONDAY``.
        self.counts: dict[tuple[int, int], int] = {}

    def add(self, when: float, version: int, count: int) -> None:
        """Count handshakes of this time."""
        key = (int(when - MONDAY) // self.width, version)
        before = self.counts.get(key, 0)
        self.counts[key] = before + count
        while not before and len(self._slots()) > MOST_SLOTS:
            self._widen()

    def _slots(self) -> range:
        """Return the slots from the first to the last, including empty ones."""
        slots = [slot for slot, _ in self.counts]
        return range(min(slots), max(slots) + 1) if slots else range(0)

    def _widen(self) -> None:
        width = WIDTHS[WIDTHS.index(self.width) + 1]
        wider: Counter[tuple[int, int]] = Counter()
        for (slot, version), count in self.counts.items():
            wider[slot // (width // self.width), version] += count
        self.counts, self.width = wider, width

    def starts(self) -> list[int]:
        """Return when each slot begins, including empty ones."""
        return [slot * self.width + MONDAY for slot in self._slots()]

    def at(self, start: int, version: int) -> int:
        """Return how many handshakes of a version were in the slot that begins at ``start``."""
        return self.counts.get(((start - MONDAY) // self.width, version), 0)


class Tally:
    """The sums of all events."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.rest: dict[tuple[Any, ...], Row] = {}
        self.timeline = Timeline()
        self.untimed = 0
        self.hosts: set[str] = set()
        self.programs: set[str] = set()
        # (floor, program, machine) where a floor is enforced, with None for any program; and
        # (program, machine) -> the highest floor that is observed there.
        self._enforced: set[tuple[int, str | None, str]] = set()
        self._observed: dict[tuple[str | None, str], int] = {}
        self._kept = [0, 0, 0]
        self._cache: dict[tuple[Any, ...], Row] = {}
        self._latest = time.time() + 86400

    def take(self, event: dict[str, Any]) -> None:
        """Count an event.

        Raises:
            TypeError, ValueError: it is not an event; nothing was counted.
        """
        get = event.get
        texts = list(map(get, _TEXTS, _EMPTY))
        if texts[_SERVER_NAME] and texts[_ROLE] == "client":
            # The address of a server that has a name adds nothing, and may change every hour.
            texts[_PEER] = ""
        count, host, when = get("count", 1), get("host", ""), get("time", 0)
        if type(count) is not int or not 0 < count <= MOST_COUNTED or type(host) is not str:
            raise ValueError("the count or the host is invalid")
        literal = (*texts, get("port", 0))
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
        host = _shortened(host)
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
        *raw, port = literal
        texts = tuple(map(_shortened, raw))
        if type(port) is not int or not 0 <= port < 65536:
            raise ValueError("the port is invalid")
        suite, text = _shortened(event.get("suite")), _shortened(event.get("text"))
        subject, group = _subject(*texts[:5])
        key = (subject, *texts[5:], port)
        row = self.rows.get(key)
        if row is None:
            if self._kept[group] < MOST_ROWS:
                self._kept[group] += 1
                row = self.rows[key] = Row(subject, texts[5:])
                row.port, row.suite, row.text = port, suite, text
            else:
                row = self.rest.get(subject) or self.rest.setdefault(subject, Row(subject))
                row.rest = True
            if len(self.programs) < MOST_NAMES:
                self.programs.add(texts[_PROGRAM])
        if (*texts, port) == literal:  # nothing was shortened, so the key of the cache is small
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[literal] = row
        return row


@functools.lru_cache(_MOST_CACHED)
def _subject(
    kind: str, mode: str, floor: str, version: str, asked: str
) -> tuple[tuple[str, str, int, int, int], int]:
    """Return what an event is about, and how many of the floors would not break it."""
    if not kind:
        raise ValueError("it has no kind")
    subject = (
        kind if kind in KINDS else "other",
        mode if mode in ("enforce", "observe") else "",
        versions.FLOORS.get(floor, 0),
        VERSIONS.get(version, 0),
        VERSIONS.get(asked, 0),
    )
    breaks = [Row(subject).breaks(each) for each in (versions.TLS1_2, versions.TLS1_3)]
    return subject, breaks.count(NO)


def _shortened(value: object) -> str:
    """Return a text of an event, cut off where it is long; an empty one if it is missing."""
    if value is None:
        return ""
    if type(value) is not str:
        raise ValueError("a text is of another type")
    return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
