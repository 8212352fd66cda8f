"""What a person reads of a verification. Everything is judged by now; this only writes."""

from __future__ import annotations

import io

from tlsfloor import versions
from tlsfloor.errors import printable
from tlsfloor.verifier.judge import SOUND
from tlsfloor.versions import FLOORS, SSL3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tlsfloor.verifier.examine import Examined, Report
    from tlsfloor.verifier.judge import Launch
else:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:  # as in a bundle, from which hellos can be exchanged
        from tlsfloor.verifier.plain import Console, Table, Text

# A table of cases is shown for each of so many interpreters, and for none of more.
_FEW = 3

# Characters of a reason in the summary: the JSON has all of it.
_REASON = 100

# No terminal has so many columns: what is not for one has a line for each interpreter.
_WIDE = 1000


def to_text(report: Report) -> str:
    """Return what ``show`` prints, without colours and as wide as it takes, for a file or a pipe.

    .. versionadded:: 0.1
    """
    file = io.StringIO()
    show(report, Console(file=file, width=_WIDE, highlight=False, soft_wrap=True))
    # Columns are filled up with blanks, to the right too.
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def show(report: Report, console: Console | None = None) -> None:
    """Print a report: a table of cases for each of a few interpreters, and a line for each of more.

    Colours obey NO_COLOR.

    .. versionadded:: 0.1
    """
    console = console or Console(highlight=False, soft_wrap=True)
    if len(report.examined) <= _FEW:
        for examined in report.examined:
            _show_cases(console, examined, report.floor)
            _show_libraries(console, report, examined)
            _show_exemptions(console, examined)
    if len(report.examined) > 1:
        _show_summary(console, report)
    for path, why in report.found.skipped.items():
        console.print(Text(printable(f"skipped: {path}: {why}")))
    for doubt in report.doubts:
        console.print(Text.assemble((printable(doubt), "bold red")))


def _show_cases(console: Console, examined: Examined, floor: int) -> None:
    # Of the launches with a flag a line below tells enough.
    launches = [each for each in examined.launches[1:] if not each.name.startswith("as deployed, ")]
    table = Table("accepts TLS", *(each.name for each in launches), box=None, pad_edge=False)
    outcomes: dict[str, dict[tuple[str, int], set[str]]] = {}
    for launch in launches:
        for result in launch.results:
            cell = (launch.name, result.case.version)
            cells = outcomes.setdefault(result.case.subject, {})
            cells.setdefault(cell, set()).add(result.outcome)
    for subject, cells in outcomes.items():
        if set().union(*cells.values()) != {"absent"}:  # a library that is not there says nothing
            table.add_row(subject, *(_cell(cells, launch, floor) for launch in launches))
    tried = {result.outcome for launch in launches for result in launch.results}
    if tried - {"absent", "inconclusive"}:  # else the reason below says it all
        console.print(table)
        console.print()
    known = [examined.fact(name) for name in ("implementation", "version", "openssl")]
    text = " ".join(filter(None, known)) or "it did not say what it is"
    console.print(Text(printable(f"{examined.interpreter.path}: {text}")))
    verdicts = {"as deployed": (examined.verdict, examined.reasons), **examined.more}
    for name, (verdict, reasons) in verdicts.items():
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        reason = reasons[0][len(name) + 2 :] if reasons[0].startswith(f"{name}: ") else reasons[0]
        text = printable(f": {reason}{more}")
        console.print(Text.assemble(f"{name}: ", (verdict, _style(verdict)), text))


def _show_exemptions(console: Console, examined: Examined) -> None:
    known = examined.deployed.facts.get("exemptions") if examined.deployed else None
    for each in known if isinstance(known, list) else ():
        words = "exempted: {host} down to {minimum} until {expires}: {reason}"
        try:
            text = words.format_map(each)
        except (KeyError, TypeError):  # it is an interpreter's word, which may be anything
            text = f"exempted: {each}"
        console.print(Text(printable(text)))


def _show_libraries(console: Console, report: Report, examined: Examined) -> None:
    floor = versions.floor_name(report.floor)
    lines: dict[str, list[str]] = {}
    for library in report.describe(examined.libraries):
        stack, names = library["stack"], library["implementation"].split(", ")
        name = f"{stack or library['path']}: {library['coverage']} at floor {floor}"
        if stack != "ssl":  # what that comes to is said by the cases
            known = lines.setdefault(name, [])
            known += [each for each in names if each not in known]
    for name, names in lines.items():
        console.print(Text(printable(f"beside ssl: {name}: {', '.join(names)}")))


def _cell(cells: dict[tuple[str, int], set[str]], launch: Launch, floor: int) -> Text:
    """Return the versions that were accepted, with any kind of key exchange."""
    line = Text()
    if "accepted" in cells.get((launch.name, SSL3), ()):
        line.append("SSLv3 ", "bold red")
    for name, version in FLOORS.items():
        outcomes = cells.get((launch.name, version), {"absent"})
        if "accepted" in outcomes:
            line.append(f"{name} ", "bold red" if version < floor else "green")
        else:
            line.append("?   " if "inconclusive" in outcomes else "-   ", "yellow")
    return line


def _show_summary(console: Console, report: Report) -> None:
    headings = ("interpreter", "version", "OpenSSL", "verdict", "first reason")
    table = Table(*headings, box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for each in report.examined:
        kind = "" if each.fact("implementation") == "CPython" else each.fact("implementation")
        reason = printable(each.reasons[0])
        table.add_row(
            Text(printable(each.interpreter.path)),
            Text(printable(f"{kind} {each.fact('version')}".strip())),
            # "OpenSSL 3.0.19 27 Jan 2026": the date is in the JSON.
            Text(printable(" ".join(each.fact("openssl").split()[:2]).replace("OpenSSL ", ""))),
            Text(each.verdict, _style(each.verdict)),
            Text(reason[:_REASON] + ("…" if len(reason) > _REASON else "")),
        )
    console.print()
    console.print(table)


def _style(verdict: str) -> str:
    return "green" if verdict in SOUND else "bold red"
