"""Judges what was summed up: what a floor would break, and whether all was seen that could tell.

"Nothing" is only said of a floor where nothing is in doubt: every line was read, every stack that
was imported was seen, and there were handshakes.
"""

from __future__ import annotations

import json
from collections import Counter

from tlsfloor import versions
from tlsfloor.report import words
from tlsfloor.report.tally import NO, UNKNOWN, UNSEEN, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.report.lines import Reading
    from tlsfloor.report.tally import Row, Tally

#: The version of the JSON. It rises when a key changes its meaning or goes.
SCHEMA = 1

#: The floors that are judged, whichever was asked for.
FLOORS = {name: versions.FLOORS[name] for name in ("1.2", "1.3")}

STATUSES = {NO: 0, YES: 1, UNKNOWN: 3}


class Answer:
    """What all the events come to.

    Attributes:
        floor: the floor that was asked about: ``"1.2"``.
        rows: each kind of connection, what is worst first; ``rest`` rows last of their like.
        breaks: floor -> yes, no, or unknown.
        doubts: floor -> what keeps it from "no", in words.
        lists: what to read of the rows, each row in one of them: ``"1.2"`` that floor breaks,
            ``"1.3"`` only that one, ``unknown``, ``exempted``, ``changed``, ``fine``.
        handshakes: version (wire number) -> how many.
        last: version -> when the last one was, 0 if that is unknown.
        first_time, last_time: of all events, 0 if unknown.
    """

    def __init__(self, floor: str, summed: Tally, reading: Reading, tool: str) -> None:
        self.floor, self.tally, self.reading, self.tool = floor, summed, reading, tool
        self.rows = [*summed.rows.values(), *summed.rest.values()]
        _exempt(self.rows)
        self.rows.sort(key=_worst_first)
        self.lists: dict[str, list[Row]] = {
            name: [] for name in ("1.2", "1.3", UNKNOWN, "exempted", "changed", "fine")
        }
        for row in self.rows:
            self.lists[_list(row)].append(row)
        self.handshakes: Counter[int] = Counter()
        self.last: dict[int, float] = {}
        for row in self.rows:
            if row.kind == "handshake":
                self.handshakes[row.version] += row.count
                self.last[row.version] = max(self.last.get(row.version, 0), row.last)
        self.first_time = min((row.first for row in self.rows if row.last), default=0)
        self.last_time = max((row.last for row in self.rows), default=0)
        self.doubts = {name: self._doubts(wire) for name, wire in FLOORS.items()}
        self.breaks = {}
        for name, wire in FLOORS.items():
            told = {row.breaks(wire) for row in self.rows}
            unsure = UNKNOWN in told or self.doubts[name]
            self.breaks[name] = YES if YES in told else UNKNOWN if unsure else NO

    @property
    def status(self) -> int:
        """The exit status, of the floor that was asked about."""
        return STATUSES[self.breaks[self.floor]]

    def broken(self, name: str) -> list[Row]:
        """Return the rows that a floor breaks."""
        return [row for row in self.rows if row.breaks(FLOORS[name]) == YES]

    def reason(self, name: str) -> str:
        """Say in a line why a floor would break something, nothing, or one cannot tell."""
        broken = self.broken(name)
        if broken:
            doubt = ", and not all was seen" if self.doubts[name] else ""
            return f"{words.kinds(broken)}, {words.times(broken)}{doubt}"
        if self.doubts[name]:
            return "not all was seen" if self.handshakes else "no handshake was seen"
        spared = [row for row in self.rows if row.exempted and row.version < FLOORS[name]]
        if spared:
            return f"what is below it is exempted: {words.kinds(spared)}, {words.times(spared)}"
        count = sum(self.handshakes.values())
        return f"{words.number(count)} handshake{'s' * (count != 1)}, all at or above it"

    def _doubts(self, floor: int) -> list[str]:
        reading, doubts = self.reading, []
        if not reading.events:
            doubts.append("no event was read")
        elif not self.handshakes:
            doubts.append("no handshake was seen")
        unseen = [row for row in self.rows if row.kind in UNSEEN]
        for stack in sorted({row.stack or "a TLS stack" for row in unseen}):
            programs = {row.program for row in unseen if (row.stack or "a TLS stack") == stack}
            doubts.append(
                f"{stack} was imported by {words.named(programs)}, and its TLS is not seen"
            )
        vague = [row for row in self.rows if row.kind not in UNSEEN]
        for text, found in (
            ("of a kind that this version of tlsfloor does not know", ("other",)),
            ("handshakes of an unknown version", ("handshake",)),
            ("failures under a stricter floor", ("failed", "discarded", "refused")),
        ):
            many = [row for row in vague if row.kind in found and row.breaks(floor) == UNKNOWN]
            if many:
                events = "events " if found == ("other",) else ""
                doubts.append(f"{words.number(sum(row.count for row in many))} {events}{text}")
        # Enforcing looks no further than the floor: a library of its own may be held at 1.2, and
        # nobody knows which of 1.2 and 1.3 it speaks.
        for held in self.tally.held_below(floor):
            name = versions.floor_name(floor)
            doubts.append(
                f"some processes enforce {versions.floor_name(held)}, which does not show all "
                f"that {name} would break: let them observe {name}"
            )
        doubts += [f"{path}: {why}" for path, why in reading.unread.items()]
        for path, problems in reading.bad.items():
            lines = ", ".join(f"{words.number(many)} {what}" for what, many in problems.items())
            doubts.append(f"{path}: lines that were not understood: {lines}")
        if reading.more:
            doubts.append(f"{words.number(reading.more)} more files with problems")
        return doubts


