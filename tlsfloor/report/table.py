"""What a person reads of an answer in a terminal. Everything is judged by now; this only writes."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlsfloor.report import words
from tlsfloor.report.tally import NO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.report.answer import Answer
    from tlsfloor.report.tally import Row

# Rows of a list, and doubts: the page has more, and the JSON all.
_FEW = 20

# No terminal has so many columns.
_WIDE = 1000


def to_text(answer: Answer) -> str:
    """Return what ``show`` prints, without colours and as wide as it takes, for a file."""
    file = io.StringIO()
    show(answer, Console(file=file, width=_WIDE, highlight=False, soft_wrap=True))
    # Columns are filled up with blanks, to the right too.
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def show(answer: Answer, console: Console | None = None) -> None:
    """Print an answer: what was seen, what to act on, and what the floors come to.

    Colours obey NO_COLOR.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    _handshakes(console, answer)
    lists = answer.lists
    _rows(console, "floor 1.2 would break", lists["1.2"], "bold red")
    _rows(console, "floor 1.3 would break" + " as well" * bool(lists["1.2"]), lists["1.3"], "red")
    _rows(console, "could not be told", lists["unknown"], "yellow")
    _rows(console, "exemptions", lists["exempted"], "yellow")
    _rows(console, "changed by the floor, and not broken by it", lists["changed"], "")
    for name, breaks in answer.breaks.items():
        line = Text.assemble(
            f"floor {name} would break something: ",
            (breaks, "green" if breaks == NO else "bold red"),
            f": {answer.reason(name)}",
        )
        console.print(line)
    doubts = answer.doubts[answer.floor]
    for doubt in doubts[:_FEW]:
        console.print(Text(f"in doubt: {words.clean(doubt)}", "bold red"))
    if len(doubts) > _FEW:
        console.print(f"in doubt: {len(doubts) - _FEW} more, which --format json names")


def _handshakes(console: Console, answer: Answer) -> None:
    total = sum(answer.handshakes.values())
    table = _table("handshakes", "count", "share", "last seen (UTC)")
    for wire, count in sorted(answer.handshakes.items()):
        table.add_row(
            words.version(wire),
            words.number(count),
            f"{count / total:.1%}",
            words.moment(answer.last[wire]),
        )
    if table.row_count:
        console.print(table)
        console.print()


def _rows(console: Console, heading: str, rows: list[Row], style: str) -> None:
    if not rows:
        return
    table = _table("", "count", "program", "towards", "last seen (UTC)")
    for column in table.columns[2:4]:
        column.overflow = "fold"
    table.columns[4].no_wrap = True
    for row in rows[:_FEW]:
        table.add_row(
            Text(words.clean(words.what(row)), style),
            words.number(row.count),
            *(Text(words.clean(each)) for each in (_program(row), words.towards(row))),
            words.moment(row.last),
        )
    console.print(Text(heading, "bold"))
    console.print(table)
    if len(rows) > _FEW:
        more = words.number(len(rows) - _FEW)
        console.print(f"… and {more} more, which --format json names")
    console.print()


def _program(row: Row) -> str:
    """Name the program, and its line, which mostly is in a file of the same name."""
    who, line = words.who(row), row.where
    text = line if line.startswith(f"{who}:") else ", ".join(filter(None, (who, line)))
    return " by ".join(filter(None, (text, words.through(row))))


def _table(first: str, count: str, *more: str) -> Table:
    table = Table(first, box=None, pad_edge=False)
    table.add_column(count, justify="right")
    for each in more:
        table.add_column(each)
    return table
