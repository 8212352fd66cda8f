"""Write the table of ``reference/stacks.md``: ``python docs/coverage.py RESULTS.xml [...]``.

The results are what ``pytest tests/test_stacks.py --junitxml=RESULTS.xml`` leaves, of one or more
interpreters. A stack of which a program failed, or that none showed, gets no line, and the exit
status says so.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

from tlsfloor.stacks import TABLE
from tlsfloor.stacks.about import ABOUT

PAGE = Path(__file__).parent / "reference" / "stacks.md"
BEGIN, END = "<!-- coverage -->\n", "<!-- end of coverage -->\n"
HEAD = "| stack | used by | floor 1.2 | floor 1.3 | tried | proved by |\n" + "| --- " * 6 + "|\n"

# What is shown elsewhere: guard -> where.
ELSEWHERE = {"stdlib": "`test_clients` and others", "named": "`test_stack_named`"}


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


def main(paths: list[str]) -> int:
    """Replace the table of the page."""
    shown: dict[str, Shown] = defaultdict(Shown)
    for path in paths:
        read(path, shown)
    lines, missing = {}, set()
    for row, (stack, users, coverage) in ABOUT.items():
        found = shown[stack]
        elsewhere = ELSEWHERE.get(TABLE[row].rpartition(".")[2], "")
        if found.failed or not (found.programs or elsewhere):
            missing.add(stack)
            continue
        programs = ", ".join(sorted(found.programs)) or elsewhere
        tried = ", ".join(sorted(found.tried, key=str.lower))
        cells = (stack, users, coverage["1.2"], coverage["1.3"], tried, programs)
        lines[stack] = f"| {' | '.join(cells)} |\n"
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + HEAD + "".join(lines.values()) + END + after, "utf-8")
    for stack in sorted(missing):
        print(f"error: {stack} was not shown", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
