"""What help says about each command: ``--help``, the man page and docs/reference/cli.md show it.

It is imported only when one of them is written.
"""

from __future__ import annotations

import argparse
import textwrap
from typing import Any, NamedTuple

#: Where a page of the documentation is. Until the site has an address, this is its file.
PAGE = "docs/{}.md"

WIDTH = 80

_WRONG_CALL = {"2": "the call was wrong; nothing was done"}
_MISSING = {"2": "the call was wrong, or a package is missing"}
_INTERRUPTED = {"130": "interrupted by Ctrl-C"}


class Entry(NamedTuple):
    """What help says about one command.

    ``examples`` maps each command line to what it does, ``statuses`` each exit status to its
    meaning. ``page`` is the page of the documentation that shows the command at work.
    """

    about: str
    examples: dict[str, str]
    statuses: dict[str, str]
    page: str


ENTRIES = {
    "": Entry(
        "Set a minimum TLS version for all connections of a Python process, hold it there, and "
        "prove that it holds.",
        {
            "tlsfloor status": "show whether a floor is armed here",
            "tlsfloor run --floor 1.3 -- python app.py": "run a program with floor 1.3",
            "tlsfloor verify .venv": "prove what the Python of an environment accepts",
            "tlsfloor COMMAND --help": "show the options and exit statuses of a command",
        },
        {
            "0": "everything is in order",
            "1": "something is not in order",
            "2": "the call was wrong, no command was named, or a package is missing",
            "3": "the answer could not be found",
        },
        "reference/cli",
    ),
    "path": Entry(
        "Print the folder that arms every Python that finds it on PYTHONPATH.",
        {'export PYTHONPATH="$(tlsfloor path)"': "arm every Python that this shell starts"},
        {"0": "the folder was printed", **_WRONG_CALL},
        "how-to/arm",
    ),
    "env": Entry(
        "Print the lines that arm a Python through its environment, to paste into a script, a "
        "Dockerfile, a pod or a systemd unit.",
        {
            'eval "$(tlsfloor env --floor 1.3)"': "arm every Python that this shell starts",
            "tlsfloor env --format k8s --path /opt/tlsfloor": "for a pod that mounts a bundle",
        },
        {"0": "the lines were printed", **_WRONG_CALL},
        "how-to/arm",
    ),
    "install": Entry(
        "Write a start-up file into the site directory of an environment. Every Python of that "
        "environment then starts with the floor, also with the options -E and -I.",
        {
            "tlsfloor install --floor 1.3": "into the environment that runs this command",
            "tlsfloor install --prefix .venv --dry-run": "show what would be written",
        },
        {"0": "the floor is installed", "2": "the call was wrong, or it cannot be installed"},
        "how-to/arm",
    ),
    "uninstall": Entry(
        "Remove the files that tlsfloor install wrote, and nothing else.",
        {"tlsfloor uninstall --prefix .venv": "remove the floor of another environment"},
        {
            "0": "the files were removed",
            "1": "nothing was installed",
            "2": "the call was wrong, or a file was changed or cannot be removed",
        },
        "how-to/arm",
    ),
    "bundle": Entry(
        "Make a folder that arms every Python that it is mounted for, from 2.7 on. An older bundle "
        "is replaced while containers run from it.",
        {
            "tlsfloor bundle /opt/tlsfloor": "make the folder, or replace the bundle in it",
            "tlsfloor bundle dist --compile python3.13": "start faster in Python 3.13, too",
        },
        {
            "0": "the bundle was made; stdout is the folder for PYTHONPATH",
            "2": "the call was wrong, or it cannot be made; the folder is as it was",
        },
        "how-to/containers",
    ),
    "run": Entry(
        "Run a command with the floor armed in every Python that it starts.",
        {
            "tlsfloor run --floor 1.3 -- python app.py": "run a program with floor 1.3",
            "tlsfloor run --mode observe -- gunicorn app:app": "only record what it would change",
        },
        {
            "126": "the command cannot be run",
            "127": "the command was not found",
            "2": "the call was wrong; nothing was run",
            "other": "the exit status of the command",
        },
        "how-to/roll-out",
    ),
    "stacks": Entry(
        "List each TLS library in a folder or in this environment, and what holds the floor on it.",
        {
            "tlsfloor stacks": "where this interpreter finds its packages",
            "tlsfloor stacks .venv --floor 1.3 --json": "another environment, as JSON",
        },
        {
            "0": "all libraries that were found are covered",
            "1": "one is not covered, or a file could not be read",
            **_WRONG_CALL,
        },
        "reference/stacks",
    ),
    "status": Entry(
        "Show whether this interpreter starts with a floor, which one, who set it, and what is "
        "not protected.",
        {
            "tlsfloor status": "the environment that runs this command",
            "python -m tlsfloor status": "the environment of this Python",
            "tlsfloor status --quiet && ./start": "start only if a floor holds",
        },
        {"0": "a floor is armed and holds", "1": "no floor holds", **_WRONG_CALL},
        "reference/status",
    ),
    "verify": Entry(
        "Connect an interpreter to peers that speak each TLS version, and report which versions "
        "it accepts, without the floor and with it.",
        {
            "tlsfloor verify": "this interpreter",
            "tlsfloor verify .venv /opt": "every interpreter in these folders",
            "tlsfloor verify --hello": "quickly, without other packages",
            "tlsfloor verify / --format sarif --output report.sarif": "write a file for CI",
        },
        {
            "0": "nothing is flagged",
            "1": "an interpreter is flagged: it accepts less than the floor",
            **_MISSING,
            "3": "an interpreter could not be verified",
            **_INTERRUPTED,
        },
        "how-to/verify",
    ),
    "check": Entry(
        "Connect to servers with each TLS version, and report which versions they accept and "
        "whether a floor would cut them off.",
        {
            "tlsfloor check example.com cache:6380": "port 443 unless another is given",
            "tlsfloor check --from endpoints.txt --floor 1.3": "one endpoint on each line",
            "tlsfloor check --aws s3,sts --region eu-central-1": "the endpoints of AWS services",
        },
        {
            "0": "the floor would cut off none of them",
            "1": "the floor would cut off one of them",
            **_MISSING,
            "3": "no answer was found for one of them",
            **_INTERRUPTED,
        },
        "how-to/check",
    ),
    "report": Entry(
        "Summarize the events that many processes have recorded: which connections a floor would "
        "break, and what still uses old versions.",
        {
            "tlsfloor report /var/log/tlsfloor": "all files of events in a folder",
            "kubectl logs deploy/shop | tlsfloor report -": "from a log",
            "tlsfloor report events.jsonl --format html --output report.html": "write a page",
        },
        {
            "0": "the floor would break nothing",
            "1": "the floor would break something",
            **_WRONG_CALL,
            "3": "there is no answer: nothing could be read, or too little was seen",
            **_INTERRUPTED,
        },
        "how-to/report",
    ),
    "serve": Entry(
        "Run a server that speaks one TLS version, whatever the local OpenSSL supports, and show "
        "what each client offers.",
        {
            "tlsfloor serve --version 1.0": "on a free port of this machine",
            "tlsfloor serve --version 1.2 --kx ecdhe --port 8443": "with ECDHE key exchange",
        },
        {"0": "it was ended by Ctrl-C", **_MISSING},
        "tutorial/first-floor",
    ),
    "completion": Entry(
        "Print a script that lets a shell complete the commands and options of tlsfloor.",
        {
            'eval "$(tlsfloor completion bash)"': "for this bash; a line for ~/.bashrc",
            "tlsfloor completion zsh > ~/.zfunc/_tlsfloor": "for zsh, with ~/.zfunc in $fpath",
        },
        {"0": "the script was printed", **_MISSING},
        "reference/cli",
    ),
}


def entry(program: str) -> Entry:
    """Return the entry of ``tlsfloor`` or of ``tlsfloor COMMAND``."""
    return ENTRIES[program.partition(" ")[2]]


def around_options(program: str) -> tuple[str, str]:
    """Return what ``--help`` prints above the options, and what it prints below them."""
    known = entry(program)
    about = textwrap.fill(known.about, WIDTH)
    examples = (f"  $ {line}\n      {what}" for line, what in known.examples.items())
    statuses = (f"  {status:5} {meaning}" for status, meaning in known.statuses.items())
    parts = ["examples:", *examples, "", "exit statuses:", *statuses, ""]
    return about, "\n".join([*parts, f"documentation: {PAGE.format(known.page)}"])


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
