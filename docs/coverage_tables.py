"""Write the tables of ``reference/stacks.md``: ``python docs/coverage_tables.py RESULTS.xml ...``.

``pytest tests/stacks/test_stacks.py --junitxml=RESULTS.xml`` writes the results, for one or more
interpreters. A stack gets no line if one of its programs failed, or if it has none; the exit status
is then 1.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

from tlsfloor.stacks import TABLE
from tlsfloor.stacks._coverage import ABOUT

PAGE = Path(__file__).parent / "reference" / "stacks.md"

#: The marks around each table in the page -> the head of the table.
TABLES = {
    "coverage": ("stack", "floor 1.2", "floor 1.3", "used by"),
    "evidence": ("stack", "tried", "proved by"),
}

# Guards whose evidence is another test.
ELSEWHERE = {"stdlib": "`test_clients` and others", "aioquic": "`test_stack_aioquic`"}


class Evidence:
    """The results of one stack."""

    def __init__(self) -> None:
        self.tried: set[str] = set()
        self.programs: set[str] = set()
        self.failed = False


def read(path: str, evidence: dict[str, Evidence]) -> None:
    """Add the results of one file to the evidence of each stack."""
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - written by our own tests
        facts = {item.get("name"): item.get("value", "") for item in case.iter("property")}
        if "row" not in facts:
            continue
        stack = evidence[ABOUT[facts["row"]][0]]
        stack.failed |= case.find("failure") is not None or case.find("error") is not None
        stack.programs.add(f"`{facts['program']}`")
        stack.tried.update(facts["tried"].split(", "))


def replaced(page: str, name: str, rows: list[tuple[str, ...]]) -> str:
    """Return the page with these rows in the table of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.partition(begin)
    lines = [f"| {' | '.join(cells)} |\n" for cells in rows]
    return before + begin + "".join(lines) + end + rest.partition(end)[2]


def main(paths: list[str]) -> int:
    """Replace the tables of the page."""
    evidence: dict[str, Evidence] = defaultdict(Evidence)
    for path in paths:
        read(path, evidence)
    missing: set[str] = set()
    rows: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in TABLES}
    for row, (stack, users, coverage) in ABOUT.items():
        found = evidence[stack]
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
        print(f"error: no evidence for {stack}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
