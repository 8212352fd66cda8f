"""``tlsfloor run --floor 1.3 -- CMD``: a command, and the Pythons it starts, with the floor."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tlsfloor import policy
from tlsfloor.cli import complain


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--floor", help="1.2 or 1.3; the environment may ask for more (default: 1.2)"
    )
    parser.add_argument(
        "--mode",
        choices=policy.MODES,
        help="hold the floor, or only see what it would change (default: as TLSFLOOR_MODE says, or "
        "enforce)",
    )
    parser.add_argument(
        "cmd", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments"
    )


def environment(floor: str | None, mode: str | None) -> dict[str, str]:
    """Return this environment, with the floor armed: that of the argument or its own, the stricter.

    The mode is that of the argument; without one that of the environment.

    Raises:
        PolicyError: one of them cannot be understood.
    """
    floors = [policy.DEFAULT_FLOOR] if floor is None else [policy.floor_of(floor, "--floor")]
    asked = policy.floor_in(os.environ)
    if asked is not None:
        # With no --floor the environment's own TLSFLOOR may be below the default.
        floors = [policy.start_up_floor(os.environ)] if floor is None else [*floors, asked]
    mode = mode or policy.mode_of(os.environ.get(policy.MODE, policy.ENFORCE), policy.MODE)
    return {**os.environ, **policy.for_children(os.environ, max(floors), mode)}


def run(arguments: argparse.Namespace) -> int:
    """Become the command; where a process cannot become another, run it and return its status."""
    command = arguments.cmd[1:] if arguments.cmd[:1] == ["--"] else arguments.cmd
    if not command:
        complain("no command to run", "tlsfloor run --floor 1.2 -- python app.py")
        return 2
    env = environment(arguments.floor, arguments.mode)
    sys.stdout.flush()
    try:
        if os.name == "posix":
            os.execvpe(command[0], command, env)  # noqa: S606 - it is what the user asked to run
        return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - so is this
    except OSError as error:
        complain(
            f"{command[0]} cannot be run: {error.strerror}",
            "tlsfloor run -- CMD, with a CMD on your PATH",
        )
        # As a shell has it: 127 not found, 126 found and not runnable.
        return 127 if isinstance(error, FileNotFoundError) else 126
