"""``tlsfloor install``: a start-up file that arms every Python of an environment, for good."""

from __future__ import annotations

import sys

from tlsfloor import policy
from tlsfloor.cli import tell
from tlsfloor.deploy import install

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--floor", default="1.2", help="1.2 or 1.3 (default: 1.2)")
    parser.add_argument(
        "--on-error",
        choices=policy.OUTCOMES,
        default="block",
        help="what becomes of a process in which the floor cannot be held (default: block)",
    )
    whose(parser)
    dry_run(parser)
    parser.add_argument(
        "--break-system-packages",
        action="store_true",
        help="also where the system's package manager forbids it, as pip has it",
    )


def whose(parser: argparse.ArgumentParser) -> None:
    """Declare the options that name an environment."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--prefix",
        metavar="DIR",
        help="an environment, by its folder (default: the one that this command runs in)",
    )
    group.add_argument(
        "--system",
        action="store_true",
        help="the Python that this virtual environment was made from",
    )


def dry_run(parser: argparse.ArgumentParser) -> None:
    """Declare the option that changes nothing."""
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing, and show what would be changed"
    )


def say_where(interpreter: str, *, system: bool) -> None:
    """Say which Python is meant, where that is not the environment that runs this."""
    if system and sys.prefix != sys.base_prefix:
        tell(
            f"--system is {interpreter}, from which {sys.prefix} was made: this is for every "
            f"program of it and environments with --system-site-packages, not for {sys.prefix}"
        )


def run(arguments: argparse.Namespace) -> int:
    """Write the files, and show where they are."""
    floor = policy.floor_of(arguments.floor, "--floor")
    interpreter = install.interpreter_of(arguments.prefix, system=arguments.system)
    paths = install.install(
        interpreter,
        floor,
        arguments.on_error,
        anyway=arguments.break_system_packages,
        dry_run=arguments.dry_run,
    )
    say_where(interpreter, system=arguments.system)
    for path in paths:
        tell(f"{'would write' if arguments.dry_run else 'wrote'} {path}")
    would = "would start" if arguments.dry_run else "starts"
    tell(f"{interpreter} {would} with floor {arguments.floor}")
    return 0
