"""Takes the commands and files out of a page of ``docs/``, so that tests run what the page says.

A comment right above a fenced block names the block. ``<!-- file: check.py -->`` makes the block a
file. In a ``console`` block, a line that begins with ``$`` is a command, together with the lines
that a backslash continues; ``^C`` is Ctrl-C. The lines below are what the command printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from programs import clean_environment

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(
    r"(?:^<!-- (?P<name>.+?) -->\n)?^```(?P<kind>\S+)\n(?P<text>.*?)^```$", re.M | re.S
)


class Block(NamedTuple):
    """A fenced block: its language, its name (empty where it has none) and its text."""

    kind: str
    name: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order; ``page`` is its path below ``docs/``."""
    text = (DOCS / page).read_text("utf-8")
    found = _BLOCK.finditer(text)
    return [Block(match["kind"], match["name"] or "", match["text"]) for match in found]


def block(page: str, name: str) -> str:
    """Return the text of the one block of that name."""
    [text] = [block.text for block in blocks(page) if block.name == name]
    return text


def write_files(page: str, folder: Path) -> None:
    """Write the files that a page shows into a folder."""
    for block in blocks(page):
        if block.name.startswith("file: "):
            file = folder / block.name[len("file: ") :]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)


def commands(text: str) -> list[tuple[str, str]]:
    """Return each command of a ``console`` block, and what it prints according to the page."""
    found: list[tuple[str, str]] = []
    continued = False
    for line in text.splitlines():
        command, printed = found[-1] if found else ("", "")
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif line == "^C":
            found.append((line, ""))
        elif continued:
            found[-1] = (f"{command}\n{line}", printed)
        else:
            found[-1] = (command, f"{printed}{line}\n")
        continued = line.endswith("\\") and not found[-1][1]
    return found


def run(script: str, folder: Path) -> str:
    """Return what a shell prints that runs a script in a folder, with our commands on its PATH."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=clean_environment(PATH=path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout
