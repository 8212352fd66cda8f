"""The command ``tlsfloor``: parse the arguments, run one command, return its exit status.

Results go to stdout. Errors, notes and progress go to stderr. A user's mistake is reported by a
line ``error:`` and, if something can be done about it, a line ``hint:``; never by a traceback.

Exit status 0 means that everything is in order, and nothing else has this status. 1 means that
something is not, 2 that the call was wrong or a package is missing, 3 that there is no answer.

Each command is a module with ``options(parser)`` and ``run(arguments) -> exit status``; its
docstring is its help. Only the module of the chosen command is imported: the others would cost
time, and ``status`` has to work where ``ssl`` cannot be imported.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from importlib import import_module

import tlsfloor
from tlsfloor import floor as current
from tlsfloor import hooks
from tlsfloor.errors import TLSFloorError, printable, say
from tlsfloor.policy import OUTCOMES
from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

    from rich.console import Console

#: The version of what ``check``, ``stacks`` and ``status`` print as JSON. It rises when a key is
#: removed or changes its meaning.
JSON_SCHEMA = 2

#: Each command and its line in ``tlsfloor --help``.
COMMANDS = {
    "path": "print the folder that arms a Python through PYTHONPATH",
    "env": "print the lines that arm a Python through its environment",
    "install": "write a start-up file that arms every Python of an environment",
    "uninstall": "remove what install wrote",
    "bundle": "make a folder to mount into containers, which arms every Python there",
    "run": "run a command and its children with the floor armed",
    "stacks": "list the TLS libraries of an environment and what covers each of them",
    "status": "show whether this interpreter starts with a floor, and which",
    "verify": "prove by handshakes which TLS versions an interpreter accepts",
    "check": "show which versions endpoints accept and whether a floor would cut them off",
    "report": "show from the events of many processes what a floor would break",
    "serve": "run a server that speaks one TLS version and shows what each client offers",
    "completion": "print a script that completes commands and options in a shell",
}

#: What ``--color`` says.
color_when = "auto"

# The errors of a stdout that takes no more: a full disk, a quota, a limit, a device.
_CANNOT_BE_WRITTEN = ("ENOSPC", "EDQUOT", "EFBIG", "EIO")

#: The extra that installs a package, if it is not ``verify``.
_EXTRAS = {"botocore": "aws", "cyclonedx": "cyclonedx", "shtab": "cli", "sqlglot": "fleet"}


def _narrow(prog: str) -> argparse.HelpFormatter:
    """Return a formatter that does not ask for the size of the terminal.

    argparse makes one for each option that is declared, and the question imports five modules.
    """
    return argparse.HelpFormatter(prog, width=80)


class _Parser(argparse.ArgumentParser):
    """argparse with this command's form of errors, and with help from ``_manual``."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_narrow, **settings)

    def text(self) -> str | None:
        """Return the text that help is made of."""
        from tlsfloor.cli import _manual

        return _manual.TLSFLOOR

    def error(self, message: str) -> NoReturn:
        complain(message, f"{self.prog} --help")
        sys.exit(2)

    def format_help(self) -> str:
        from tlsfloor.cli import _manual

        self.color = colors()  # of Python 3.14 and newer
        self.formatter_class = _manual.formatter_class(colors=colors())
        self.description, self.epilog = _manual.around_options(self.prog, self.text())
        return super().format_help()


class Command(_Parser):
    """The parser of one command. Its module is imported when the command was chosen."""

    def module(self) -> Any:
        """Import the command's module."""
        return import_module(f"{__name__}.{self.prog.rpartition(' ')[2]}")

    def text(self) -> str | None:
        """Return the docstring of the command's module."""
        text: str | None = self.module().__doc__
        return text

    def load(self) -> Command:
        """Declare the command's options."""
        self.module().options(self)
        self.set_defaults(run=self.module().run)
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments of the command, which was chosen."""
        return super(Command, self.load()).parse_known_args(args, namespace)


class _Color(argparse.Action):
    """``--color``: it is one choice for the whole process, and counts from where it is read."""

    def __call__(self, parser: object, namespace: object, value: Any, option: object = "") -> None:
        global color_when
        del parser, namespace, option
        color_when = value


def colors() -> bool:
    """Return whether colors may be used, if the output is a terminal or they are asked for."""
    return color_when != "never" and not os.environ.get("NO_COLOR")


def is_shown(stream: Any) -> bool:
    """Return whether a stream gets what is meant for a terminal."""
    return (color_when == "always" and colors()) or bool(stream.isatty())


def console() -> Console:
    """Return rich's console for stdout.

    Raises:
        ModuleNotFoundError: rich is not installed.
    """
    from rich.console import Console

    # rich itself would still write bold text with NO_COLOR.
    return Console(
        highlight=False,
        markup=False,  # "[::1]" is an address
        soft_wrap=True,
        force_terminal=True if is_shown(sys.stdout) else None,
        color_system="auto" if colors() else None,
    )


def color_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--color``."""
    parser.add_argument(
        "--color",
        action=_Color,
        choices=("auto", "always", "never"),
        default=argparse.SUPPRESS,
        help="when to use colors (default: auto, on a terminal); never, if NO_COLOR is set",
    )


