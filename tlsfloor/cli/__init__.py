"""The command ``tlsfloor``: arguments in, one report out.

stdout is the result, stderr is talk. An error is a line ``error:`` and, where there is one, a line
``hint:`` with what mends it; never a traceback for a user's mistake. Exit statuses: 0 is "all is
well" and nothing else is; 1 is "it is not"; 2 is a mistake in the call; 3 is
"it could not be told".
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

import tlsfloor
from tlsfloor import floor as current
from tlsfloor import hooks
from tlsfloor.errors import TLSFloorError, printable, say
from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

#: The version of everything that --json prints. It rises when a key changes its meaning or goes.
JSON_SCHEMA = 1

#: Each command: a module of this package with ``options(parser)`` and ``run(arguments) -> exit
#: status``.
COMMANDS = {
    "path": "print the folder that arms a Python from PYTHONPATH",
    "env": "print the lines that arm a Python from its environment, to paste",
    "install": "write a start-up file that arms every Python of an environment, for good",
    "uninstall": "remove what install wrote",
    "bundle": "make a folder to mount into containers, which arms every Python there",
    "run": "run a command, and its children, with the floor armed",
    "stacks": "name every TLS implementation of an environment, and what covers it",
    "status": "tell whether this interpreter starts with a floor, and which",
    "verify": "prove by handshakes what this interpreter accepts, without and with the floor",
    "check": "tell which versions endpoints accept, and whether a floor would cut them off",
    "report": "sum up the events of many processes: who still uses what, what would break",
    "serve": "speak one version to whoever connects, and show what each client offered",
}


class _Parser(argparse.ArgumentParser):
    """argparse, in the voice of the rest."""

    def error(self, message: str) -> NoReturn:
        complain(message, f"{self.prog} --help")
        sys.exit(2)


def complain(problem: str, hint: str = "") -> None:
    """Say on stderr what went wrong, and what mends it."""
    say(f"error: {problem}")
    if hint:
        say(f"hint: {hint}")


def tell(line: str) -> None:
    """Print one line of a result: a path, a server or a reason in it stays within that line."""
    print(printable(line))


def main(words: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; ``words`` stand for those of the command line."""
    parser = _Parser(
        prog="tlsfloor", description="hold every TLS connection of a Python process at a floor"
    )
    parser.add_argument("--version", action="version", version=f"tlsfloor {tlsfloor.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    if words is None:
        words = sys.argv[1:]
        current.is_command = True  # for all that this process does
        for rows in (TABLE, hooks._watched):  # the verifier's peers speak old versions
            rows.pop("tlslite.handshakesettings", None)
    command: Any = None
    chosen = next((word for word in words if not word.startswith("-")), "")
    try:
        for name, purpose in COMMANDS.items():
            subparser = commands.add_parser(name, help=purpose, description=purpose)
            if name == chosen:  # the others would only cost, and `status` must work without an ssl
                command = import_module(f"{__name__}.{name}")
                command.options(subparser)
        arguments = parser.parse_args(words)  # ends the process where no command was chosen
        status: int = command.run(arguments)
        sys.stdout.flush()
    except TLSFloorError as error:
        complain(error.problem, error.hint)
        return 2
    except ImportError as error:
        complain(f"a part is missing: {error}", "pip install 'tlsfloor[verify]'")
        return 2
    except KeyboardInterrupt:
        complain("interrupted")
        return 130  # as a shell has it: 128 and the number of SIGINT
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Python would complain once more when it closes
        # stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
