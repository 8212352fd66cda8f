"""Write a start-up file into the site directory of an environment.

Every Python of that environment then starts with the floor, also with the options -E and -I.

Examples:
  $ tlsfloor install --floor 1.3
      into the environment that runs this command
  $ tlsfloor install --prefix .venv --dry-run
      show what would be written

Exit statuses:
  0     the floor is installed
  2     the call was wrong, or it cannot be installed
"""

from __future__ import annotations

import argparse
import sys

from tlsfloor import policy, versions
from tlsfloor.cli import floor_option, on_error_option, quiet_option, tell
from tlsfloor.deploy import startup_files


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    floor_option(parser)
    on_error_option(parser, "block")
    environment_options(parser)
    parser.add_argument(
        "--break-system-packages",
        action="store_true",
        help="also install into an environment that the system's package manager manages, as with "
        "pip",
    )
    quiet_option(parser, "do not print the files")


def environment_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that ``install`` and ``uninstall`` share."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--prefix",
        metavar="DIR",
        help="the folder of the environment (default: the one that this command runs in)",
    )
    group.add_argument(
        "--system",
        action="store_true",
        help="the Python from which this virtual environment was made",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing, and show what would be changed"
    )


def tell_environment(interpreter: str, *, system: bool) -> None:
    """Print which Python is changed, if it is not that of the environment that runs this."""
    if system and sys.prefix != sys.base_prefix:
        tell(
            f"--system is {interpreter}, from which {sys.prefix} was made: this is for every "
            f"program of it and environments with --system-site-packages, not for {sys.prefix}"
        )


def run(arguments: argparse.Namespace) -> int:
    """Write the files, and print their names."""
    floor = policy.floor_of(arguments.floor, "--floor")
    interpreter = startup_files.find_interpreter(arguments.prefix, system=arguments.system)
    paths = startup_files.install_files(
        interpreter,
        floor,
        arguments.on_error,
        even_if_managed=arguments.break_system_packages,
        dry_run=arguments.dry_run,
    )
    if not arguments.quiet:
        tell_environment(interpreter, system=arguments.system)
        for path in paths:
            tell(f"{'would write' if arguments.dry_run else 'wrote'} {path}")
        starts = "would start" if arguments.dry_run else "starts"
        tell(f"{interpreter} {starts} with floor {versions.floor_name(floor)}")
    return 0