def quiet_option(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Declare ``-q`` and ``--quiet``."""
    parser.add_argument("-q", "--quiet", action="store_true", help=meaning)


def json_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def floor_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--floor``."""
    parser.add_argument("--floor", default="1.2", help="1.2 or 1.3 (default: 1.2)")


def on_error_option(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Declare ``--on-error``."""
    parser.add_argument(
        "--on-error",
        choices=OUTCOMES,
        default=default,
        help="what happens to a process in which the floor cannot be held (default: block)",
    )


def complain(problem: str, hint: str = "") -> None:
    """Write to stderr what went wrong, and what to do about it."""
    say(f"error: {problem}")
    if hint:
        say(f"hint: {hint}")


def tell(line: str) -> None:
    """Print one line of a result. A path, a server name or a reason in it cannot end the line."""
    print(printable(line))


def make_parser(
    names: Iterable[str] = COMMANDS,
) -> tuple[argparse.ArgumentParser, list[Command]]:
    """Return the parser, and the parser of each command, which has no options yet."""
    parser = _Parser(prog="tlsfloor")
    parser.add_argument("--version", action="version", version=f"tlsfloor {tlsfloor.__version__}")
    color_option(parser)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Command)
    return parser, [commands.add_parser(name, help=COMMANDS[name]) for name in names]


def main(words: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        words: what to use instead of the arguments of this process.
    """
    if sys.stdout is None:  # it was closed, so the exit status is the answer
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end
    if words is None:
        words = sys.argv[1:]
        # The process is the command's own. What it does is no event of a program, and the peers of
        # the verifier, which tlslite-ng drives, have to speak old versions.
        current.is_command = True
        for rows in (TABLE, hooks._watched):
            rows.pop("tlslite.handshakesettings", None)
    # A parser takes half a millisecond. The others are for help and for a word that is no command.
    parser, _ = make_parser([words[0]] if words and words[0] in COMMANDS else COMMANDS)
    try:
        arguments = parser.parse_args(words)
        if not hasattr(arguments, "run"):
            parser.print_help(sys.stderr)
            return 2
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except (TLSFloorError, ImportError) as error:
        complain(*_problem_and_hint(error))
        return 2
    except KeyboardInterrupt:
        complain("interrupted")
        return 130  # as in a shell: 128 plus the number of SIGINT
    except BrokenPipeError:
        # The reader has seen enough, as `head` has.
        _discard_stdout()
        return 1
    except OSError as error:
        problem, hint = _problem_of_the_system(error)
        if not problem:
            raise
        _discard_stdout()
        complain(problem, hint)
        return 2
    return status


def _discard_stdout() -> None:
    """Let Python close stdout at its end without a second error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _problem_of_the_system(error: OSError) -> tuple[str, str]:
    """Return what went wrong and what to do about it, or two empty texts if it is our fault."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the current folder was removed", "cd to a folder that exists"
    is_of_stdout = error.filename is None
    if is_of_stdout and errno.errorcode.get(error.errno or 0) in _CANNOT_BE_WRITTEN:
        return f"the result cannot be written: {error.strerror}", "write it to another place"
    return "", ""


def _problem_and_hint(error: TLSFloorError | ImportError) -> tuple[str, str]:
    """Return what went wrong, and what to do about it."""
    if isinstance(error, TLSFloorError):
        return error.problem, error.hint
    if isinstance(error, ModuleNotFoundError):
        extra = _EXTRAS.get(str(error.name).partition(".")[0], "verify")
        return f"a part is missing: {error}", f"pip install 'tlsfloor[{extra}]'"
    # A library, such as ssl, is refused or cannot be loaded.
    problem, _, hint = str(error).partition("; hint: ")
    return problem.replace("tlsfloor: error: ", ""), hint or "tlsfloor status"
