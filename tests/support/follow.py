"""Follows a page of ``docs/`` as a reader does: top to bottom, in a fresh folder.

``follow(page, home)`` begins in a folder that holds nothing but a checkout of tlsfloor, and goes
through the fenced blocks of the page in order:

- below ``<!-- file: NAME -->``, a file: it is written to the folder that the reader is in;
- ``console``: commands, typed into the reader's terminal. What they print must be what the page
  shows. Only pip's output is not compared: it depends on the machine;
- ``console`` below ``<!-- terminal: NAME -->``: the same in another terminal, opened in that
  folder. Its last command may go on running: the reader waits for what the page shows, and goes on.
  A line ``^C`` is Ctrl-C;
- ``text`` below ``<!-- terminal: NAME -->``: what shows up in that terminal next;
- anything else is an example, and is not run.

A line ``[…]`` matches any number of lines; ``…`` or ``[…]`` in a line matches anything in it.
Runs of spaces match each other, since the width of a column depends on what is in it.

What a command of tlsfloor prints or writes as JSON, SARIF, JUnit, CycloneDX or events has to be
valid by its schema (``outputs.validate``).

A test can change two things. Ports are replaced by free ones. Blocks that need a cluster or an
account are named in ``skip``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Collection, Iterable

import guides
import outputs
import parts
from programs import clean_environment
from ports import reserved_port

ROOT = guides.DOCS.parent

#: Seconds for one command. ``pip install`` may take minutes.
TIME_LIMIT = 60
TIME_LIMIT_WITH_PIP = 400

#: The names of files that commands of tlsfloor write, and that have a schema.
OUTPUTS = {".json", ".jsonl", ".sarif", ".xml"}

_ENDED = "-- ended:"
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


def follow(
    page: str,
    home: Path,
    *,
    start: str = ".",
    ports: Iterable[str] = (),
    skip: Collection[str] = (),
    programs: str = "",
    **env: str,
) -> None:
    """Do everything that a page says, and assert that each command prints what the page shows.

    ``start`` is the folder, below ``home``, in which the reader opens the first terminal.
    ``programs`` is a folder with stand-ins for programs that cannot run here; it is the first on
    PATH. ``env`` is added to the environment of each terminal.
    """
    reader = Reader(home, start=start, ports=ports, programs=programs, **env)
    with contextlib.closing(reader):
        blocks = guides.blocks(page)
        missing = set(skip).difference(block.name for block in blocks)
        assert not missing, f"not on the page: {missing}"
        for block in blocks:
            if block.name not in skip:
                reader.read(block)
        reader.check_outputs()


class Reader:
    """Somebody who follows a page: a folder, terminals, and the ports that replace the page's."""

    def __init__(
        self,
        home: Path,
        *,
        start: str = ".",
        ports: Iterable[str] = (),
        programs: str = "",
        **env: str,
    ) -> None:
        # 10000: a node of a Redis cluster uses the port that much above its own.
        self.ports = {port: str(reserved_port(10_000)) for port in ports}
        path = [programs] * bool(programs) + [os.path.dirname(sys.executable), os.environ["PATH"]]
        cache = os.path.expanduser("~/.cache/pip")
        self.env = clean_environment(
            HOME=str(home),
            PATH=os.pathsep.join(path),
            PIP_CACHE_DIR=os.environ.get("PIP_CACHE_DIR", cache),
            PYTHONUNBUFFERED="1",  # as on a terminal, which output is compared with
            LANG="C.UTF-8",
            **env,
        )
        for name in ("VIRTUAL_ENV", "CI"):
            self.env.pop(name, None)
        self.home = home
        _check_out(home / "tlsfloor")
        self.terminals = {"": Terminal(home / start, self.env)}

    def close(self) -> None:
        """Close the terminals."""
        for terminal in self.terminals.values():
            terminal.close()

    def check_outputs(self) -> list[str]:
        """Validate the files that commands have written; return their formats."""
        files = [each for each in self.home.rglob("*") if each.suffix in OUTPUTS]
        foreign = {"site-packages", "tlsfloor"}  # what is installed, and the checkout
        own = [each for each in files if not foreign & {*each.relative_to(self.home).parts}]
        return [*filter(None, map(outputs.validate, (each.read_text("utf-8") for each in own)))]

    def read(self, block: guides.Block) -> None:
        """Do what one block says."""
        text = block.text
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        kind, _, name = block.name.partition(": ")
        if kind == "file":
            file = self.folder() / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        elif kind == "terminal" and name not in self.terminals:
            self.terminals[name] = Terminal(self.folder(), self.env)
        if block.kind == "console":
            terminal = self.terminals[name if kind == "terminal" else ""]
            for command, shown in guides.commands(text):
                _do(terminal, command, shown, wait_for_end=terminal is self.terminals[""])
        elif kind == "terminal":
            self.terminals[name].wait_for(text)

    def folder(self) -> Path:
        """Return the folder that the reader is in."""
        return Path(self.terminals[""].run("pwd")[1].strip())


