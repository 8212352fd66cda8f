"""Reads event files: passes events on, and counts and names the lines that are none.

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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

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
TORN = "cut off at the end"

_decode = json.JSONDecoder().decode


class Reading:
    """The files that were read, and what was wrong with them.

    Attributes:
        targets: the files and folders that were asked for.
        files: how many were opened.
        events: how many lines were events.
        bad: path -> problem -> how many lines of the file have it.
        unread: path -> why it could not be read, or not to its end.
        more: how many more files have problems.
    """

    __slots__ = ("_seen", "bad", "events", "files", "more", "targets", "unread")

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.files = 0
        self.events = 0
        self.bad: dict[str, dict[str, int]] = {}
        self.unread: dict[str, str] = {}
        self.more = 0
        self._seen: set[tuple[int, int] | str] = set()

    def read(self, targets: list[str], take: Callable[[dict[str, Any]], None]) -> None:
        """Read files, folders and ``-``, which is stdin; pass each event to ``take``.

        ``take`` raises TypeError or ValueError for what is not an event, and then has kept nothing
        of it. A file that is found twice is read once.
        """
        self.targets += ("stdin" if each == "-" else each for each in targets)
        for target in targets:
            if target == "-":
                self._stdin(take)
            elif os.path.isdir(target):
                self._folder(target, take)
            else:
                self._path(target, take, named=True)

    def _stdin(self, take: Callable[[dict[str, Any]], None]) -> None:
        if sys.stdin is None:  # in a service, for example
            self._problem("stdin", "it is closed")
        elif "-" not in self._seen:
            self._seen.add("-")
            with open(sys.stdin.fileno(), "rb", closefd=False) as file:
                self._file("stdin", file, take)

    def _folder(self, folder: str, take: Callable[[dict[str, Any]], None]) -> None:
        found = not self._new_folder(folder)
        for above, folders, names in os.walk(folder, onerror=self._unwalked, followlinks=True):
            below = [os.path.join(above, each) for each in sorted(folders)]
            # A symbolic link may lead to a folder above.
            folders[:] = [os.path.basename(each) for each in below if self._new_folder(each)]
            found = found or len(folders) < len(below)
            for path in (os.path.join(above, name) for name in sorted(names)):
                # Reading a pipe might never end. A broken link is a problem to report.
                if NAMES.search(path) and (os.path.isfile(path) or not os.path.exists(path)):
                    found = True
                    self._path(path, take, named=False)
        if not found:
            self._problem(folder, "no file in it ends in .jsonl or .json")

    def _new_folder(self, folder: str) -> bool:
        try:
            return self._new(os.stat(folder))
        except OSError as error:  # it was removed
            self._unwalked(error)
            return False

    def _new(self, facts: os.stat_result) -> bool:
        """Return whether a file or folder is found for the first time."""
        this = (facts.st_dev, facts.st_ino)
        new = this not in self._seen
        self._seen.add(this)
        return new

    def _unwalked(self, error: OSError) -> None:
        self._problem(str(error.filename), error.strerror or str(error))

    def _path(self, path: str, take: Callable[[dict[str, Any]], None], *, named: bool) -> None:
        try:
            with open(path, "rb") as file:
                facts = os.fstat(file.fileno())
                if stat.S_ISREG(facts.st_mode) and not self._new(facts):
                    return
                before = self.events
                self._file(path, file, take)
        except (OSError, ValueError) as error:  # ValueError: the path contains a null
            self._problem(path, getattr(error, "strerror", None) or str(error))
            return
        # In a folder, an empty file may be one that was just created by a rotation.
        if named and self.events == before and path not in self.bad and path not in self.unread:
            self._problem(path, "no event in it")

    def _file(
        self, path: str, file: io.BufferedReader, take: Callable[[dict[str, Any]], None]
    ) -> None:
        self.files += 1
        bad: dict[str, int] = {}
        try:
            for line in _lines(file):
                problem = self._line(line, take)
                if problem:
                    bad[problem] = bad.get(problem, 0) + 1
        except (EOFError, OSError, zlib.error) as error:
            self._problem(path, f"not read to its end: {error}")
        if bad and len(self.bad) < MOST_NAMED:
            self.bad[path] = bad
        elif bad:
            self.more += path not in self.unread

    def _line(self, line: bytes, take: Callable[[dict[str, Any]], None]) -> str:
        """Pass an event on; return what is wrong with a line that is not an event."""
        try:
            event = _decode(line.decode("utf-8"))
            if event.get("schema") != SCHEMA:
                return OTHER_SCHEMA
            take(event)
        except (AttributeError, TypeError, ValueError, RecursionError):
            return _wrong(line)
        self.events += 1
        return ""

    def _problem(self, path: str, why: str) -> None:
        if len(self.unread) < MOST_NAMED:
            self.unread[path] = why
        else:
            self.more += 1


def _wrong(line: bytes) -> str:
    """Return what is wrong with a line that is not an event; nothing if it is empty."""
    if len(line) > LONGEST:
        return TOO_LONG
    try:
        json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        problem = NOT_TEXT
    except (ValueError, RecursionError):
        problem = NOT_TEXT if b"\0" in line else NOT_JSON
    else:
        return NO_EVENT
    if not line.strip():
        return ""
    return problem if line[-1:] == b"\n" else TORN


def _lines(file: io.BufferedReader) -> Iterator[bytes]:
    """Yield lines; of one that is too long, only as much as shows that."""
    if file.peek(2)[:2] == b"\x1f\x8b":
        file = io.BufferedReader(gzip.GzipFile(fileobj=file))
    read, most = file.readline, LONGEST + 1
    line = read(most)
    while line:
        yield line
        if len(line) == most:
            while line and line[-1:] != b"\n":
                line = read(most)
        line = read(most)
