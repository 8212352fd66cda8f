"""``tlsfloor stacks [PATH]``: the TLS implementations of an environment, and what covers them."""

from __future__ import annotations

import json
import os
import sys

from tlsfloor import stacks, versions
from tlsfloor.cli import JSON_SCHEMA, tell
from tlsfloor.errors import VerifyError
from tlsfloor.inventory import libraries
from tlsfloor.policy import floor_of
from tlsfloor.stacks import _coverage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="a folder, such as a virtual environment (default: where this interpreter finds "
        "packages)",
    )
    parser.add_argument("--floor", default="1.2", help="1.2 or 1.3 (default: 1.2)")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Search and report; 0 when all that was found is covered and all could be read, else 1."""
    floor = versions.floor_name(floor_of(arguments.floor, "--floor"))
    if arguments.path is not None and not os.path.isdir(arguments.path):
        raise VerifyError(f"{arguments.path} is not a folder", hint="tlsfloor stacks .venv")
    if arguments.path is None:
        folders, found, unread = libraries.installed(sys.path, os.path.dirname(os.__file__))
    else:
        folders = [arguments.path]
        found, unread = libraries.search(arguments.path)
    described = _coverage.describe(found, _coverage.coverage(floor))
    if arguments.json:
        facts = {"schema": JSON_SCHEMA, "floor": floor, "searched": folders}
        print(json.dumps({**facts, "libraries": described, "unread": unread}, indent=2))
    else:
        for each in described:
            tell("{path}: {holds}: {coverage}".format(**each) + _of(each["stack"]))
        for path, why in unread.items():
            tell(f"not read: {path}: {why}")
        if not described:
            tell(f"no implementation of TLS in {', '.join(folders)}")
    covered = all(set(each["coverage"].split(", ")) <= set(stacks.COVERED) for each in described)
    return 0 if covered and not unread else 1


def _of(stack: str) -> str:
    return f" as {stack}" if stack else ""
