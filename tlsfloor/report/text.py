"""An answer as text, for a terminal and for a file."""

from __future__ import annotations

from typing import NamedTuple

from tlsfloor.errors import printable
from tlsfloor.report import words
from tlsfloor.report.tally import NO, UNKNOWN, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from tlsfloor.report.answer import Answer
    from tlsfloor.report.tally import Row

# Connections of a list, exemptions, and reasons for doubt. The page has more, the JSON all.
_FEW = 20

_COLOURS = {NO: "green", UNKNOWN: "yellow", "few": "yellow", YES: "red"}


class TextLine(NamedTuple):
    """A line: how far it is indented, its text, how many characters of it have a style, and which.

    ``code`` marks a line to paste, whose end must not move to another line.
    """

    indent: int
    text: str
    styled: int = 0
    style: str = ""
    code: bool = False


def to_text(answer: Answer) -> str:
    """Return an answer without colours, each line as long as it is."""
    return "".join(f"{' ' * line.indent}{line.text}".rstrip() + "\n" for line in _lines(answer))


def show(answer: Answer, console: Console) -> None:
    """Print an answer to a terminal, no wider than it is."""
    from rich.text import Text

    for line in _lines(answer):
        if line.code:
            console.print(Text(_folded(line, console.width)), soft_wrap=True)
            continue
        text = Text(line.text)
        text.stylize(line.style, 0, line.styled)
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
    if ' = "' in line.text:
        key, _, value = line.text.partition(' = "')
        before, after = f'{pad}{key} = """\\\n', '"""'
        value = value[:-1]
    else:
        command, _, value = line.text.rpartition(" ")
        before, after = f"{pad}{command} \\\n", ""
    size = max(width - len("\\" + after), 1)
    return before + "\\\n".join(value[at : at + size] for at in range(0, len(value), size)) + after


def _lines(answer: Answer) -> Iterator[TextLine]:
    for name in answer.breaks:
        text = answer.headline(name)
        yield TextLine(0, text, len(text), f"bold {_COLOURS[answer.tone(name)]}")
    doubts = answer.all_doubts()
    for doubt in doubts[:_FEW]:
        yield TextLine(0, f"in doubt: {printable(doubt)}", len("in doubt:"), "yellow")
    if len(doubts) > _FEW:
        yield TextLine(0, f"in doubt: {len(doubts) - _FEW} more, see --format json")
    yield TextLine(0, "")
    yield TextLine(0, printable(", ".join(answer.scope())))
    yield TextLine(0, printable(answer.origin()))
    yield from _versions(answer)
    said: set[str] = set()
    for name in answer.lists:
        yield from _connections(answer, name, said)
    yield from _exemptions(answer)


def _versions(answer: Answer) -> Iterator[TextLine]:
    rows = [("version", "handshakes", "share", "last seen (UTC)")]
    rows += [
        (name, words.number(count), words.share(count, answer.total), words.moment(last))
        for name, count, last in answer.versions()
    ]
    if len(rows) > 1:
        first, second, third = (max(len(row[at]) for row in rows) for at in range(3))
        yield TextLine(0, "")
        for name, count, share, last in rows:
            yield TextLine(
                0, f"{name:{first}}  {count:>{second}}  {share:>{third}}  {last}".rstrip()
            )


def _connections(answer: Answer, name: str, said: set[str]) -> Iterator[TextLine]:
    rows, heading = answer.lists[name], answer.heading(name)
    if not rows or not heading:
        return
    heading = f"{heading}: {answer.size(name)}"
    yield TextLine(0, "")
    yield TextLine(0, heading, len(heading), "bold")
    for each in words.advice(rows):
        if each not in said:
            yield TextLine(2, each)
        said.add(each)
    for row in rows[:_FEW]:
        what = printable(words.what(row))
        yield TextLine(2, f"{what}, {_who(row)}", len(what), "bold")
        seen = f"{words.times([row])}, last {words.moment(row.last) or 'at an unknown time'}"
        machines = words.hosts(row)
        yield TextLine(4, printable(f"{seen}, on {machines}" if machines else seen))
        if row.exempted or row.text:
            yield TextLine(4, printable(row.exempted or row.text))
        command = words.command(row, name)
        if command:
            yield TextLine(4, command, code=True)
    if len(rows) > _FEW:
        yield TextLine(2, f"and {words.number(len(rows) - _FEW)} more, see --format json")


def _who(row: Row) -> str:
    """Return the program, its line, and the other side."""
    who, where = words.program(row), row.where
    # The line mostly is in a file of the same name.
    text = where if where.startswith(f"{who}:") else ", ".join(filter(None, (who, where)))
    text = " by ".join(filter(None, (text, words.through(row))))
    to, peer = " to " * (row.role != "server") or " ", words.peer(row)
    return printable(text + to + peer if peer else text)


def _exemptions(answer: Answer) -> Iterator[TextLine]:
    """Show an exemption for each server that a floor would cut off, as the operator may need it."""
    found = dict.fromkeys(words.exemption(row, answer.made) for row in answer.broken(answer.floor))
    entries = [each for each in found if each]
    if not entries:
        return
    heading = "to keep a server reachable, add its entry to the file of TLSFLOOR_EXEMPTIONS:"
    yield TextLine(0, "")
    yield TextLine(0, heading, len(heading), "bold")
    for entry in entries[:_FEW]:
        for line in entry.split("\n"):
            yield TextLine(2, line, code=True)
    if len(entries) > _FEW:
        yield TextLine(2, f"and {len(entries) - _FEW} more, see --format html")
