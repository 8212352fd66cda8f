"""Sums up events one by one: how often each connection was seen, and when each version was.

A connection here is one line of one program, in one role, to one peer, at one version. A million
events are about a few hundred connections as a rule, but may be about a million. So memory is
bounded: up to ``MOST_ROWS`` connections that floor 1.2 would break have a row each, as many that
only floor 1.3 would break, and as many others. The remaining events are summed by version, so that
every event counts in the answer.

The answer depends on which events there are, and not on their order, so that sums of parts can be
summed again. Where only ``k`` of many are kept, they are the ``k`` smallest by their keys. The
``k`` smallest of all are among the ``k`` smallest of each part, and what is not among them in one
part never is later. So what is dropped can be summed up at once. Texts that only explain a row are
the smallest one, and slots of the timeline are wide enough for all times.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from typing import Any

from tlsfloor import versions
from tlsfloor.report.sums import Smallest, Timeline

#: Rows of one connection each: of those that floor 1.2 would break, of those that only floor 1.3
#: would break, and of others.
MOST_ROWS = 5000

#: Names that are kept: of machines of a row, of programs, and of machines; and pairs of a program
#: and a machine of which is known which floors are enforced there. A pair takes about 200 bytes.
MOST_HOSTS = 16
MOST_NAMES = 10_000
MOST_MACHINES = 50_000
MOST_PAIRS = 500_000

#: Characters of a text that are kept.
LONGEST_TEXT = 200

#: The highest ``count`` that an event may have.
MOST_COUNTED = 10**12

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

# The texts of an event that tell its row from others, in the order of the fields of a row, two that
# only explain it, and the places of some of them.
_SUBJECT = ("kind", "mode", "floor", "version", "asked")
_OTHERS = ("stack", "role", "program", "where", "library", "server_name", "peer", "exempted")
_TEXTS = (*_SUBJECT, *_OTHERS, "suite", "text")
_EMPTY = ("",) * len(_TEXTS)
_ONLY_TEXTS = {str}
_ROLE, _PROGRAM, _SERVER_NAME, _PEER = map(_TEXTS.index, ("role", "program", "server_name", "peer"))

# Which floors a program enforces and observes on a machine, as bits: ``1 << (floor & 7)`` for one
# that is enforced (a floor is 0x301 to 0x304), four bits higher for one that is observed.
_ENFORCED = 0b11110


class Row:
    """A connection, or what a floor did to it, and how often.

    What is unknown is empty, or 0. ``rest`` is true for a row that sums up many connections.
    ``version``, ``asked`` and ``floor`` are wire numbers. ``exempted`` is why a handshake that a
    floor would break is exempted. ``lines`` is the number of lines with these events, and
    ``untimed`` how many of them have no valid time.
    """

    def __init__(
        self,
        subject: tuple[str, str, int, int, int],
        texts: Iterable[str] = ("",) * 8,
        port: int = 0,
        *,
        rest: bool = False,
    ) -> None:
        self.kind, self.mode, self.floor, self.version, self.asked = subject
        self.stack, self.role, self.program, self.where, self.library, *texts = texts
        self.name, self.peer, self.exempted = texts
        self.suite = self.text = ""
        self.port = port
        self.rest = rest
        self.count = self.lines = self.untimed = 0
        self.first, self.last = float("inf"), 0.0
        self.hosts: set[str] = set()
        self.more_hosts = False
        self._last_host = "\U0010ffff"  # no name of a machine is after it

    def add(
        self, count: int, lines: int, untimed: int = 0, first: float = 0, last: float = 0
    ) -> None:
        """Add events; ``first`` and ``last`` are the first and last valid time, or 0."""
        self.count += count
        self.lines += lines
        self.untimed += untimed
        if last:
            self.first = min(self.first, first)
            self.last = max(self.last, last)

    def meet(self, host: str) -> None:
        """Remember the name of a machine, if it is one of the smallest."""
        if (self.more_hosts and host > self._last_host) or host in self.hosts or not host:
            return
        self.hosts.add(host)
        if len(self.hosts) > MOST_HOSTS:
            self.hosts.remove(max(self.hosts))
            self.more_hosts, self._last_host = True, max(self.hosts)

    def absorb(self, other: Row) -> None:
        """Add the events of another row."""
        self.add(other.count, other.lines, other.untimed, other.first, other.last)
        for host in other.hosts:
            self.meet(host)
        self.more_hosts = self.more_hosts or other.more_hosts

    def explain(self, suite: str, text: str) -> None:
        """Keep the smallest text of each kind that is not empty."""
        self.suite = min(filter(None, (self.suite, suite)), default="")
        self.text = min(filter(None, (self.text, text)), default="")

    def facts(self) -> dict[str, Any]:
        """Return the keys of its events, with what is unknown empty, 0 or None."""
        return {
            "kind": self.kind,
            "mode": self.mode,
            "floor": self.floor and versions.floor_name(self.floor),
            "version": self.version and versions.name(self.version),
            "asked": self.asked and versions.name(self.asked),
            **{name: getattr(self, name) for name in ("stack", "role", "program", "where")},
            "library": self.library,
            "server_name": self.name,
            **{name: getattr(self, name) for name in ("peer", "port", "suite", "text", "exempted")},
        }

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


class Tally:
    """The sums of all events.

    Attributes:
        rest: what a row that sums up others is about -> that row.
        machines: name -> a list with the time when it was last seen, 0 if that is unknown.
        names: the names of programs.
        held: program and machine -> the floors that it enforces and observes there, as bits.
        held_elsewhere: the floors that are enforced where it is not known which are observed.
        latest: a time after it is in the future, and so not valid.
    """

    def __init__(self) -> None:
        # By how many of floor 1.2 and floor 1.3 would not break a row.
        self._by_answer = [Smallest(MOST_ROWS, self._sum_up) for _ in range(3)]
        self.rest: dict[tuple[Any, ...], Row] = {}
        self.timeline = Timeline()
        self.machines, self.names = Smallest(MOST_MACHINES), Smallest(MOST_NAMES)
        self.held = Smallest(MOST_PAIRS, lambda _who, held: self.hold_elsewhere(held))
        self.held_elsewhere = 0
        self.latest = time.time() + 86400
        # The texts and the port of an event -> its row; a row and a machine -> when it was seen.
        self._cache: dict[tuple[Any, ...], Row] = {}
        self._met: dict[tuple[Row, str], list[float]] = {}

    @property
    def rows(self) -> dict[tuple[Any, ...], Row]:
        """Each row that does not sum up others, by its key."""
        return {key: row for rows in self._by_answer for key, row in rows.kept.items()}

    @property
    def hosts(self) -> dict[str, float]:
        """When each machine was last seen, 0 if that is unknown."""
        return {host: last for host, [last] in self.machines.kept.items()}

    def total(self, name: str) -> int:
        """Return the sum of all rows: of their ``lines``, for example."""
        rows = (*self.rows.values(), *self.rest.values())
        return sum(getattr(row, name) for row in rows)

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
        port = get("port", 0)
        if type(count) is not int or type(host) is not str or type(port) is not int:
            raise ValueError("the count, the host or the port is of another type")
        if not 0 < count <= MOST_COUNTED:
            raise ValueError("the count is invalid")
        literal = (*texts, port)
        row = self._cache.get(literal)
        if row is None:
            row = self._row(literal)
        row.count += count
        row.lines += 1
        seen = self._met.get((row, host))
        if seen is None:
            seen = self._meet(row, texts[_PROGRAM], host)
        if type(when) in (float, int) and EARLIEST <= when <= self.latest:
            row.first = min(row.first, when)
            row.last = max(row.last, when)
            seen[0] = max(seen[0], when)
            if row.kind == "handshake":
                self.timeline.add(when, row.version, count)
        else:
            row.untimed += 1

    def row_of(self, event: dict[str, Any]) -> tuple[Row, str]:
        """Return the row of an event, to which nothing is added, and the event's program.

        Its count, machine and time are not looked at. The row is valid until the next event.

        Raises:
            TypeError, ValueError: it is not an event.
        """
        texts = [event.get(name, "") for name in _TEXTS]
        if texts[_SERVER_NAME] and texts[_ROLE] == "client":
            texts[_PEER] = ""
        port = event.get("port", 0)
        if type(port) is not int:
            raise ValueError("the port is of another type")
        return self._row((*texts, port)), shortened(texts[_PROGRAM])

    def met(self, row: Row, program: str, host: str, last: float = 0) -> None:
        """Remember that a program was seen on a machine, in a row, and when that was last."""
        seen = self._meet(row, program, host)
        seen[0] = max(seen[0], last)

    def saw(self, host: str, last: float) -> list[float]:
        """Remember a machine, and when it was last seen; return the entry."""
        seen: list[float] | None = self.machines.kept.get(host)
        if seen is None:
            seen = [last]
            if host and self.machines.put(host, seen):
                self._met.clear()
        elif last > seen[0]:
            seen[0] = last
        return seen

    def add_program(self, program: str) -> None:
        """Remember the name of a program."""
        self.names.put(program, None)

    def hold(self, program: str, host: str, held: int) -> None:
        """Remember floors that a program enforces or observes on a machine."""
        known = self.held.kept.get((program, host))
        if known is not None:
            self.held.kept[program, host] = known | held
        elif held:
            self.held.put((program, host), held)

    def hold_elsewhere(self, held: int) -> None:
        """Remember floors that are enforced where it is not known which are observed."""
        self.held_elsewhere |= held & _ENFORCED

    def held_below(self, floor: int) -> list[int]:
        """Return floors below this one that were enforced where this one was not observed."""
        doubtful = [
            held
            for held in {*self.held.kept.values(), self.held_elsewhere}
            if not held >> 4 + (floor & 7)
        ]
        below = [each for each in versions.FLOORS.values() if each < floor]
        return [each for each in below if any(held >> (each & 7) & 1 for held in doubtful)]

    def settle(self) -> None:
        """Drop what is too much. Call it after the last event: the answer is then the same."""
        for each in (*self._by_answer, self.machines, self.names, self.held):
            each.trim()
        self.rest = dict(sorted(self.rest.items()))
        self._cache.clear()
        self._met.clear()

    def _sum_up(self, key: tuple[Any, ...], row: Row) -> None:
        self.sum_of(key[0]).absorb(row)

    def sum_of(self, subject: tuple[str, str, int, int, int]) -> Row:
        """Return the row that sums up the connections which have none of their own."""
        return self.rest.get(subject) or self.rest.setdefault(subject, Row(subject, rest=True))

    def _meet(self, row: Row, program: str, host: str) -> list[float]:
        """Remember a machine of a row, and which floor is enforced or observed there."""
        name = shortened(host)
        row.meet(name)
        if row.floor and row.kind not in ("exempted", "unexempted"):  # they are of both modes
            bit = 1 << (row.floor & 7)
            self.hold(shortened(program), name, bit << 4 if row.mode == "observe" else bit)
        seen = self.saw(name, 0)
        if not row.rest and host == name:  # a row that sums up others is of many programs
            if len(self._met) >= _MOST_CACHED:
                self._met.clear()
            self._met[row, host] = seen
        return seen

    def _row(self, literal: tuple[Any, ...]) -> Row:
        """Return the row of an event; make it if there is none."""
        *texts, port = literal
        is_plain = set(map(type, texts)) == _ONLY_TEXTS and max(map(len, texts)) <= LONGEST_TEXT
        if not is_plain:
            texts = list(map(shortened, texts))
        if not 0 <= port < 65536:
            raise ValueError("the port is invalid")
        subject, spared = _subject(*texts[: len(_SUBJECT)])
        others, program = texts[len(_SUBJECT) : -2], texts[_PROGRAM]
        if spared == 2 or subject[0] != "handshake" or not subject[3]:
            others[-1] = ""  # an exemption makes no difference
        key = (subject, *others, port)
        rows = self._by_answer[spared]
        row = rows.kept.get(key)
        if row is None and rows.admits(key):
            row = Row(subject, others, port)
            if rows.put(key, row):
                self._cache.clear()
                self._met.clear()
                row = rows.kept.get(key)
        if row is None:
            row = self.sum_of(subject)
        else:
            row.explain(*texts[-2:])
        if program not in self.names.kept:  # written out, for speed
            self.add_program(program)
        # The key of the cache is to be small, and a row that sums up others has too many keys.
        if is_plain and not row.rest:
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


def subject_of(event: dict[str, Any]) -> tuple[str, str, int, int, int]:
    """Return what an event is about, which a row that sums up others has, too.

    Raises:
        TypeError, ValueError: it is not an event.
    """
    return _subject(*(shortened(event.get(name)) for name in _SUBJECT))[0]


def shortened(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text of an event, cut off where it is long; an empty one if it is missing."""
    if value is None:
        return ""
    if type(value) is not str:
        raise ValueError("a text is of another type")
    return value if len(value) <= longest else value[:longest] + "…"
