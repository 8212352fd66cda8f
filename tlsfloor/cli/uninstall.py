"""Remove the files that tlsfloor install wrote, and nothing else.

Examples:
  $ tlsfloor uninstall --prefix .venv
      remove the floor of another environment

Exit statuses:
  0     the files were removed
  1     nothing was installed
  2     the call was wrong, or a file was changed or cannot be removed
"""

from __future__ import annotations

import argparse

from tlsfloor.cli import complain, quiet_option, tell
from tlsfloor.cli.install import environment_options, tell_environment
from tlsfloor.deploy import startup_files


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    environment_options(parser)
    quiet_option(parser, "do not print the files")


def run(arguments: argparse.Namespace) -> int:
    """Remove the files and print their names; return 1 if there are none."""
    interpreter = startup_files.find_interpreter(arguments.prefix, system=arguments.system)
    removed = startup_files.uninstall_files(interpreter, dry_run=arguments.dry_run)
    if not removed:
        complain(f"nothing is installed for {interpreter}", "tlsfloor uninstall --prefix DIR")
        return 1
    if not arguments.quiet:
        tell_environment(interpreter, system=arguments.system)
        for path in removed:
            tell(f"{'would remove' if arguments.dry_run else 'removed'} {path}")
    return 0
