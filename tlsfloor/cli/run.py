"""Run a command with the floor armed in every Python that it starts.

Examples:
  $ tlsfloor run --floor 1.3 -- python app.py
      run a program with floor 1.3
  $ tlsfloor run --mode observe -- gunicorn app:app
      only record what it would change

Exit statuses:
  126   the command cannot be run
  127   the command was not found
  2     the call was wrong; nothing was run
  else  the exit status of the command
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tlsfloor import policy
from tlsfloor.cli import complain


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    # argparse would show an argument with REMAINDER as "...".
    parser.usage = (
        f"%(prog)s [-h] [--floor FLOOR] [--mode {{{','.join(policy.MODES)}}}] -- CMD [ARG ...]"
    )
    parser.add_argument(
        "--floor",
        help="1.2 or 1.3; TLSFLOOR and TLS_MIN_VERSION can raise it (default: 1.2)",
    )
    parser.add_argument(
        "--mode",
        choices=policy.MODES,
        help="hold the floor, or only record what it would change (default: the value of "
        "TLSFLOOR_MODE, or enforce)",
    )
    parser.add_argument(
        "cmd",
        nargs=argparse.REMAINDER,
        metavar="-- CMD [ARG ...]",
        help="the command and its arguments",
    )


def armed_environment(floor: str | None, mode: str | None) -> dict[str, str]:
    """Return this process's environment with the floor armed.

    The stricter floor counts: that of the option, or that of the environment. ``TLSFLOOR=off`` does
    not count, because the user asks for a floor here. A mode that is given by the option replaces
    that of the environment.

    Raises:
        PolicyError: an option or a variable cannot be understood.
    """
    known = dict(os.environ)
    if policy.is_off(known):
        del known[policy.FLOOR]
    if floor is None:
        strictest = policy.startup_floor(known)
    else:
        strictest = max(policy.floor_of(floor, "--floor"), policy.floor_in(known) or 0)
    mode = mode or policy.mode_of(os.environ.get(policy.MODE, policy.ENFORCE), policy.MODE)
    return {**os.environ, **policy.for_children(os.environ, strictest, mode)}


def run(arguments: argparse.Namespace) -> int:
    """Replace this process by the command; on Windows, run it and return its exit status."""
    command = arguments.cmd[1:] if arguments.cmd[:1] == ["--"] else arguments.cmd
    if not command:
        complain("no command to run", "tlsfloor run --floor 1.2 -- python app.py")
        return 2
    env = armed_environment(arguments.floor, arguments.mode)
    sys.stdout.flush()
    try:
        if os.name == "posix":
            os.execvpe(command[0], command, env)  # noqa: S606 - the user asked to run it
        return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - as above
    except OSError as error:
        complain(
            f"{command[0]} cannot be run: {error.strerror}",
            "tlsfloor run -- CMD, where CMD is a program on PATH",
        )
        # As in a shell: 127 means not found, 126 found but not runnable.
        return 127 if isinstance(error, FileNotFoundError) else 126
