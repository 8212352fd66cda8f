"""What an answer is called in words, for a terminal and a page alike.

The texts of events are in them as they came: ``clean`` is for whoever shows them.
"""

from __future__ import annotations

import time

from tlsfloor import versions
from tlsfloor.errors import printable
from tlsfloor.report.tally import UNSEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.report.tally import Row


def number(count: int) -> str:
    """Write a number for people."""
    return f"{count:,}"


def kinds(rows: list[Row]) -> str:
    """Say how many kinds of connection these are, at least."""
    apart = sum(not row.rest for row in rows)
    more = "more than " if apart < len(rows) else ""
    return f"{more}{number(apart)} kind{'s' * (apart != 1)} of connection"


def times(rows: list[Row]) -> str:
    """Say how often they were seen."""
    count = sum(row.count for row in rows)
    return f"seen {number(count)} times" if count != 1 else "seen once"


def named(names: set[str]) -> str:
    """Name a few."""
    known = sorted(name or "an unnamed program" for name in names)
    more = f" and {number(len(known) - 3)} more" if len(known) > 3 else ""
    return ", ".join(known[:3]) + more


def moment(when: float, form: str = "%Y-%m-%d %H:%M") -> str:
    """Write a time, in UTC; nothing if it is unknown."""
    return time.strftime(form, time.gmtime(when)) if when else ""


def version(wire: int) -> str:
    """Name the version of a handshake."""
    return versions.name(wire) if wire else "unknown version"


def what(row: Row) -> str:
    """Say what happened, in a few words."""
    asked = f" from {versions.name(row.asked)}" if row.asked else ""
    would = "would be " if row.mode == "observe" else ""
    return {
        "handshake": version(row.version),
        "refused": f"{would}refused: {versions.name(row.asked)}" if row.asked else "refused",
        "failed": "handshake failed",
        "discarded": f"{would}discarded: {version(row.version)}",
        **dict.fromkeys(UNSEEN, f"not seen: {row.stack or 'a TLS stack'}"),
        "raised": f"{would}raised{asked}",
        "clamped": f"{would}clamped{asked}",
        "other": "of an unknown kind",
    }.get(row.kind, row.kind)


def who(row: Row) -> str:
    """Say which program it is."""
    return "others, not kept apart" if row.rest else row.program or "unnamed"


def towards(row: Row) -> str:
    """Say who is on the other side, or on which port a server serves everybody."""
    name = row.name or row.peer
    if row.role == "server":
        of = f" of {row.name}" if row.name else ""
        port = f" to port {row.port}" if row.port else ""
        return f"from {row.peer or 'clients'}{port}{of}"
    if ":" in name and row.port:
        name = f"[{name}]"  # RFC 3986 section 3.2.2
    return f"{name}:{row.port}" if row.port else name


def through(row: Row) -> str:
    """Say which library it went through, and which stack if that is not ``ssl``."""
    stack = "" if row.stack in ("ssl", row.library) or row.kind in UNSEEN else row.stack
    return ", ".join(filter(None, (row.library, stack)))


def hosts(row: Row) -> str:
    """Name the machines, or say how many there are."""
    known = sorted(each for each in row.hosts if each)
    more = " or more" if row.more_hosts else ""
    return ", ".join(known) if len(known) < 3 else f"{len(known)}{more} machines"


def clean(text: str) -> str:
    """Return a text of an event, or a path, as it can be shown."""
    return printable(text)