def _exempt(rows: list[Row]) -> None:
    """Mark the handshakes that an exemption allows, unless it was found not to apply.

    Where it is not told which one does not apply, none does.
    """
    ended = [row for row in rows if row.kind == "unexempted"]
    if any(row.rest for row in ended):
        return
    sides = {each for row in ended for each in _other_side(row)}
    programs = {row.program for row in ended if not _other_side(row)}
    reasons: dict[tuple[str, ...], str] = {}
    for row in rows:
        if row.kind == "exempted" and row.program not in programs:
            reasons.update(dict.fromkeys(_other_side(row), row.text or "exempted"))
    for each in sides:
        reasons.pop(each, None)
    for row in rows:
        if row.kind == "handshake" and 0 < row.version < max(FLOORS.values()):
            found = [reasons[each] for each in _other_side(row) if each in reasons]
            row.exempted = found[0] if found else ""


def _other_side(row: Row) -> list[tuple[str, ...]]:
    """Return what tells the other side of a row: by its name and its address, as far as known.

    Of rows that were not kept apart nothing is known.
    """
    who = (row.program, row.role, str(row.port))
    return [(*who, each) for each in (row.name, row.peer) if each]


def _list(row: Row) -> str:
    if row.exempted or row.kind in ("exempted", "unexempted"):
        return "exempted"
    for name, wire in FLOORS.items():
        told = row.breaks(wire)
        if told != NO:
            return name if told == YES else UNKNOWN
    return "fine" if row.kind in ("handshake", "armed") else "changed"


def _worst_first(row: Row) -> tuple[bool, bool, int, int]:
    below = row.breaks(FLOORS["1.2"]) == YES
    return (row.rest, not below, row.version or row.asked or 0xFFFF, -row.count)


def as_dict(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON types."""
    reading, summed = answer.reading, answer.tally
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    starts = summed.timeline.starts()
    seen = sorted(answer.handshakes)
    return {
        "schema": SCHEMA,
        "tool": {"name": "tlsfloor", "version": answer.tool},
        "floor": answer.floor,
        "status": answer.status,
        "floors": {
            name: {
                "breaks": answer.breaks[name],
                "reason": answer.reason(name),
                "doubts": answer.doubts[name],
            }
            for name in FLOORS
        },
        "first": words.moment(answer.first_time, stamp) or None,
        "last": words.moment(answer.last_time, stamp) or None,
        "events": sum(row.count for row in answer.rows),
        "untimed": summed.untimed,
        "hosts": len(summed.hosts),
        "programs": len(summed.programs),
        "handshakes": [
            {
                "version": words.version(wire),
                "count": answer.handshakes[wire],
                "last": words.moment(answer.last[wire], stamp) or None,
            }
            for wire in seen
        ],
        "timeline": {
            "seconds": summed.timeline.width,
            "starts": [words.moment(start, stamp) for start in starts],
            "counts": {
                words.version(wire): [summed.timeline.at(start, wire) for start in starts]
                for wire in seen
            },
        },
        "rows": [_row(row, stamp) for row in answer.rows],
        "files": {
            "read": reading.files,
            "lines": reading.events,
            "bad": reading.bad,
            "unread": reading.unread,
            "more": reading.more,
        },
    }


def _row(row: Row, stamp: str) -> dict[str, Any]:
    texts = ("stack", "role", "program", "where", "library")
    return {
        "kind": row.kind,
        "list": _list(row),
        "breaks": {name: row.breaks(wire) for name, wire in FLOORS.items()},
        "exempted": row.exempted or None,
        "kept_apart": not row.rest,
        "mode": row.mode or None,
        "floor": versions.floor_name(row.floor) if row.floor else None,
        "version": versions.name(row.version) if row.version else None,
        "asked": versions.name(row.asked) if row.asked else None,
        **{name: getattr(row, name) or None for name in texts},
        "server_name": row.name or None,
        "peer": row.peer or None,
        "port": row.port or None,
        "suite": row.suite or None,
        "text": row.text or None,
        "count": row.count,
        "hosts": sorted(row.hosts - {""}),
        "more_hosts": row.more_hosts,
        "first": words.moment(row.first, stamp) if row.last else None,
        "last": words.moment(row.last, stamp) or None,
    }


def to_json(answer: Answer) -> str:
    """Return an answer as JSON."""
    return json.dumps(as_dict(answer), indent=2) + "\n"
