"""Runs the ``console`` blocks of a guide in a shell, and holds what they print against the page.

A command that ends in ``&`` is a server: the next command waits until it listens, and what it
prints goes to a log. ``[…]`` in the page stands for anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

import guides
from programs import TIME_LIMIT, clean_environment

_LISTENS = """
for attempt in $(seq 400); do
  (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && break
  kill -0 $! || exit 99
  sleep 0.05
done
"""

# Between the commands, and before what the test itself does.
_NEXT = "-- next command --"
_DONE = "-- done --"


class Step(NamedTuple):
    """A command, what the page says that it prints, and what it printed."""

    command: str
    expected: str
    printed: str

    def matches(self) -> bool:
        """Tell whether it printed what the page says: the width of columns aside."""
        anything = re.escape(_even("[…]"))
        pattern = re.escape(_even(self.expected)).replace(anything, ".*")
        return re.fullmatch(pattern, _even(self.printed), re.DOTALL) is not None


@contextlib.contextmanager
def running(
    text: str, folder: Path, here: dict[str, object], path: str = "", **env: str
) -> Iterator[list[Step]]:
    """Run the commands of a block in a folder, and keep its servers until the end of the context.

    ``here`` maps what the page says, ports and paths, to what it is here; ``path`` is a folder of
    programs that come first.
    """
    for there, instead in here.items():
        text = text.replace(there, str(instead))
    commands = guides.commands(text)
    lines = ["exec 2>&1"]
    for number, (command, _) in enumerate(commands):
        lines.append(f"echo '{_NEXT}'")
        if command.endswith("&"):
            lines.append(f"{command[:-1]} > server-{number}.log 2>&1 &")
            port = re.search(r"127\.0\.0\.1:(\d+)", command)
            lines.append(_LISTENS.format(port=port[1] if port else "0"))
        else:
            lines.append(command)
    lines += [f"echo '{_DONE}'", "read", "kill $(jobs -p) 2>/dev/null", "wait"]
    programs = os.pathsep.join([*([path] if path else []), os.path.dirname(sys.executable)])
    environment = clean_environment(
        PATH=f"{programs}{os.pathsep}{os.environ['PATH']}", HOME=str(folder), **env
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdin=pipe,
        stdout=pipe,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            assert shell.stdout is not None
            printed = "".join(iter(shell.stdout.readline, f"{_DONE}\n"))
            outputs = printed.split(f"{_NEXT}\n")[1:]
            assert len(outputs) == len(commands), printed + _logs(folder)
            yield [
                Step(command, expected, _log(folder, number) if command.endswith("&") else output)
                for number, ((command, expected), output) in enumerate(zip(commands, outputs))
            ]
            shell.communicate("\n", timeout=TIME_LIMIT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


def assert_as_printed(steps: list[Step]) -> None:
    """Assert that each command printed what the page says."""
    for step in steps:
        if step.command.endswith("&"):
            assert step.expected in step.printed, step
        else:
            assert step.matches(), (
                f"$ {step.command}\n{step.printed}\n-- the page:\n{step.expected}"
            )


def _even(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def _log(folder: Path, number: int) -> str:
    return (folder / f"server-{number}.log").read_text()


def _logs(folder: Path) -> str:
    return "".join(file.read_text() for file in sorted(folder.glob("server-*.log")))
