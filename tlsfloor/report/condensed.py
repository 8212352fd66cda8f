"""Writes the sums of events as lines that are events again, and reads such lines.

What one run writes is an *output*. Its lines may be in any order, among other lines and in several
files. Each has the name of the output, which is a digest of all of them, and the last line says how
many there are. So a reader notices if some are missing or damaged, or if an output is read twice,
by itself or as a part of another one.

A line about a connection has the keys of an event. The others have a ``kind`` that no event has.
``schemas/condensed.json`` describes them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from tlsfloor import versions
from tlsfloor.report.sums import MONDAY, WIDTHS, Smallest, Timeline
from tlsfloor.report.tally import (
    EARLIEST,
    MOST_COUNTED,
    MOST_NAMES,
    VERSIONS,
    Row,
    Tally,
    shortened,
    subject_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.report.reader import EventFiles

#: The schema of the lines.
SCHEMA = 2

#: Outputs of which the lines are counted, and characters of the name of a file that are kept.
MOST_OUTPUTS = 100_000
LONGEST_PATH = 2000

# Bytes of a list in one line, about.
_MOST_BYTES = 24 * 1024

# The highest number that a line may have, and the modulus of the sum of the CRC-32 of the lines.
_MOST = 10**36
_MODULUS = 2**64


def condensed_lines(tally: Tally, files: EventFiles, host: str) -> Iterator[str]:
    """Yield the lines of an output. ``host`` is the machine on which the files were read."""
    tally.settle()
    digest = hashlib.sha256()
    for facts in _all_facts(tally, files, host):
        digest.update(json.dumps(facts).encode())
    header = {"schema": SCHEMA, "condensed": digest.hexdigest()[:16]}
    parts = checksum = 0
    for facts in _all_facts(tally, files, host):
        line = json.dumps({**header, **facts})
        parts, checksum = parts + 1, checksum + zlib.crc32(line.encode())
        yield line + "\n"
    end = {"lines": tally.total("lines"), "parts": parts, "checksum": checksum % _MODULUS}
    yield json.dumps({**header, "kind": "end", **end}) + "\n"


def _all_facts(tally: Tally, files: EventFiles, host: str) -> Iterator[dict[str, Any]]:
    yield from map(_row_facts, (*tally.rows.values(), *tally.rest.values()))
    hosts = {name: _number(last) for name, last in tally.hosts.items()}
    for part in _chunks(hosts):
        yield {"kind": "machines", "machines": {name: hosts[name] for name in part}}
    if tally.machines.more:
        yield {"kind": "machines", "machines": {}, "more": True}
    for part in _chunks(tally.names.kept):
        yield {"kind": "programs", "programs": part}
    if tally.names.more:
        yield {"kind": "programs", "programs": [], "more": True}
    for part in _chunks(files.condensed.sources()):
        yield {"kind": "sources", "sources": part}
    yield from _held_facts(tally)
    yield from _timeline_facts(tally.timeline)
    for path, problems in files.invalid.items():
        yield {"kind": "problem", "file": files.label(path, host), "invalid": problems}
    for path, why in files.unreadable.items():
        yield {"kind": "problem", "file": files.label(path, host), "why": why}
    if files.more:
        yield {"kind": "problem", "more_files": files.more}


def _held_facts(tally: Tally) -> Iterator[dict[str, Any]]:
    """Yield which programs hold which floors where, in lists of which each goes with each."""
    machines: dict[tuple[str, int], list[str]] = {}
    for (program, machine), held in tally.held.kept.items():
        machines.setdefault((program, held), []).append(machine)
    programs: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for (program, held), names in machines.items():
        programs.setdefault((held, tuple(names)), []).append(program)
    for (held, names_there), names in programs.items():
        for part in _chunks(names):
            for there in _chunks(names_there):
                yield {"kind": "held", **_floors(held), "programs": part, "machines": there}
    if tally.held_elsewhere:
        yield {"kind": "held", **_floors(tally.held_elsewhere)}


def _timeline_facts(line: Timeline) -> Iterator[dict[str, Any]]:
    counts = sorted(line.counts.items())
    for version in sorted({version for (_, version), _ in counts}):
        slots = [
            [at * line.width + MONDAY, count] for (at, each), count in counts if each == version
        ]
        name = {"version": versions.name(version)} if version else {}
        yield {"kind": "timeline", "seconds": line.width, **name, "slots": slots}


def _row_facts(row: Row) -> dict[str, Any]:
    facts = {name: value for name, value in row.facts().items() if value}
    facts.update(count=row.count, lines=row.lines)
    if row.untimed:
        facts["untimed"] = row.untimed
    if row.last:
        facts.update(first=_number(row.first), time=_number(row.last))
    facts["hosts"] = sorted(row.hosts)
    return {**facts, **{key: True for key in ("more_hosts", "rest") if getattr(row, key)}}


def _number(value: float) -> float:
    """Return a time that is written the same way whether it was an integer or not."""
    return int(value) if value == int(value) else value


def _floors(held: int) -> dict[str, list[str]]:
    """Return the floors that are enforced and observed, as their names (see ``Tally.held``)."""
    return {
        key: [name for name, wire in versions.FLOORS.items() if held >> shift + (wire & 7) & 1]
        for key, shift in (("enforced", 0), ("observed", 4))
    }


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield names in parts that are short enough for a line."""
    part: list[str] = []
    size = 0
    for name in names:
        part.append(name)
        size += len(json.dumps(name)) + 24  # with a time
        if size > _MOST_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


