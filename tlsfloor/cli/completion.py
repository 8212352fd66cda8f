"""Print a script that lets a shell complete the commands and options of tlsfloor.

Examples:
  $ eval "$(tlsfloor completion bash)"
      for this bash; a line for ~/.bashrc
  $ tlsfloor completion zsh > ~/.zfunc/_tlsfloor
      for zsh, with ~/.zfunc in $fpath

Exit statuses:
  0     the script was printed
  2     the call was wrong, or a package is missing
"""

from __future__ import annotations

import argparse

from tlsfloor.cli import make_parser


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh"), help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    parser, commands = make_parser()
    for command in commands:
        for action in command.load()._actions:
            # shtab reads this attribute.
            kinds = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "PATH": shtab.FILE}
            found = [kinds[name] for name in kinds if name in str(action.metavar)]
            if found or action.metavar in ("TARGET", "PYTHON"):
                action.complete = (found or [shtab.FILE])[0]  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
    return 0
