"""The phrases of a report, for the terminal and the page.

They contain texts of events unchanged: pass them through ``printable`` before they are displayed.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable

from tlsfloor import versions
from tlsfloor.report.changes import Change, Changes
from tlsfloor.report.machines import Finding
from tlsfloor.report.sums import Smallest
from tlsfloor.report.tally import ATTEMPTED, UNSEEN, Row

#: Up to this many machines are named; of more, only the number is given.
FEW = 5

#: Said of an incomplete comparison.
NOT_COMPARED = "connections that are summed, and machines beyond 50,000, were not compared"

#: What to do about events of a kind, or of a kind and a role.
ADVICE = {
    "handshake client": "These programs are clients. Run the command below: it shows whether to "
    "change the program or the server.",
    "handshake server": "These programs are servers. Update the clients that connect to them.",
    "handshake": "Update the side that does not support a newer version.",
    "refused": "These programs ask for this version only. Remove that setting.",
    "failed": "These peers accept no version at or above the floor. Update or exempt them.",
    "discarded": "These connections were closed before they carried data.",
    "uncovered": "Run the command below: it shows what can hold a floor on this library.",
    "unknown": "tlsfloor does not know this library and holds no floor on it.",
}

# A host that is safe in a command and in TOML: it has only characters that neither a shell nor TOML
# treats specially, and does not begin as an option does. An IPv6 address has a colon.
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", re.ASCII)


def plural(amount: str, noun: str) -> str:
    """Return an amount and its noun: ``1 machine``, ``2 machines``."""
    return f"{amount} {noun}{'s' * (amount != '1')}"


def many(count: int, noun: str) -> str:
    """Return a number and its noun."""
    return plural(f"{count:,}", noun)


def without_time(count: int) -> str:
    """Return how many lines have a time that cannot be used."""
    return f"{many(count, 'line')} without a valid time (missing, before 2020 or in the future)"


def number_of(names: Smallest) -> str:
    """Return the number of names, of which no more than a limit are kept."""
    return "more than " * names.more + f"{len(names.kept):,}"


def times(rows: list[Row]) -> str:
    """Return how often rows were seen."""
    count = sum(row.count for row in rows)
    return "seen once" if count == 1 else f"seen {count:,} times"


def share(count: int, total: int) -> str:
    """Return a percentage. It is 0% only for none and 100% only for all."""
    part = count / total
    if part in (0, 1):
        return f"{part:.0%}"
    if part < 0.0005:
        return "<0.1%"
    return ">99.9%" if part >= 0.9995 else f"{part:.1%}"


def amount(rows: list[Row]) -> str:
    """Return how many connections rows are; where some rows are sums, how many at least."""
    apart = sum(not row.rest for row in rows)
    return "more than " * (apart < len(rows)) + f"{apart:,}"


def connections(rows: list[Row], noun: str = "connection") -> str:
    """Return how many connections rows are, with the noun."""
    return plural(amount(rows), noun)


def some(names: Iterable[str], noun: str) -> str:
    """Return the names where they are few, and else the first ones and the number of the others."""
    known = sorted(name or f"an unnamed {noun}" for name in names)
    if len(known) > FEW:
        known[3:] = [f"{len(known) - 3:,} more"]
    return " and ".join(filter(None, (", ".join(known[:-1]), *known[-1:])))


def hosts(row: Row) -> str:
    """Return the names of a row's machines where they are few, and else their number."""
    if len(row.hosts) > FEW:
        return "more than " * row.more_hosts + many(len(row.hosts), "machine")
    return some(row.hosts, "machine")


def changes(found: Changes) -> str:
    """Return how much changed, and since when."""
    amounts = ", ".join(f"{count:,} {how}" for how, count in found.amounts().items() if count)
    since = found.since.replace("T", " ")[:16]
    return f"since the report of {since} UTC: {amounts or 'nothing has changed'}"


def change(found: Change) -> list[str]:
    """Return where something changed, what it is now, and what it was."""
    was = found.before and f"{'was ' if found.now else 'it was '}{found.before}"
    return [each for each in (found.where and f"on {found.where}", found.now, was) if each]


