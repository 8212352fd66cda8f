"""The impact of a floor as text, for a terminal and for a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tlsfloor.errors import printable
from tlsfloor.report import phrases
from tlsfloor.report.changes import Changes
from tlsfloor.report.fleet import Fleet
from tlsfloor.report.impact import FLOORS, Impact
from tlsfloor.report.machines import KINDS
from tlsfloor.report.tally import NO, UNKNOWN, YES, Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Console

# Connections of a list, exemptions, and reasons for doubt. The page has more, the JSON all.
_FEW = 20

_COLOURS = {NO: "green", UNKNOWN: "yellow", "few": "yellow", YES: "red"}


class TextLine(NamedTuple):
    """A line: how far it is indented, its text, the part of it that has a style, and the style.

    ``code`` marks a line to paste, whose end must not move to another line.
    """

    indent: int
    text: str
    styled: str = ""
    style: str = "bold"
    code: bool = False


def report_text(impact: Impact) -> str:
    """Return the impact as text without colours, each line as long as it is."""
    return "".join(f"{' ' * line.indent}{line.text}".rstrip() + "\n" for line in _lines(impact))


def print_report(impact: Impact, console: Console) -> None:
    """Print the impact to a terminal, no wider than it is."""
    from rich.text import Text

    for line in _lines(impact):
        if line.code:
            console.print(Text(_folded(line, console.width)), soft_wrap=True)
            continue
        text = Text(line.text)
        text.stylize(line.style, 0, len(line.styled))
        parts = [text]
        if line.indent + text.cell_len > console.width:
            parts = list(text.wrap(console, max(console.width - line.indent - 2, 10)))
        for number, part in enumerate(parts):
            # What continues a line is indented further, so that its beginning stands out.
            console.print(Text(" " * (line.indent + 2 * (number > 0))).append_text(part))


def _folded(line: TextLine, width: int) -> str:
    r"""Return a command or a line of TOML in lines that fit, which mean the same when pasted.

    A shell ignores a backslash and the end of the line after it (POSIX, 2.2.1), and so does TOML
    within three quotes.
    """
    pad = " " * line.indent
    if line.indent + len(line.text) <= width:
        return pad + line.text
    key, is_toml, value = line.text.partition(' = "')
    if is_toml:
        before, value, after = f'{key} = """\\\n', value[:-1], '"""'
    else:
        command, _, value = line.text.rpartition(" ")
        before, after = f"{command} \\\n", ""
    size = max(width - len("\\" + after), 1)
    folded = "\\\n".join(value[at : at + size] for at in range(0, len(value), size))
    return pad + before + folded + after


def _lines(impact: Impact) -> Iterator[TextLine]:
    yield from _headlines(impact)
    doubts = impact.all_doubts()
    for doubt in doubts[:_FEW]:
        yield TextLine(0, f"in doubt: {printable(doubt)}", "in doubt:", "yellow")
    yield from _more(len(doubts), "json", 0, "in doubt:")
    yield TextLine(0, "")
    scopes = [", ".join(parts) for parts in impact.scopes()]
    yield from (TextLine(0, printable(text)) for text in (*scopes, impact.origin()))
    untimed = impact.tally.total("untimed")
    if untimed:
        yield TextLine(0, phrases.without_time(untimed))
    yield from _versions(impact)
    yield from _changes(impact.changes)
    yield from _fleet(impact.fleet, FLOORS[impact.floor])
    advised: set[str] = set()
    for name, rows in impact.lists.items():
        heading = impact.heading(name)
        if rows and heading:
            yield from _section(f"{heading}: {impact.size(name)}")
            advice = [sentence for sentence in phrases.advice(rows) if sentence not in advised]
            yield from (TextLine(2, sentence) for sentence in advice)
            advised.update(advice)
            for row in rows[:_FEW]:
                yield from _row_lines(impact, row, name)
            yield from _more(len(rows), "json")
    yield from _exemptions(impact)


def _exemptions(impact: Impact) -> Iterator[TextLine]:
    """Show an exemption for each server that the floor would break, if the operator needs it."""
    broken = impact.broken(impact.floor)
    found = dict.fromkeys(phrases.exemption(row, impact.created) for row in broken)
    # A handshake that failed does not say what its server accepts. Another one may have said it.
    named = {entry.partition("minimum")[0] for entry in found if 'minimum = ""' not in entry}
    entries = [
        entry
        for entry in found
        if entry and ('minimum = ""' not in entry or entry.partition("minimum")[0] not in named)
    ]
    if entries:
        yield from _section(
            "to keep a server reachable, add its entry to the file of TLSFLOOR_EXEMPTIONS:"
        )
    for entry in entries[:_FEW]:
        yield from (TextLine(2, text, code=True) for text in entry.split("\n"))
    yield from _more(len(entries), "html")


def _more(count: int, kind: str, indent: int = 2, label: str = "and") -> Iterator[TextLine]:
    if count > _FEW:
        yield TextLine(indent, f"{label} {count - _FEW:,} more, see --format {kind}")


def _section(heading: str) -> Iterator[TextLine]:
    yield TextLine(0, "")
    yield TextLine(0, heading, heading)


def _versions(impact: Impact) -> Iterator[TextLine]:
    table = [("version", "handshakes", "share", "last seen (UTC)")]
    for _, name, count, last in impact.versions():
        share = phrases.share(count, impact.total)
        table.append((name, f"{count:,}", share, phrases.moment(last)))
    if len(table) > 1:
        first, second, third = (max(len(row[at]) for row in table) for at in range(3))
        yield TextLine(0, "")
        for name, size, share, last_seen in table:
            yield TextLine(0, f"{name:{first}}  {size:>{second}}  {share:>{third}}  {last_seen}")


def _headlines(impact: Impact) -> Iterator[TextLine]:
    for name in impact.breaks if impact.has_events else ():
        text = impact.headline(name)
        yield TextLine(0, text, text, f"bold {_COLOURS[impact.tone(name)]}")
    if impact.fleet:
        text = impact.headlines()[-1]
        yield TextLine(0, text, text, f"bold {_COLOURS[impact.flagged[impact.floor]]}")


def _changes(changes: Changes | None) -> Iterator[TextLine]:
    """Show what changed since an earlier report."""
    if changes is None:
        return
    yield from _section(phrases.changes(changes))
    for each in changes.found[:_FEW]:
        what = printable(f"{each.how}: {each.kind} {each.name}")
        yield TextLine(2, what, what)
        yield TextLine(4, printable(", ".join(phrases.change(each))))
    yield from _more(len(changes.found), "json")
    if changes.silent:
        names = phrases.some(changes.silent, "machine")
        yield TextLine(2, printable(f"machines that were not heard of since: {names}"))
    if changes.partial:
        yield TextLine(2, phrases.NOT_COMPARED)


def _fleet(fleet: Fleet | None, floor: int) -> Iterator[TextLine]:
    """Show what is flagged on which machines, and who has to act."""
    for kind, heading in KINDS.items():
        entries = fleet.entries(kind, floor) if fleet else []
        if entries:
            yield from _section(heading)
        for entry in entries[:_FEW]:
            found = entry.finding
            what = printable(f"{found.verdict}: {found.name}")
            detail = f" ({printable(found.detail)})" if found.detail else ""
            yield TextLine(2, what + detail, what)
            if found.text:
                yield TextLine(4, printable(found.text))
            yield TextLine(4, printable(", ".join(phrases.place(found, entry.where(), entry.last))))
        yield from _more(len(entries), "json")


def _row_lines(impact: Impact, row: Row, listed: str) -> Iterator[TextLine]:
    what, program, peer = map(
        printable, (phrases.what(row), phrases.program(row), phrases.peer(row))
    )
    # The line mostly is in a file of the same name.
    where = printable(row.where)
    if not where.startswith(f"{program}:"):
        where = ", ".join(filter(None, (program, where)))
    where = " by ".join(filter(None, (where, printable(phrases.through(row)))))
    to = " " if row.role == "server" else " to "
    yield TextLine(2, f"{what}, {where}" + (to + peer if peer else ""), what)
    seen = f"{phrases.times([row])}, last {phrases.moment(row.last) or 'at an unknown time'}"
    machines = impact.machines(row)
    yield TextLine(4, printable(f"{seen}, on {machines}" if machines else seen))
    if row.exempted or row.text:
        yield TextLine(4, printable(row.exempted or row.text))
    command = phrases.command(row, listed)
    if command:
        yield TextLine(4, command, code=True)
