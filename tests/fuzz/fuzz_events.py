"""Fuzz what events carry: of any name or text, one line is written that the report reads back.

In full: whatever a server, a program or a library is called, ``TLSFLOOR_EVENTS`` gets one line of
ASCII that ``report/reader`` counts as an event with these texts, and logging gets one line that
cannot move a cursor.

An input is a list of texts and numbers, as a program may hand them to ``ssl``: each ends with a
byte 255, and its first byte says which fact it is and of which type.
"""

from __future__ import annotations

import io
import json
import logging
import sys

from tlsfloor import _safe_open, events
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import Tally, shortened

#: Longer inputs reach no more code, and take longer.
MOST_BYTES = 400

FACTS = ("server_name", "peer", "port", "version", "stack", "role", "suite", "asked", "text")
KINDS = ("handshake", "armed", "refused", "exempted", "unknown")
TYPES = (str, bytes, bytearray, int, float, list)

# The next text is repeated.
LONG = b"\xfe"

lines: list[bytes] = []
logged: list[str] = []


class Handler(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record):
        logged.append(record.getMessage())


LOGGER = logging.getLogger("tlsfloor")
LOGGER.propagate = False
HANDLERS = [Handler(level=1)]
LOGGER.setLevel(1)

# In memory, because a file would make it several times slower.
_safe_open.write_nonblocking = lambda _, line: lines.append(line) or len(line)
events.file = "-"


def value_of(kind, data):
    """Return a value of a type."""
    if kind is int or kind is float:
        return kind(int.from_bytes(data[:9], "big", signed=True))
    if kind is str:
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "surrogateescape")
    return kind(data)


def one_input(data):
    """Check the invariant on one event."""
    kind, *parts = data.split(b"\xff")
    facts, times = {"stack": "ssl"}, 1
    for part in parts:
        if part:
            what, which = divmod(part[0], 16)
            if which < len(FACTS):
                text = (part[1:] * times)[:20_000]
                facts[FACTS[which]] = value_of(TYPES[what % len(TYPES)], text)
            times = 20_000 if part == LONG else 1
    kind = KINDS[len(kind) % len(KINDS)]
    for left in (lines, logged, events._counts, events.failures):
        left.clear()
    sys.argv[0] = str(facts.get("text", ""))
    is_long = LONG in parts
    LOGGER.handlers = [] if is_long else HANDLERS  # a long text takes seconds
    events.note(kind, **facts)
    assert not events.failures, events.failures
    [line] = lines
    assert line.isascii() and line.endswith(b"\n") and line.count(b"\n") == 1, line
    tally = Tally()
    files = EventFiles(tally)
    files.read_file("events.jsonl", io.BufferedReader(io.BytesIO(line)))
    assert (files.events, files.invalid) == (1, {}), files.problems()
    [row] = tally.rows.values()
    found, event = row.facts(), json.loads(line)
    for name, value in facts.items():
        if type(value) is str and name not in ("version", "asked", "role", "peer", "port"):
            assert found[name] == shortened(value) or len(value) > 200, (name, value)
            assert found[name][:200] == value[:200]
    assert event["kind"] == kind
    assert len(logged) == (not is_long)
    assert all(text.isprintable() for text in logged), logged
