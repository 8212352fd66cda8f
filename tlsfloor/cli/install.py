"""``tlsfloor install``: a start-up file that arms every Python of an environment, for good."""

from __future__ import annotations

from tlsfloor import install, policy
from tlsfloor.cli import tell

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


def run(arguments: argparse.Namespace) -> int:
    """Write the files, and show what is in them."""
    floor = policy.floor_of(arguments.floor, "--floor")
    interpreter = install.interpreter_of(arguments.prefix, system=arguments.system)
    for path in install.install(
        interpreter, floor, arguments.on_error, anyway=arguments.break_system_packages
    ):
        tell(f"wrote {path}")
    tell(f"{interpreter} starts with floor {arguments.floor}")
    return 0
