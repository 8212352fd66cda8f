"""Finds the reports of machines among the lines of files.

The commands print their JSON in many lines. The first is ``{``, the last is ``}``, and all between
them are indented. So such a document is found in any file, also between events or other documents,
and it becomes one line. One that is cut short ends where the next line begins with ``{``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Bytes of a report. That of ``verify`` on one interpreter has 500,000 at most, and each further
#: virtual environment of the same runtime adds 20,000.
LONGEST = 64 * 1024 * 1024

#: White space, and the mark that some editors put at the beginning of a file.
_AROUND = b"\xef\xbb\xbf \t\r\n"

_BEGIN = re.compile(
    rb'[\xef\xbb\xbf\s]*\{\s*"(schema":\s*\d+,\s*"tool"|\$schema"|bomFormat"|key":)'
)
#: The begin of a row that an SQL engine wrote: a line of events is in it.
ROW = re.compile(rb'\{"key":')


def is_document(line: bytes) -> bool:
    """Return whether a line may be longer than an event: a report, or a row of an SQL engine."""
    return line[:8].strip(_AROUND) == b"{" or _BEGIN.match(line[:200]) is not None


def joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines, and each document of many lines as one."""
    for line in lines:
        if len(line) > 8 or line.strip(_AROUND) != b"{":
            yield line
            continue
        following: bytes | None = line
        while following is not None:
            document, following = _document(following, lines)
            yield document
            if following is not None and following.strip(_AROUND) != b"{":
                yield following
                following = None


def _document(first: bytes, lines: Iterator[bytes]) -> tuple[bytes, bytes | None]:
    """Return a document, and the line that ended it early, if any."""
    parts, size = [first.lstrip(_AROUND)], 0
    for line in lines:
        if line[:1] == b"{":
            return b"".join(parts), line
        if size <= LONGEST:  # what follows is not kept
            parts.append(line)
            size += len(line)
        if line[:1] == b"}":
            break
    return b"".join(parts), None
