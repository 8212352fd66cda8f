"""``tlsfloor bundle DIR``: a folder to mount into containers, which arms every Python there."""

from __future__ import annotations

import os
import sys

from tlsfloor.deploy import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", help="the folder: new, empty, or an older bundle")
    parser.add_argument(
        "--compile",
        action="append",
        default=[],
        metavar="PYTHON",
        help="another interpreter to have bytecode for, by path or by name: Pythons of its version "
        "start faster with the bundle then (may be repeated; this interpreter is always one)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make it, and print what goes on PYTHONPATH."""
    facts = bundle.bundle(arguments.folder, arguments.compile)
    print(os.path.join(os.path.abspath(arguments.folder), bundle.BOOTSTRAP))
    sys.stderr.write(f"tlsfloor {facts['tlsfloor']}\n")
    sys.stderr.write(f"bytecode for {', '.join(facts['bytecode'])}\n")
    return 0
