"""What a person reads of a verification. Everything is judged by now; this only writes."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlsfloor.verify.judge import SOUND, Launch
from tlsfloor.versions import FLOORS

#: The version of the JSON. It rises when a key changes its meaning or goes.
SCHEMA = 1


def as_dict(
    interpreter: str,
    floor: str,
    verdicts: dict[str, tuple[str, list[str]]],
    launches: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return a verification as JSON types: verdicts, reasons, and the evidence of each case."""
    return {
        "schema": SCHEMA,
        "interpreter": interpreter,
        "floor": floor,
        "verdicts": {
            name: {"verdict": verdict, "flagged": verdict not in SOUND, "reasons": reasons}
            for name, (verdict, reasons) in verdicts.items()
        },
        "launches": launches,
    }


def show(
    interpreter: str,
    launches: list[Launch],
    verdicts: dict[str, tuple[str, list[str]]],
    floor: int,
) -> None:
    """Print the table and the verdicts on the terminal; colours obey NO_COLOR."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table("accepts TLS", *(launch.name for launch in launches), box=None, pad_edge=False)
    outcomes: dict[str, dict[tuple[str, int], set[str]]] = {}
    for launch in launches:
        for result in launch.results:
            cell = (launch.name, result.case.version)
            outcomes.setdefault(result.case.subject, {}).setdefault(cell, set()).add(result.outcome)
    for subject, cells in outcomes.items():
        if set().union(*cells.values()) != {"absent"}:  # a library that is not there says nothing
            table.add_row(subject, *(_cell(cells, launch.name, floor) for launch in launches))
    if table.row_count:
        console.print(table)
        console.print()
    facts = next((launch.facts for launch in launches if launch.facts), {})
    known = [str(facts[name]) for name in ("implementation", "version", "openssl") if name in facts]
    console.print(Text(f"{interpreter}: {' '.join(known) or 'it did not say what it is'}"))
    for name, (verdict, reasons) in verdicts.items():
        style = "green" if verdict in SOUND else "bold red"
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        console.print(Text.assemble(f"{name}: ", (verdict, style), f": {reasons[0]}{more}"))


def _cell(cells: dict[tuple[str, int], set[str]], launch: str, floor: int) -> Text:
    """Return the versions that were accepted, with any kind of key exchange."""
    line = Text()
    for name, version in FLOORS.items():
        outcomes = cells.get((launch, version), {"absent"})
        if "accepted" in outcomes:
            line.append(f"{name} ", "bold red" if version < floor else "green")
        else:
            line.append("?   " if "inconclusive" in outcomes else "-   ", "yellow")
    return line
