"""Help, made of the docstrings of the commands: for ``--help``, the man page and the site.

The docstring of a command's module says what the command is for, then ``Examples:``, then ``Exit
statuses:``. This module is imported only when help is written.
"""

from __future__ import annotations

import argparse
import textwrap
from typing import Any, NamedTuple

#: How to reach a page of the documentation. Until the site has an address, its file has to do.
PAGE = "docs/{} in the source of tlsfloor"

#: The page that shows a command at work, if it is not that of the commands.
PAGES = {
    "path": "how-to/arm.md",
    "env": "how-to/arm.md",
    "install": "how-to/arm.md",
    "uninstall": "how-to/arm.md",
    "bundle": "how-to/containers.md",
    "run": "how-to/roll-out.md",
    "stacks": "reference/stacks.md",
    "status": "reference/status.md",
    "verify": "how-to/verify.md",
    "check": "how-to/check.md",
    "report": "how-to/report.md",
    "serve": "how-to/check.md#a-legacy-server-to-test-a-client-against",
}

#: The text about ``tlsfloor`` itself.
TLSFLOOR = """\
Set a minimum TLS version for all connections of a Python process, hold it there, and prove it.

Examples:
  $ tlsfloor status
      show whether a floor is armed here
  $ tlsfloor run --floor 1.3 -- python app.py
      run a program with floor 1.3
  $ tlsfloor verify .venv
      prove what the Python of an environment accepts
  $ tlsfloor COMMAND --help
      show the options and exit statuses of a command

Exit statuses:
  0     everything is in order
  1     something is not in order
  2     the call was wrong, no command was named, or a package is missing
  3     the answer could not be found
  126   run: the command cannot be run
  127   run: the command was not found
  130   interrupted by Ctrl-C
"""


class Help(NamedTuple):
    """The parts of a help text; ``page`` is a path below docs/."""

    about: str
    examples: str
    statuses: str
    page: str


def split(program: str, text: str | None) -> Help:
    """Return the parts of the text about ``tlsfloor`` or ``tlsfloor COMMAND``.

    Python's option -OO removes docstrings, and so these texts.
    """
    about, _, rest = (text or "").partition("\n\nExamples:\n")
    examples, _, statuses = rest.partition("\n\nExit statuses:\n")
    page = PAGES.get(program.partition(" ")[2], "reference/cli.md")
    return Help(" ".join(about.split()), examples, statuses.rstrip(), page)


def around_options(program: str, text: str | None) -> tuple[str, str]:
    """Return what ``--help`` prints above the options, and what it prints below them."""
    known = split(program, text)
    blocks = (
        f"examples:\n{known.examples}",
        f"exit statuses:\n{known.statuses}",
        f"documentation: {PAGE.format(known.page)}",
    )
    return textwrap.fill(known.about, 80), "\n\n".join(blocks)


def formatter_class(*, colors: bool) -> type[argparse.HelpFormatter]:
    """Return the formatter of ``--help``: that of rich-argparse if it is installed."""
    if not colors:
        return argparse.RawDescriptionHelpFormatter
    try:
        import rich_argparse
    except ImportError:
        return argparse.RawDescriptionHelpFormatter
    formatter: Any = rich_argparse.RawDescriptionRichHelpFormatter
    formatter.group_name_formatter = str  # "options", as without it
    formatter.help_markup = formatter.text_markup = False  # "[::1]" is an address
    kind: type[argparse.HelpFormatter] = formatter
    return kind