def place(finding: Finding, machines: str, last: float) -> list[str]:
    """Return where something was found, whose it is, and when it was reported."""
    return [
        f"on {machines}",
        *([f"owner {finding.owner}"] if finding.owner else []),
        *([f"image {finding.image}"] if finding.image else []),
        f"reported {moment(last) or 'at an unknown time'}",
    ]


def moment(when: float, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return a time in UTC; an empty text if it is unknown."""
    return time.strftime(form, time.gmtime(when)) if when else ""


def version(wire: int) -> str:
    """Return the name of the version of a handshake."""
    return versions.name(wire) if wire else "unknown version"


def what(row: Row) -> str:
    """Return what happened, in a few words."""
    asked = f" from {versions.name(row.asked)}" if row.asked else ""
    would = "would be " if row.mode == "observe" else ""
    was = "would be" if row.mode == "observe" else "was"
    below_floor = versions.name(row.asked) if row.asked else "a version below the floor"
    return {
        "handshake": version(row.version),
        "refused": f"{would}refused: {versions.name(row.asked)}" if row.asked else "refused",
        "failed": "handshake failed",
        "discarded": f"{would}discarded: {version(row.version)}",
        **dict.fromkeys(UNSEEN, f"not visible: {row.stack or 'a TLS library'}"),
        "raised": f"{would}raised{asked}",
        "clamped": f"asked for {below_floor}, which {was} raised to the floor",
        "exempted": "exemption used",
        "unexempted": "exemption does not apply",
        "other": "unknown kind of event",
    }.get(row.kind, row.kind)


def program(row: Row) -> str:
    """Return which program it is."""
    return "others, summed" if row.rest else row.program or "unnamed"


def peer(row: Row) -> str:
    """Return the other side of a connection: a server, or the clients of a server's port."""
    name = row.name or row.peer
    if row.role == "server":
        of = f" of {row.name}" if row.name else ""
        port = f" on port {row.port}" if row.port else ""
        return f"from {row.peer or 'clients'}{port}{of}"
    return _host_port(name, row.port) if row.port else name


def _host_port(host: str, port: object) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"  # RFC 3986 section 3.2.2


def through(row: Row) -> str:
    """Return the library that the program called, and the TLS stack if it is not ``ssl``."""
    stack = "" if row.stack in ("ssl", row.library) or row.kind in UNSEEN else row.stack
    return ", ".join(filter(None, (row.library, stack)))


def advice(rows: list[Row]) -> list[str]:
    """Return what to do about rows, each sentence once."""
    kinds = [(row.kind, f"{row.kind} {row.role}") for row in rows if not row.exempted]
    found = (ADVICE.get(exact) or ADVICE.get(kind) for kind, exact in kinds)
    return list(dict.fromkeys(filter(None, found)))


def command(row: Row, listed: str) -> str:
    """Return the command to run next about a row of a list; empty if there is none.

    A port that is not known is written PORT, since the check would assume 443.
    """
    if row.kind in UNSEEN:
        return "tlsfloor stacks"
    host = _client_of(row)
    option = " --floor 1.3" if listed == "1.3" else ""
    target = shlex.quote(_host_port(host, row.port or "PORT"))
    return f"tlsfloor check{option} {target}" if host else ""


def exemption(row: Row, today: float) -> str:
    """Return the exemption for the server of a row, in TOML; empty if none can help.

    It does not apply until the operator has written a reason. The minimum is left empty too if the
    event does not contain it.
    """
    host = _client_of(row)
    minimum = versions.floor_name(row.version) if row.version else ""
    if not host or row.stack not in ("", "ssl") or minimum not in ("", *versions.FLOORS):
        return ""
    port = f"port = {row.port}\n" if row.port else ""
    required = "" if minimum else "  # required"
    return (
        f'[[exemption]]\nhost = "{host}"\n{port}minimum = "{minimum}"{required}\n'
        f'reason = ""  # required\nexpires = {moment(today + 90 * 86400, "%Y-%m-%d")}'
    )


def _client_of(row: Row) -> str:
    """Return the server to which a row's program is a client, if it can be named safely."""
    host = row.name or row.peer
    is_client = row.role == "client" and row.kind in ATTEMPTED and not row.exempted
    return host if is_client and _HOST.fullmatch(host) else ""