def _check_out(folder: Path) -> None:
    """Copy what a checkout has for pip and for a page: the page may write to the folder."""
    without = shutil.ignore_patterns("__pycache__")
    for name in ("tlsfloor", "docs/how-to/fleet", "docs/how-to/monitor"):
        shutil.copytree(ROOT / name, folder / name, ignore=without)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)


def _do(terminal: Terminal, command: str, shown: str, *, wait_for_end: bool) -> None:
    if command == "^C":
        terminal.interrupt()
        terminal.wait_for(shown)
    elif not wait_for_end:
        terminal.type(command)
        terminal.wait_for(shown)
    else:
        status, printed = terminal.run(command)
        if re.match(r"(\S+/)?pip3? ", command):
            if status:
                parts.leave_out("what pip installs", printed)
        else:
            assert as_shown(shown, printed), f"$ {command}\n{printed}\n-- the page:\n{shown}"
            if "tlsfloor" in command:
                outputs.validate(printed)


class Terminal:
    """A shell that commands are typed into."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._printed = ""
        self._position = 0  # what comes before it has been compared
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        self.type("trap : INT")  # as in an interactive shell, Ctrl-C does not end the shell

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._printed += _COLOUR.sub("", line)

    def type(self, command: str) -> None:
        """Type a command. It reads nothing of what is typed after it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\n")
        self._process.stdin.flush()

    def run(self, command: str) -> tuple[int, str]:
        """Run a command to its end; return its exit status and what it printed."""
        self.type(command)
        # The next command may be `echo $?`.
        self.type(f"ended=$?; echo; echo '{_ENDED}' $ended; (exit $ended)")
        ended = re.compile(rf"(.*?)\n{_ENDED} (\d+)\n", re.DOTALL)
        found = self._wait_for(ended, TIME_LIMIT_WITH_PIP)
        return int(found[2]), found[1]

    def wait_for(self, shown: str) -> None:
        """Wait until a text has been printed."""
        if shown.strip():
            self._wait_for(re.compile(_pattern(shown.rstrip("\n")), re.MULTILINE))

    def _wait_for(self, pattern: re.Pattern[str], patience: float = TIME_LIMIT) -> re.Match[str]:
        end = time.monotonic() + patience
        while True:
            printed = self._printed[self._position :]
            found = pattern.search(printed)
            if found:
                self._position += found.end()
                return found
            ended = self._process.poll() is not None and not self._reader.is_alive()
            assert not ended, f"the shell ended: {printed}"
            assert time.monotonic() < end, f"not printed: {pattern.pattern}\n{printed}"
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Press Ctrl-C: the program that is running ends, and the shell takes the next command."""
        os.killpg(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        """Close it, and end everything that was started in it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        self._process.wait()
        self._reader.join(10)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]


def as_shown(shown: str, printed: str) -> bool:
    """Tell whether a command printed what a page shows."""
    return re.fullmatch(_pattern(shown), printed, re.MULTILINE) is not None


def _pattern(shown: str) -> str:
    lines = []
    for line in shown.splitlines(keepends=True):
        if line.strip() == "[…]":
            lines.append(r"(?:.*\n)*?" if line.endswith("\n") else r"(?:.*\n)*?.*")
        else:
            words = re.escape(line.rstrip().replace("[…]", "…")).replace("…", ".*")
            lines.append(re.sub(r"(?:\\ )+", " +", words) + r" *" + "\n" * line.endswith("\n"))
    return "".join(lines)
