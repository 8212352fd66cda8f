"""List the TLS libraries of this environment or a folder, and what covers each of them.

Examples:
  $ tlsfloor stacks
      where this interpreter finds its packages
  $ tlsfloor stacks .venv --floor 1.3 --json
      another environment, as JSON

Exit statuses:
  0     all libraries that were found are covered
  1     one is not covered, or a file could not be read
  2     the call was wrong; nothing was done
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter

from tlsfloor import stacks, versions
from tlsfloor.cli import JSON_SCHEMA, floor_option, json_option, quiet_option, tell
from tlsfloor.cli._evidence import about_run
from tlsfloor.errors import VerifyError
from tlsfloor.inventory import libraries
from tlsfloor.inventory.identity import with_identity
from tlsfloor.policy import floor_of
from tlsfloor.stacks import _coverage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADINGS = {"coverage": "COVERAGE", "stack": "STACK", "implementation": "TLS", "path": "FILE"}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="a folder, such as a virtual environment (default: where this interpreter finds "
        "packages)",
    )
    floor_option(parser)
    json_option(parser)
    quiet_option(parser, "print nothing: the exit status is the answer")


def run(arguments: argparse.Namespace) -> int:
    """Search and report; return 0 if all that was found is covered and could be read, else 1."""
    floor = versions.floor_name(floor_of(arguments.floor, "--floor"))
    if arguments.path is not None and not os.path.isdir(arguments.path):
        raise VerifyError(f"{arguments.path} is not a folder", hint="tlsfloor stacks .venv")
    if arguments.path is None:
        folders, found, unreadable = libraries.installed(sys.path, os.path.dirname(os.__file__))
    else:
        folders = [arguments.path]
        found, unreadable = libraries.search_folder(arguments.path)
    described = _coverage.describe(found, _coverage.coverage(floor))
    not_covered = [library for library in described if not is_covered(library)]
    if arguments.quiet:
        pass
    elif arguments.json:
        facts = {"schema": JSON_SCHEMA, **about_run(), "floor": floor, "evidence": "files"}
        known = {"libraries": with_identity(described), "unreadable": unreadable}
        print(json.dumps({**facts, "searched": folders, **known}, indent=2))
    else:
        report(described, unreadable, floor, folders)
    return 1 if not_covered or unreadable else 0


def report(
    described: list[dict[str, Any]], unreadable: dict[str, str], floor: str, folders: list[str]
) -> None:
    """Print the report as text."""
    if described:
        show(described)
    for path, reason in unreadable.items():
        tell(f"cannot be read: {path}: {reason}")
    if described:
        tell("")
        counts = Counter(library["coverage"] for library in described)
        kinds = ", ".join(f"{count} {coverage}" for coverage, count in counts.most_common())
        held = "whether a floor is set here: tlsfloor status"
        noun = "library" if len(described) == 1 else "libraries"
        tell(f"with floor {floor}: {len(described)} TLS {noun}: {kinds} ({held})")
    else:
        tell(f"no TLS library in {', '.join(folders)}")


def is_covered(library: dict[str, Any]) -> bool:
    """Return whether the floor holds on a library, whichever stack uses it."""
    return set(library["coverage"].split(", ")) <= set(stacks.COVERED)


def show(described: list[dict[str, Any]]) -> None:
    """Print a table, with the libraries that are not covered first."""
    rows = [HEADINGS, *sorted(described, key=is_covered)]
    widths = [max(len(row[key]) for row in rows) for key in HEADINGS]
    for row in rows:
        cells = (row[key].ljust(width) for key, width in zip(HEADINGS, widths))
        tell("  ".join(cells).rstrip())
