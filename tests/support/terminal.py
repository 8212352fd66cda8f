"""A shell that a reader of the documentation types commands into."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from programs import TIME_LIMIT


def as_shown(shown: str, printed: str) -> bool:
    """Tell whether a program printed what a page shows: … is anything, […] any lines."""
    pattern = re.escape(shown).replace(re.escape("[…]\n"), r"(?:.*\n)*").replace("…", ".*")
    return re.fullmatch(pattern, printed) is not None


class Terminal:
    """A shell that a reader types commands into."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.type("trap : INT")  # as an interactive shell: Ctrl-C does not end it

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def run(self, command: str) -> tuple[int, str]:
        """Return the status of a command, and what it printed."""
        self.type(f"{command}\necho; echo '-- ended:' $?")
        printed = ""
        while True:
            line = self.line()
            assert line, f"the shell ended: {printed}"
            if line.startswith("-- ended: "):
                return int(line.split()[-1]), printed[:-1]
            printed += line

    def interrupt(self) -> None:
        """Press Ctrl-C: the program that runs ends, and the shell takes the next command."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> None:
        """Close the terminal, and end what runs in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        self.process.communicate(timeout=TIME_LIMIT)
