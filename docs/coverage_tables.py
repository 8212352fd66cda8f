"""Write the tables of ``reference/stacks.md``: ``python docs/coverage_tables.py RESULTS.xml ...``.

The results are what ``pytest tests/stacks/test_stacks.py --junitxml=RESULTS.xml`` leaves, of one or
more interpreters. A stack of which a program failed, or that none showed, gets no line, and the
exit status says so.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

from tlsfloor.stacks import TABLE
from tlsfloor.stacks._coverage import ABOUT

PAGE = Path(__file__).parent / "reference" / "stacks.md"

#: Each table: what stands around it in the page -> its head.
TABLES = {
    "coverage": ("stack", "floor 1.2", "floor 1.3", "used by"),
    "evidence": ("stack", "tried", "proved by"),
}

# What is shown elsewhere: guard -> where.
ELSEWHERE = {"stdlib": "`test_clients` and others", "aioquic": "`test_stack_aioquic`"}


class Shown:
    """What the results show of one stack."""

    def __init__(self) -> None:
        self.tried: set[str] = set()
        self.programs: set[str] = set()
        self.failed = False


def read(path: str, shown: dict[str, Shown]) -> None:
    """Add what one file of results shows: stack -> its programs."""
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - written by our own tests
        facts = {each.get("name"): each.get("value", "") for each in case.iter("property")}
        if "row" not in facts:
            continue
        stack = shown[ABOUT[facts["row"]][0]]
        stack.failed |= case.find("failure") is not None or case.find("error") is not None
        stack.programs.add(f"`{facts['program']}`")
        stack.tried.update(facts["tried"].split(", "))


def replaced(page: str, name: str, rows: list[tuple[str, ...]]) -> str:
    """Return the page with these rows where the table of that name was."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.partition(begin)
    lines = [f"| {' | '.join(cells)} |\n" for cells in rows]
    return before + begin + "".join(lines) + end + rest.partition(end)[2]


def main(paths: list[str]) -> int:
    """Replace the tables of the page."""
    shown: dict[str, Shown] = defaultdict(Shown)
    for path in paths:
        read(path, shown)
    missing: set[str] = set()
    rows: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in TABLES}
    for row, (stack, users, coverage) in ABOUT.items():
        found = shown[stack]
        elsewhere = ELSEWHERE.get(TABLE[row].rpartition(".")[2], "")
        if found.failed or not (found.programs or elsewhere):
            missing.add(stack)
            continue
        programs = ", ".join(sorted(found.programs)) or elsewhere
        tried = ", ".join(sorted(found.tried, key=str.lower))
        rows["coverage"][stack] = (stack, coverage["1.2"], coverage["1.3"], users)
        rows["evidence"][stack] = (stack, tried, programs)
    page = PAGE.read_text("utf-8")
    for name, head in TABLES.items():
        page = replaced(page, name, [head, ("---",) * len(head), *rows[name].values()])
    PAGE.write_text(page, "utf-8")
    for stack in sorted(missing):
        print(f"error: {stack} was not shown", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
