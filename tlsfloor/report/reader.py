"""Reads event files: passes events on, and counts the lines that are not events, by what is wrong.

A file is read line by line, and of a line no more than ``LONGEST`` bytes, so memory does not grow
with the size of a file. A file may be compressed by gzip, whatever its name is.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tlsfloor.report import condensed, documents, machines
from tlsfloor.report.condensed import Condensed
from tlsfloor.report.machines import Machines
from tlsfloor.report.sums import Smallest
from tlsfloor.report.tally import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.report.groups import SqlRows

#: The schema of the events that are read.
SCHEMA = 1

#: Bytes of a line. An event has about 400.
LONGEST = 64 * 1024

#: Files of a folder that are read, including rotated and compressed ones. Only gzip can be
#: decompressed: a file of another compression is read too, so that it is reported as a problem.
NAMES = re.compile(r"\.jsonl?([.-]\d+)*(\.(gz|bz2|xz|zst))?$")

#: Files with problems that are named; further ones are only counted.
MOST_NAMED = 1000

# What can be wrong with a line.
NOT_JSON = "not JSON"
NOT_TEXT = "not text"
NO_EVENT = "JSON, but not an event"
OTHER_SCHEMA = "of another schema"
TOO_LONG = "too long"
TRUNCATED = "truncated"
PROBLEMS = {NOT_JSON, NOT_TEXT, NO_EVENT, OTHER_SCHEMA, TOO_LONG, TRUNCATED, *machines.PROBLEMS}

# Faster than json.loads, which chooses a decoder and looks for white space around the value.
_decoder: Any = json.JSONDecoder()  # mypy does not know its scan_once
_scan: Any = _decoder.scan_once
_ENDS = frozenset(("\n", "", "\r\n"))


def decode(line: bytes) -> Any:
    """Return the JSON of a line.

    Raises:
        ValueError, RecursionError, StopIteration: it is not JSON; ``problem_of`` says why.
    """
    text = line.decode("utf-8")
    found, end = _scan(text, 0)
    return found if text[end:] in _ENDS else _decoder.decode(text)


def problem_of(line: bytes) -> str:
    """Return what is wrong with a line that is not JSON; empty for an empty line."""
    text = line.strip()
    if text[:1] == b"{" and text[-1:] != b"}":  # its writer may have been interrupted
        return TRUNCATED
    try:
        line.decode("utf-8")
    except ValueError:
        return NOT_TEXT
    return "" if not text else NOT_TEXT if b"\0" in line else NOT_JSON


class File(NamedTuple):
    """A file that the user named, or that is in a folder which the user named."""

    path: str
    size: int
    named: bool


class Engine:
    """What reads many files faster than the reader. This one reads none."""

    #: Whether it reads ``s3a://bucket/folder``, for example.
    reads_addresses = False

    def read(self, files: EventFiles, found: list[File]) -> list[File]:  # noqa: ARG002
        """Count what is in the files that were found; return those that the reader is to read."""
        return found


class EventFiles:
    """Reads the files that a user names, and remembers what is wrong with them.

    Attributes:
        tally: counts each event.
        targets: the files and folders that the user named.
        files: how many were opened.
        events: how many lines were events.
        machines: the reports of machines that were read.
        more: how many more files have problems.
    """

    def __init__(
        self, tally: Tally, progress: Callable[[], object] = bool, engine: Engine | None = None
    ) -> None:
        """Count each event in ``tally``, and call ``progress`` after each file."""
        self.tally = tally
        self._progress, self._engine = progress, engine or Engine()
        self._found: list[File] = []
        self.machines = Machines()
        self.targets: list[str] = []
        self.files = self.events = self.more = 0
        self._invalid = Smallest(MOST_NAMED, self._unnamed)
        self._unreadable = Smallest(MOST_NAMED, self._unnamed)
        self._seen: set[tuple[int, int] | str] = set()
        self.condensed = Condensed(tally, self)
        # How many other lines were valid, and the labels of files that were read before.
        self._others = 0
        self._rows: SqlRows | None = None
        self._carried: set[str] = set()

    @property
    def invalid(self) -> dict[str, dict[str, int]]:
        """Path -> problem -> how many lines of the file have it."""
        self._invalid.trim()
        return self._invalid.kept

    @property
    def unreadable(self) -> dict[str, str]:
        """Path -> why it could not be read, or not to its end."""
        self._unreadable.trim()
        return self._unreadable.kept

    def read(self, targets: list[str]) -> None:
        """Read files, folders and ``-``, which is stdin.

        A file that is found twice is read once.
        """
        self.targets += ("stdin" if target == "-" else target for target in targets)
        for target in targets:
            if target == "-":
                self._stdin()
            elif os.path.isdir(target):
                self._folder(target)
            else:
                self._path(target, named=True)
        for file in self._engine.read(self, self._found):
            self._open(file.path, named=file.named)
        self.finish()

    def finish(self) -> None:
        """Judge, after the last line, what is known only then: rows, and condensed outputs."""
        problem = self._rows.judge(self) if self._rows else ""
        if self._rows and problem:
            self.add_problem(self._rows.path, problem)
        found: dict[str, list[str]] = {}
        for path, problem in self.condensed.problems():
            found.setdefault(path, []).append(problem)
        for path, problems in found.items():
            more = f"; and {len(problems) - 3:,} more" * (len(problems) > 3)
            self.add_problem(path, "; ".join(sorted(problems)[:3]) + more)

    def problems(self) -> list[str]:
        """Return what is wrong with the files, as phrases."""
        found = [f"{path}: {why}" for path, why in self.unreadable.items()]
        for path, problems in self.invalid.items():
            lines = ", ".join(f"{many:,} {what}" for what, many in problems.items())
            found.append(f"{path}: lines that are not events: {lines}")
        if self.more:
            found.append(f"{self.more:,} more files with problems")
        return found

    def label(self, path: str, host: str) -> str:
        """Return the name by which a file is known elsewhere: ``web-1:/srv/events.jsonl``."""
        return path if path in self._carried else f"{host}:{path}"

    def carry(self, label: str, invalid: dict[str, int], why: str) -> None:
        """Remember problems of a file that was read before.

        Raises:
            ValueError: they are no problems of a file; nothing was remembered.
        """
        if not label or not (invalid or why) or not set(invalid) <= PROBLEMS:
            raise ValueError("the problem is invalid")
        if invalid:
            self.add_invalid(label, invalid)
        if why:
            self.add_problem(label, why)
        if label in self._invalid.kept or label in self._unreadable.kept:
            self._carried.add(label)

    def _stdin(self) -> None:
        if sys.stdin is None:  # in a service, for example
            self.add_problem("stdin", "it is closed")
        elif self._new("-"):
            with open(sys.stdin.fileno(), "rb", closefd=False) as file:
                self.read_file("stdin", file)

    def _folder(self, folder: str) -> None:
        found = not self._new_folder(folder)
        for above, folders, names in os.walk(folder, onerror=self._not_walked, followlinks=True):
            below = [os.path.join(above, name) for name in sorted(folders)]
            # A symbolic link may lead to a folder above.
            folders[:] = [os.path.basename(path) for path in below if self._new_folder(path)]
            found = found or len(folders) < len(below)
            for path in (os.path.join(above, name) for name in sorted(names)):
                # Reading a pipe might never end. A broken link is a problem to report.
                if NAMES.search(path) and (os.path.isfile(path) or not os.path.exists(path)):
                    found = True
                    self._path(path, named=False)
        if not found:
            self.add_problem(folder, "no file in it ends in .jsonl or .json")

    def _new_folder(self, folder: str) -> bool:
        try:
            facts = os.stat(folder)
        except OSError as error:  # it was removed
            self._not_walked(error)
            return False
        return self._new((facts.st_dev, facts.st_ino))

    def _new(self, identity: tuple[int, int] | str) -> bool:
        """Return whether a file or folder is found for the first time."""
        before = len(self._seen)
        self._seen.add(identity)
        return len(self._seen) > before

    def _not_walked(self, error: OSError) -> None:
        self.add_problem(str(error.filename), error.strerror or str(error))

    def _path(self, path: str, *, named: bool) -> None:
        try:
            facts = os.stat(path)
        except (OSError, ValueError):  # ValueError: the path contains a null
            facts = None
        if "://" in path and self._engine.reads_addresses:
            self._found.append(File(path, 0, named))
        elif facts is None or not stat.S_ISREG(facts.st_mode):  # a pipe can be read once
            self._open(path, named=named)
        elif self._new((facts.st_dev, facts.st_ino)):
            self._found.append(File(path, facts.st_size, named))

    def _open(self, path: str, *, named: bool) -> None:
        before = self._valid()
        try:
            with open(path, "rb") as file:
                self.read_file(path, file)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            self.add_problem(path, why + " (only --spark reads addresses)" * ("://" in path))
            return
        # In a folder, an empty file may be one that was just created by a rotation.
        has_problem = path in self._invalid.kept or path in self._unreadable.kept
        if named and self._valid() == before and not has_problem:
            self.add_problem(path, "no event and no report in it")

    def _valid(self) -> int:
        return self.events + self.machines.reports + self._others

    def read_file(self, path: str, file: io.BufferedReader) -> None:
        """Read an open file; ``path`` is its name in the report."""
        invalid: dict[str, int] = {}
        try:
            for line in documents.joined(_lines_of(file)):
                problem = self.take(line, path)
                if problem:
                    invalid[problem] = invalid.get(problem, 0) + 1
        except (EOFError, OSError, zlib.error) as error:
            self.add_problem(path, f"not read to its end: {error}")
        if invalid:
            self.add_invalid(path, invalid)
        self.add_file()

    def add_file(self) -> None:
        """Count a file that was read."""
        self.files += 1
        self._progress()

    def take(self, line: bytes, path: str) -> str:
        """Count an event; return what is wrong with a line that is not an event."""
        if len(line) > LONGEST and not _is_short(line):
            return TOO_LONG
        try:
            event = decode(line)
        except (ValueError, RecursionError, StopIteration):
            if not documents.ROW.match(line):
                return problem_of(line)
            return self._row(line, path)
        try:
            if event.get("schema") != SCHEMA or "tool" in event:
                return self.take_other(event, line, path)
            self.tally.take(event)
        except (AttributeError, TypeError, ValueError):
            return NO_EVENT
        self.events += 1
        return ""

    def _row(self, line: bytes, path: str) -> str:
        """Count a row of an SQL engine about lines that are not UTF-8; return what is wrong."""
        try:
            return self.take_other(json.loads(line.decode("utf-8", "surrogateescape")), line, path)
        except ValueError:
            return problem_of(line)

    def take_other(self, event: Any, line: bytes, path: str, times: int = 1) -> str:
        """Count what an object says that is no event of schema 1, and is in a file so many times.

        Return what is wrong with it.
        """
        try:
            if "tool" in event:
                return self.machines.take(event)
            if "missing" in event and "lines" in event:
                self._rows = self._rows or groups_of_lines()
                self._rows.take(event, path, times)
            elif event.get("schema") == condensed.SCHEMA:
                self.condensed.take(event, line, path, times)
            else:
                return OTHER_SCHEMA
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return NO_EVENT
        self._others += times
        return ""

    def add_invalid(self, path: str, problems: dict[str, int]) -> None:
        """Remember how many lines of a file have which problem."""
        known = self._invalid.kept.get(path)
        if known is None:
            self._invalid.put(path, dict(sorted(problems.items())))
            return
        summed = {**known, **{what: many + known.get(what, 0) for what, many in problems.items()}}
        known.clear()  # in the same order, whatever was found first
        known.update(sorted(summed.items()))

    def add_problem(self, path: str, why: str) -> None:
        """Remember why a file could not be read, or not to its end."""
        before = self._unreadable.kept.pop(path, why)
        self._unreadable.put(path, min(before, why))

    def _unnamed(self, _path: str, _problem: object) -> None:
        self.more += 1


def groups_of_lines() -> SqlRows:
    """Return an empty list of rows. Its module imports this one."""
    from tlsfloor.report.groups import SqlRows

    return SqlRows()


def _is_short(line: bytes) -> bool:
    """Return whether a line that is too long for an event is a report of a size that is read."""
    return len(line) <= documents.LONGEST and documents.is_document(line)


def _lines_of(file: io.BufferedReader) -> Iterator[bytes]:
    """Yield lines; of one that is too long, only as much as shows that."""
    if file.peek(2)[:2] == b"\x1f\x8b":
        file = io.BufferedReader(gzip.GzipFile(fileobj=file))
    read, most = file.readline, LONGEST + 1
    line = read(most)
    while line:
        if len(line) == most and documents.is_document(line):
            line += read(documents.LONGEST)
        yield line
        if len(line) >= most:
            while line and line[-1:] != b"\n":
                line = read(most)
        line = read(most)
