"""Reads large event files by DuckDB, which groups lines on all cores, in bounded memory.

DuckDB's reader of CSV files yields lines fast, but not every line as it is: it also ends a line
at a carriage return, and drops one that is too long. So each file is looked through first, and
afterwards DuckDB's sums are compared with what is in the file. If they differ, the reader of
events reads the file.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from tlsfloor.report import groups
from tlsfloor.report.documents import is_document
from tlsfloor.report.groups import OF_PATH, SqlRow
from tlsfloor.report.reader import LONGEST, Engine, EventFiles, File
from tlsfloor.report.tally import Tally

#: Bytes of all files from which on DuckDB is faster.
LARGE = 200_000_000

#: Bytes of the files that are grouped in one query.
BATCH = 1_000_000_000

#: What DuckDB may use.
SETTINGS = {
    "autoinstall_known_extensions": False,
    "memory_limit": "2GB",
    "preserve_insertion_order": False,
    "threads": min(8, os.cpu_count() or 1),
}

_FAILED = "DuckDB failed, so the files are read without it, more slowly"

# A file is looked through in pieces of this size. The first and the last few lines are a sample.
_PIECE, _SAMPLE = 1 << 20, 4096

# Lines of a file that DuckDB drops: so many are kept, to be judged like the other ones.
_MOST_DROPPED = 1000

# A line in a file of text with one column, whose separator is in no JSON.
_READ = (
    "read_csv({paths}, filename = 'path', compression = {compression},"
    " columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false, delim = '\x01',"
    " quote = '', escape = '', comment = '', new_line = '\\n', ignore_errors = true,"
    f" max_line_size = {LONGEST})"
)

# For read_csv, a blank line is NULL.
_LINES = (
    "CREATE OR REPLACE TEMP VIEW lines AS SELECT path, coalesce(line, '') AS line FROM found_lines"
)

# The first line of a report in many lines, and lines that may be cut off.
_NOT_GROUPED = (
    "SELECT path FROM found WHERE missing = ? AND (length(key) > ? OR length(key) < 9 AND "
    "contains(key, '{'))"
)
_MAY_BE_CUT = LONGEST - 500

_SIZES = "SELECT path, sum(size) + sum(lines) FROM found WHERE missing = ? GROUP BY path"

# Characters of a name that DuckDB takes for a pattern.
_PATTERN = re.compile(r"[*?\[\]{}]|://")


class _Content(NamedTuple):
    """How a file is compressed, the characters of its lines with a newline each, and other lines.

    DuckDB drops those other lines: they are not UTF-8, or too long.
    """

    compression: str
    size: int
    dropped: list[bytes]


class DuckDB(Engine):
    """Reads files by DuckDB if they are large and it is installed."""

    def __init__(self, warn: Callable[[str], object] = bool) -> None:
        """Call ``warn`` with a text if DuckDB fails."""
        self._warn = warn

    def read(self, files: EventFiles, found: list[File]) -> list[File]:
        """Count what DuckDB can read; return the other files."""
        if sum(each.size for each in found) < LARGE:
            return found
        try:
            import duckdb
        except ImportError:
            return found
        except Exception as error:  # noqa: BLE001 - a build that does not fit can raise anything
            self._warn(f"{_FAILED}: {error}")
            return found
        return [each for batch in _batches(found) for each in self._group(duckdb, files, batch)]

    def _group(self, duckdb: Any, files: EventFiles, batch: list[File]) -> list[File]:
        """Count what DuckDB can read of some files; return the other ones."""
        sample = Tally()
        contents = {each.path: _look_through(each.path, sample) for each in batch}
        known = {path: content for path, content in contents.items() if content}
        has_begun = False
        try:
            with _connected(duckdb) as base:
                while known:
                    wrong = _find(base, known, sample.timeline.width)
                    if not wrong:
                        has_begun = True
                        _judge(files, base, known)
                        break
                    for path in wrong:
                        del known[path]
        except RuntimeError as error:
            if "interrupted" in str(error):  # what DuckDB makes of Ctrl-C
                raise KeyboardInterrupt from None
            raise
        except (OSError, duckdb.Error) as error:  # OSError: no folder for temporary files
            why = str(error).partition("\n")[0]
            if not has_begun:
                self._warn(f"{_FAILED}: {why}")
                return batch
            for path in known:  # the reader would count again what was counted
                files.add_problem(path, f"not read to its end: {why}")
        return [each for each in batch if each.path not in known]


def _judge(files: EventFiles, base: Any, known: dict[str, _Content]) -> None:
    """Count what was found in files."""
    groups.judge(files, _rows(base.execute("SELECT * FROM found ORDER BY key")))
    for path, content in known.items():
        for line in content.dropped:
            files.add_invalid(path, {files.take(line + b"\n", path): 1})
        files.add_file()


@contextlib.contextmanager
def _connected(duckdb: Any) -> Iterator[Any]:
    """Yield a database in memory, with a folder for what does not fit into it."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tlsfloor-"))
        base = stack.enter_context(duckdb.connect(config={**SETTINGS, "temp_directory": folder}))
        base.execute("SET enable_progress_bar = false")  # it would be on stdout
        yield base


