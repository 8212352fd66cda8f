"""Make a folder that arms every Python that it is mounted for, from 2.7 on.

An older bundle is replaced while containers run from it.

Examples:
  $ tlsfloor bundle /opt/tlsfloor
      make the folder, or replace the bundle in it
  $ tlsfloor bundle dist --compile python3.13
      start faster in Python 3.13, too

Exit statuses:
  0     the bundle was made; stdout is the folder for PYTHONPATH
  2     the call was wrong, or it cannot be made; the folder is as it was
"""

from __future__ import annotations

import argparse
import os

from tlsfloor.cli import quiet_option
from tlsfloor.cli._progress import progress
from tlsfloor.deploy import bundle_folder
from tlsfloor.errors import say


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder", metavar="DIR", help="the folder: a new one, an empty one or an older bundle"
    )
    parser.add_argument(
        "--compile",
        action="append",
        default=[],
        metavar="PYTHON",
        help="an interpreter, by path or by name, to make bytecode for: Pythons of its version "
        "then start faster. May be repeated. There is always bytecode for this interpreter",
    )
    quiet_option(parser, "show no progress, and do not print on stderr what is in the bundle")


def run(arguments: argparse.Namespace) -> int:
    """Make the bundle, and print what goes on PYTHONPATH."""
    pythons = arguments.compile
    with progress("Pythons compiled", len(pythons) + 1, quiet=arguments.quiet) as advance:
        facts = bundle_folder.make_bundle(arguments.folder, pythons, advance)
    print(os.path.join(os.path.abspath(arguments.folder), bundle_folder.BOOTSTRAP))
    if not arguments.quiet:
        say(f"tlsfloor {facts['tlsfloor']}")
        say(f"bytecode for {', '.join(facts['bytecode'])}")
    return 0
