"""Groups of equal lines, as an SQL engine finds them, and what they mean.

The engine knows nothing of events. ``groups.sql`` says which lines are equal, and this module
judges each group as ``reader`` judges a line. So the answer does not depend on the engine.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from tlsfloor.errors import VerifyError
from tlsfloor.report import reader
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.sums import MONDAY
from tlsfloor.report.tally import EARLIEST, MOST_COUNTED, Tally

# What groups.sql writes in place of the time, the host and the count of a line, and what replaces
# that before the line is judged. A line can have the first, but nobody knows the second.
_WRITTEN = {"time": "-1.5e+87", "host": '"? any host ?"', "count": "-87"}
_TIME, _HOST, _COUNT = -0.5 - secrets.randbits(50), secrets.token_hex(), -secrets.randbits(60)
_MARKS = [
    (f'"{name}":{_WRITTEN[name]}'.encode(), f'"{name}":{json.dumps(mark)}'.encode())
    for name, mark in (("time", _TIME), ("host", _HOST), ("count", _COUNT))
]

# A longer line is a group of its own: it costs more to look into than it saves.
_GROUPED = 16_000

#: Seconds of a slot if the time that the events span is not known: right from one day on.
WIDTH = 900

# What a row is a sum of: the value of its column `missing`.
OF_PATH, _OF_HOST, _OF_SLOT, _OF_ALL = 6, 5, 3, 7


class SqlRow(NamedTuple):
    """A row of the answer of ``groups.sql``; ``key`` is bytes where the engine has bytes."""

    key: str | bytes | None
    missing: int
    path: str | None
    host: str | None
    lines: int
    size: int
    events: str | None
    first: str | None
    last: str | None


def query(width: int = WIDTH) -> str:
    """Return the text of the query, in the dialect of DuckDB; ``lines`` is what it reads."""
    with open(os.path.join(os.path.dirname(__file__), "groups.sql"), encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("--"))
    for name, value in {
        "earliest": str(EARLIEST),
        "latest": str(int(time.time()) + 86400 - 1),
        "width": str(width),
        "monday": str(MONDAY),
        "grouped": str(_GROUPED),
        "longest": str(reader.LONGEST),
        **_WRITTEN,
    }.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def query_for(dialect: str, width: int = WIDTH) -> str:
    """Return the query in another dialect.

    Raises:
        ModuleNotFoundError: sqlglot is not installed.
    """
    import sqlglot

    text: str
    [text] = sqlglot.transpile(query(width), read="duckdb", write=dialect, pretty=True)
    if dialect == "clickhouse":
        # Elsewhere, a name in a SELECT is that of a column, too. And short circuits of nested
        # conditions would take gigabytes of memory.
        text += "\nSETTINGS prefer_column_name_to_alias = 1"
        text += ", short_circuit_function_evaluation = 'disable'"
    return text + "\n"


def sample(tally: Tally, begin: bytes, end: bytes) -> None:
    """Count the events at the begin and the end of a file, which show how wide a slot can be."""
    for line in [*begin.split(b"\n")[:-1], *end.split(b"\n")[1:]]:
        with contextlib.suppress(
            AttributeError, RecursionError, StopIteration, TypeError, ValueError
        ):
            event = reader.decode(line)
            if event.get("schema") == reader.SCHEMA:
                tally.take(event)


class SqlRows:
    """Rows that an SQL engine wrote as JSON lines, in any order."""

    def __init__(self) -> None:
        self.path = ""
        self._found: dict[tuple[bool, str | bytes], list[SqlRow]] = {}

    def take(self, row: dict[str, Any], path: str, times: int) -> str:
        """Keep a row that is in a file so many times.

        Raises:
            LookupError, TypeError, ValueError: it is none.
        """

        def text(name: str) -> str | None:
            return None if row.get(name) is None else str(row[name])

        missing, is_sum = int(row["missing"]), int(row["missing"]) == _OF_ALL
        if int(row["lines"]) < (not is_sum):
            raise ValueError("no row of the query")
        if not is_sum and row.get("key") is None:
            raise ValueError("a row without its lines")
        found = SqlRow(
            text("key") or "",
            missing,
            text("path"),
            text("host"),
            int(row["lines"]),
            0,
            text("events"),
            text("first"),
            text("last"),
        )
        float(found.first or 0), float(found.last or 0), int(found.events or 0)
        known = self._found.setdefault((is_sum, "" if is_sum else found.key or ""), [])
        known.extend([found] * times)
        self.path = self.path or path
        return ""

    def judge(self, files: EventFiles) -> str:
        """Count all rows; return what is wrong with them."""
        rows = itertools.chain.from_iterable(self._found.values())
        try:
            judge(files, rows)
        except VerifyError as error:
            return str(error)
        finally:
            self._found = {}
        return ""


def judge(files: EventFiles, rows: Iterable[SqlRow]) -> None:
    """Count what rows say, which are sorted by their key.

    Raises:
        VerifyError: rows are missing, there are too many, or they were read twice.
    """
    found = expected = 0
    for key, group in itertools.groupby(rows, key=lambda row: (row.missing == _OF_ALL, row.key)):
        if key[0]:
            expected += sum(row.lines for row in group)
            continue
        same = list(group)
        of_paths = [row for row in same if row.missing == OF_PATH]
        lines = sum(row.lines for row in of_paths)
        found += lines
        if sum(row.lines for row in same) != 3 * lines:
            raise _incomplete()
        timed = [row for row in of_paths if row.first]
        if len(set(timed)) < len(timed):  # the same file, number of lines, first and last time
            raise VerifyError(
                "the answer of the SQL engine was read twice, so events are counted twice",
                hint="name each file once",
            )
        line = same[0].key or b""
        line = line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")
        problem = _take(files, line, same, of_paths)
        for row in of_paths:
            if problem:
                files.add_invalid(row.path or "", {problem: row.lines})
    if found != expected:
        raise _incomplete()


def _take(files: EventFiles, line: bytes, same: list[SqlRow], of_paths: list[SqlRow]) -> str:
    """Count the lines of a group; return what is wrong with them."""
    if len(line) >= reader.LONGEST:
        return reader.TOO_LONG
    marked = line
    for written, mark in _MARKS:
        marked = marked.replace(written, mark, 1)
    try:
        event = reader.decode(marked)
    except (ValueError, RecursionError, StopIteration):
        return reader.problem_of(line)
    try:
        if event.get("schema") != reader.SCHEMA or "tool" in event:
            return _take_others(files, event, line, of_paths)
        _count(files.tally, event, same)
    except (AttributeError, TypeError, ValueError):
        return reader.NO_EVENT
    files.events += sum(row.lines for row in of_paths)
    return ""


def _take_others(files: EventFiles, event: Any, line: bytes, of_paths: list[SqlRow]) -> str:
    """Count lines that are no events of schema 1; return what is wrong with them."""
    problem = ""
    for row in of_paths:
        # A report of a machine is counted one by one.
        repeats = row.lines if "tool" in event else 1
        for _ in range(repeats):
            problem = files.take_other(event, line, row.path or "", row.lines // repeats)
    return problem


def _count(tally: Tally, event: dict[str, Any], same: list[SqlRow]) -> None:
    """Count the lines of a group of events.

    Raises:
        TypeError, ValueError: they are no events; nothing was counted.
    """
    # Where a key is repeated, JSON has its last value, and the engine may have replaced another
    # one. The value that counts is then the same in all lines.
    when, host, count = event.get("time", 0), event.get("host", ""), event.get("count", 1)
    if type(host) is not str:
        raise ValueError("the host is of another type")
    each = 0 if count == _COUNT and all(part.events for part in same) else count
    if type(count) is not int or not 0 <= each <= MOST_COUNTED or count == 0:
        raise ValueError("the count is invalid")
    is_timed = type(when) in (float, int) and EARLIEST <= when <= tally.latest

    def count_of(part: SqlRow) -> int:
        return each * part.lines or int(part.events or 0)

    def times_of(part: SqlRow) -> tuple[float, float]:
        if when == _TIME and part.first and part.last:
            return float(part.first), float(part.last)
        return (when, when) if is_timed else (0, 0)

    row, program = tally.row_of(event)
    for part in same:
        first, last = times_of(part)
        if part.missing == OF_PATH:
            row.add(count_of(part), part.lines, 0 if last else part.lines, first, last)
        elif part.missing == _OF_HOST:
            # A line that has what the query writes is about a machine of that name.
            name = (part.host or _WRITTEN["host"]).strip(' "') if host == _HOST else host
            tally.met(row, program, name, last)
        elif last and row.kind == "handshake":
            tally.timeline.add(last, row.version, count_of(part))


def _incomplete() -> VerifyError:
    return VerifyError(
        "the answer of the SQL engine is incomplete: it does not have as many lines as were read",
        hint="run the query again, and read everything that it writes",
    )