def _batches(files: Iterable[File]) -> Iterator[list[File]]:
    """Yield files that have about ``BATCH`` bytes."""
    batch: list[File] = []
    for each in files:
        batch.append(each)
        if sum(known.size for known in batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def _look_through(path: str, sample: Tally) -> _Content | None:
    """Return what a file has, or None if DuckDB cannot read it; count some lines in ``sample``."""
    size, begin, piece = 0, b"", b"\n"
    dropped: list[bytes] = []
    try:
        path.encode("utf-8")
        with open(path, "rb") as file:
            is_gzip = file.peek(2)[:2] == b"\x1f\x8b"
            source: Any = gzip.GzipFile(fileobj=file) if is_gzip else file
            for piece in iter(lambda: source.read(_PIECE) + source.readline(_PIECE), b""):
                begin = begin or piece.lstrip()
                if b"\r" in piece:
                    return None
                size += len(piece) if _is_usual(piece) else _sift(piece, dropped)
                if len(dropped) > _MOST_DROPPED or (len(piece) > _PIECE + LONGEST):
                    return None
    except (EOFError, OSError, ValueError, zlib.error):
        return None  # the reader says why
    if not begin or _PATTERN.search(path) or any(map(is_document, dropped)):
        return None  # also for a file without content: the reader says so
    groups.sample(sample, begin[:_SAMPLE], piece[-_SAMPLE:])
    size += _is_usual(piece) and not piece.endswith(b"\n")
    return _Content("gzip" if is_gzip else "none", size, dropped)


def _is_usual(piece: bytes) -> bool:
    """Return whether lines are ASCII, and none can be too long."""
    half = LONGEST // 2  # of a line that is too long, half as many bytes have no newline in them
    starts = range(0, len(piece) - half, half)
    return piece.isascii() and all(piece.find(b"\n", at, at + half) >= 0 for at in starts)


def _sift(piece: bytes, dropped: list[bytes]) -> int:
    """Return the characters of the lines that DuckDB keeps; add the others to ``dropped``."""
    size = 0
    for line in piece[: -1 if piece.endswith(b"\n") else None].split(b"\n"):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            dropped.append(line)
            continue
        if len(line) < LONGEST:
            size += len(text) + 1
        else:
            dropped.append(line)
    return size


def _find(base: Any, known: dict[str, _Content], width: int) -> set[str]:
    """Group the lines of files; return the files of which not every line was read as it is."""
    relations = []
    for kind in ("none", "gzip"):
        paths = [_quoted(path) for path, content in known.items() if content.compression == kind]
        if paths:
            relations.append(_READ.format(paths=f"[{', '.join(paths)}]", compression=_quoted(kind)))
    lines = " UNION ALL ".join(f"FROM {each}" for each in relations)
    base.execute(f"CREATE OR REPLACE TEMP VIEW found_lines AS {lines}")
    base.execute(_LINES)
    base.execute(f"CREATE OR REPLACE TEMP TABLE found AS {groups.query(width)}")
    sizes = dict(base.execute(_SIZES, [OF_PATH]).fetchall())
    wrong = {path for path, content in known.items() if sizes.get(path, 0) != content.size}
    return wrong.union(
        path for [path] in base.execute(_NOT_GROUPED, [OF_PATH, _MAY_BE_CUT]).fetchall()
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _rows(found: Any) -> Iterator[SqlRow]:
    while True:
        rows = found.fetchmany(10_000)
        if not rows:
            return
        yield from map(SqlRow._make, rows)
