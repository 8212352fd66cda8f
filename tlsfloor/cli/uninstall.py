"""``tlsfloor uninstall``: remove what ``tlsfloor install`` wrote."""

from __future__ import annotations

from tlsfloor.cli import complain, tell
from tlsfloor.cli.install import dry_run, say_where, whose
from tlsfloor.deploy import install

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    whose(parser)
    dry_run(parser)


def run(arguments: argparse.Namespace) -> int:
    """Remove the files, and show which; 1 where there were none."""
    interpreter = install.interpreter_of(arguments.prefix, system=arguments.system)
    removed = install.uninstall(interpreter, dry_run=arguments.dry_run)
    if removed:
        say_where(interpreter, system=arguments.system)
    for path in removed:
        tell(f"{'would remove' if arguments.dry_run else 'removed'} {path}")
    if not removed:
        complain(f"nothing is installed for {interpreter}", "tlsfloor uninstall --prefix DIR")
        return 1
    return 0
