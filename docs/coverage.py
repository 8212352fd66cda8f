"""Write the coverage table of ``stacks.md``: ``python docs/coverage.py RESULTS.xml [...]``.

The results are what ``pytest tests/test_stacks.py --junitxml=RESULTS.xml`` leaves, of one or more
interpreters. A stack whose programs did not all pass gets no line, and the exit status says so.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tlsfloor.stacks import TABLE
from tlsfloor.stacks.about import ABOUT

PAGE = Path(__file__).with_name("stacks.md")
BEGIN, END = "<!-- coverage -->\n", "<!-- end of coverage -->\n"
HEAD = "| stack | used by | floor 1.2 | floor 1.3 | tried | proved by |\n" + "| --- " * 6 + "|\n"


def read(path: str) -> tuple[dict[str, set[str]], dict[str, set[str]], set[str]]:
    """Return guard -> versions tried, guard -> programs that passed, and guards with a failure."""
    tried: dict[str, set[str]] = {}
    programs: dict[str, set[str]] = {}
    failed = set()
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - written by our own tests
        facts = {each.get("name"): each.get("value", "") for each in case.iter("property")}
        match = re.search(r"stack_\w+", case.get("name", ""))
        if "stack" not in facts or match is None:
            continue
        guard = facts["stack"]
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(guard)
        else:
            tried.setdefault(guard, set()).update(facts["tried"].split(", "))
            programs.setdefault(guard, set()).add(match.group())
    return tried, programs, failed


def main(paths: list[str]) -> int:
    """Replace the table of the page."""
    tried: dict[str, set[str]] = {}
    programs: dict[str, set[str]] = {}
    failed = set()
    for path in paths:
        found, passed, broken = read(path)
        failed |= broken
        for into, more in ((tried, found), (programs, passed)):
            for guard, names in more.items():
                into.setdefault(guard, set()).update(names)
    lines, missing = {}, set()
    for row, (stack, users, coverage) in ABOUT.items():
        guard = TABLE[row].rpartition(".")[2]
        if guard in failed or (guard not in programs and guard != "stdlib"):
            missing.add(stack)
            continue
        own = sorted(programs.get(guard, ()))
        shown = ", ".join(f"`{each}`" for each in own) or "`test_clients` and others"
        versions = ", ".join(sorted(tried.get(guard, ()), key=str.lower)) or "see Support"
        cells = (stack, users, coverage["1.2"], coverage["1.3"], versions, shown)
        lines[stack] = f"| {' | '.join(cells)} |\n"
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + HEAD + "".join(lines.values()) + END + after, "utf-8")
    for stack in sorted(missing):
        print(f"error: {stack} was not shown", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
