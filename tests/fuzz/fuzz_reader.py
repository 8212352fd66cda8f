"""Fuzz files of events: each line is counted once or is a problem, and the sums survive any order.

In full: a file of any bytes is read without an error, and each of its lines is an event, another
known line or a problem. The same lines in another order, or after one damaged line, give the same
sums. The output of ``--condense``, read again, gives the same sums; without one of its lines it has
a problem. A line counts as an event only if Python's ``json`` finds an object of schema 1 in it.
"""

from __future__ import annotations

import io
import json
import zlib

from tlsfloor.report import condensed
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import Tally

NOW = 1_800_000_000
TORN = b'{"schema": 1, "torn\n'


class Read:
    """A file that was read."""

    def __init__(self, data):
        self.tally = Tally()
        self.tally.latest = NOW
        self.files = EventFiles(self.tally)
        self.files.read_file("events.jsonl", io.BufferedReader(io.BytesIO(data)))
        self.files.finish()
        self.damaged = sum(sum(each.values()) for each in self.files.invalid.values())
        self.problems = self.files.problems()
        self.condensed = [*condensed.condensed_lines(self.tally, self.files, "host")]

    def sums(self):
        """Return what was counted, without the name of the file and the outputs in it."""
        facts = [json.loads(line) for line in self.condensed[:-1]]
        facts = [each for each in facts if each["kind"] not in ("problem", "sources")]
        return self.files.events, sorted(
            json.dumps({**each, "condensed": ""}, sort_keys=True) for each in facts
        )


def may_be_event(line):
    """Return whether a line is an object of schema 1."""
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("schema") == 1 and "tool" not in found


def is_plain(data):
    """Return whether each line is one for itself: there is no document of several, and no gzip."""
    is_document = any(len(line) <= 8 and b"{" in line for line in data.split(b"\n"))
    return not is_document and data[:2] != b"\x1f\x8b"


def one_input(data):
    """Check the invariant on one file."""
    read = Read(data)
    if b'"lines"' not in data and is_plain(data):  # else a line may be about several
        assert read.files.events <= sum(map(may_be_event, data.split(b"\n")))
    [again, less, after_damage, in_other_order][zlib.crc32(data) % 4](read, data)


def again(read, _data):
    """Read what is condensed."""
    found = Read("".join(read.condensed).encode())
    assert found.sums() == read.sums()
    assert found.damaged == read.damaged


def less(read, data):
    """Read what is condensed without one line."""
    lines = read.condensed
    if len(lines) > 1:
        del lines[len(data) % len(lines)]
        found = Read("".join(lines).encode())
        assert any("condensed output" in each for each in found.problems), found.problems


def after_damage(read, data):
    """Read a damaged line before all others."""
    if data[:2] != b"\x1f\x8b":
        found = Read(TORN + data)
        assert found.sums() == read.sums()
        assert found.damaged == read.damaged + 1


def in_other_order(read, data):
    """Read the lines from the last to the first."""
    if is_plain(data):
        lines = [*reversed(data.split(b"\n")), b""]
        assert Read(b"\n".join(lines)).sums() == read.sums()
