"""The options of the commands that report: the format, and the file that is written."""

from __future__ import annotations

import argparse
import os
import sys

from tlsfloor.cli import color_option, is_shown
from tlsfloor.errors import VerifyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def options(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> None:
    """Declare the options."""
    parser.add_argument("--format", choices=[*formats], default="text", help="default: text")
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="--format json"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write to a file, all of it or nothing (default: stdout)"
    )
    color_option(parser)


def check_output(output: str | None) -> None:
    """Raise an error before the work begins if its result could not be written.

    Raises:
        VerifyError: the folder of the file does not exist.
    """
    folder = os.path.dirname(os.path.abspath(output or ""))
    if output and not os.path.isdir(folder):
        raise VerifyError(f"{output} cannot be written", hint=f"mkdir -p {folder}")


def is_for_terminal(kind: str, output: str | None) -> bool:
    """Return whether a report is text for a terminal."""
    return kind == "text" and not output and is_shown(sys.stdout)


def write_report(text: str | Iterable[str], output: str | None, option: str = "--output") -> None:
    """Write a report, or its parts, to a file or to stdout.

    Raises:
        VerifyError: the file cannot be written.
    """
    if not output:
        encoding = sys.stdout.encoding or "utf-8"  # which may lack characters
        for part in (text,) if isinstance(text, str) else text:
            sys.stdout.write(part.encode(encoding, "backslashreplace").decode(encoding))
        return
    from tlsfloor.deploy.atomic_files import write_atomically

    try:
        write_atomically(output, text)
    except OSError as error:
        problem = f"{output} cannot be written: {error.strerror}"
        raise VerifyError(problem, hint=f"{option} FILE") from None