class _Output:
    """What was read of an output."""

    def __init__(self) -> None:
        self.lines = self.parts = self.checksum = 0
        #: What its last line says (lines, parts, checksum) -> how often that was read.
        self.ends: dict[tuple[int, ...], int] = {}
        #: The files that have lines of it, or two of them.
        self.paths: list[str] = []

    def problem(self) -> str:
        """Return what is wrong with it; empty if it is whole."""
        if not self.ends:
            return "is cut short: its last line is missing"
        (lines, parts, checksum), times = next(iter(self.ends.items()))
        wanted = (lines * times, parts * times, checksum * times % _MODULUS)
        if len(self.ends) == 1 and (self.lines, self.parts, self.checksum % _MODULUS) == wanted:
            # Nothing is counted twice if there is nothing in it.
            where = "".join(f", also in {path}" for path in self.paths[1:])
            return f"was read {times:,} times{where}" if times > 1 and self.has_events() else ""
        if self.parts < parts:
            return f"is not whole: {parts - self.parts:,} of its {parts:,} lines are missing"
        return "is damaged: its lines are not those that were written"

    def has_events(self) -> bool:
        """Return whether it has any, or may have."""
        return not self.ends or any(lines for lines, *_ in self.ends)


class Condensed:
    """What was read of all outputs."""

    def __init__(self, tally: Tally, files: EventFiles) -> None:
        self._tally, self._files = tally, files
        self._outputs: dict[str, _Output] = {}
        # An output that others were made from -> the names of those, or of two of them.
        self._holders = Smallest(MOST_OUTPUTS)
        self._takers = {
            "machines": self._machines,
            "programs": self._programs,
            "held": self._held,
            "timeline": self._timeline,
            "problem": self._problem,
        }

    def sources(self) -> list[str]:
        """Return the names of the outputs that were read, and of those that they were made from.

        Of very many, only some are known, so that not each one is noticed that is read again.
        """
        own = {name for name, output in self._outputs.items() if output.has_events()}
        return sorted({*own, *self._holders.kept})[:MOST_NAMES]

    def take(self, event: dict[str, Any], line: bytes, path: str, times: int) -> None:
        """Count what a line says, as often as it is there.

        Raises:
            LookupError, TypeError, ValueError: it is not a line of an output; nothing was counted.
        """
        name, kind = shortened(event["condensed"]), shortened(event["kind"])
        output = self._outputs.get(name) or _Output()
        if not name or (name not in self._outputs and len(self._outputs) >= MOST_OUTPUTS):
            raise ValueError("there are too many outputs")
        if kind == "end":
            end = tuple(_whole(event[key]) for key in ("lines", "parts", "checksum"))
            output.ends[end] = output.ends.get(end, 0) + times
        else:
            if kind == "sources":
                self._hold(name, _texts(event["sources"]))
            elif kind in self._takers:
                self._takers[kind](event, times)
            else:
                self._row(event, times)
                output.lines += event["lines"] * times
            output.parts += times
            output.checksum += zlib.crc32(line.strip()) * times
        output.paths = sorted({*output.paths, path})[:2]
        self._outputs[name] = output

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the path of each output that is not whole or was read twice, and what is wrong."""
        twice: dict[tuple[str, ...], int] = {}
        for name, output in self._outputs.items():
            problem = output.problem()
            if problem:
                yield output.paths[0], f"condensed output {name} {problem}"
            if output.has_events():
                self._hold(name, [name])
        for holders in self._holders.kept.values():
            if len(holders) > 1:
                twice[holders] = twice.get(holders, 0) + 1
        for (one, other), count in twice.items():
            [path, also] = [self._outputs[each].paths[0] for each in (one, other)]
            common = "1 output" if count == 1 else f"{count:,} outputs"
            shared = f"condensed output {one} has {common} in common with {other} in {also}"
            yield path, f"{shared}: their events are counted twice"

    def _hold(self, output: str, sources: list[str]) -> None:
        for source in sources:
            holders = self._holders.kept.pop(source, ())
            self._holders.put(source, tuple(sorted({*holders, output})[:2]))

    def _row(self, event: dict[str, Any], times: int) -> None:
        lines = _whole(event["lines"], 1)
        count = _whole(event["count"], lines, MOST_COUNTED * lines)
        untimed = _whole(event.get("untimed", 0), 0, lines)
        first, last, hosts = event.get("first", 0), event.get("time", 0), _texts(event["hosts"])
        if untimed == lines:
            first = last = 0
        elif not EARLIEST <= _time(first) <= _time(last):
            raise ValueError("the times are invalid")
        elif last > self._tally.latest:
            first = last = 0
            untimed = lines
        if event.get("rest"):
            row = self._tally.sum_of(subject_of(event))
        else:
            row, _ = self._tally.row_of(event)
        row.add(count * times, lines * times, untimed * times, first, last)
        for host in hosts:
            row.meet(host)
        row.more_hosts = row.more_hosts or bool(event.get("more_hosts"))
        self._files.events += lines * times

    def _machines(self, event: dict[str, Any], _times: int) -> None:
        seen = {shortened(name): _time(last) for name, last in event["machines"].items()}
        for name, last in seen.items():
            self._tally.saw(name, last if EARLIEST <= last <= self._tally.latest else 0)
        self._tally.machines.more |= bool(event.get("more"))

    def _programs(self, event: dict[str, Any], _times: int) -> None:
        for name in _texts(event["programs"]):
            self._tally.add_program(name)
        self._tally.names.more |= bool(event.get("more"))

    def _held(self, event: dict[str, Any], _times: int) -> None:
        held = 0
        for key, shift in (("enforced", 0), ("observed", 4)):
            for name in _texts(event[key]):
                held |= 1 << shift + (versions.FLOORS[name] & 7)
        if "machines" not in event:
            self._tally.hold_elsewhere(held)
            return
        programs, machines = _texts(event["programs"]), _texts(event["machines"])
        for program in programs:
            for machine in machines:
                self._tally.hold(program, machine, held)

    def _timeline(self, event: dict[str, Any], times: int) -> None:
        width, line = event["seconds"], self._tally.timeline
        version = VERSIONS[event["version"]] if "version" in event else 0
        slots = [(_whole(start), _whole(count, 1)) for start, count in event["slots"]]
        if width not in WIDTHS or any((start - MONDAY) % width for start, _ in slots):
            raise ValueError("the slots are invalid")
        line.widen(width)
        for start, count in slots:
            if EARLIEST - width < start <= self._tally.latest:
                line.add(start, version, count * times)

    def _problem(self, event: dict[str, Any], times: int) -> None:
        if "more_files" in event:
            self._files.more += _whole(event["more_files"], 1)
            return
        found = {
            shortened(what): _whole(many, 1) for what, many in event.get("invalid", {}).items()
        }
        self._files.carry(
            shortened(event["file"], LONGEST_PATH),
            {what: many * times for what, many in found.items()},
            shortened(event.get("why")),
        )


def _whole(value: object, least: int = 0, most: int = _MOST) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("a number is invalid")
    return value


def _time(value: object) -> float:
    if type(value) not in (int, float):
        raise ValueError("a time is invalid")
    return value  # type: ignore[return-value]


def _texts(values: object) -> list[str]:
    if type(values) is not list:
        raise ValueError("it is not a list")
    return list(map(shortened, values))
