"""``tlsfloor path``: the folder that arms a Python from PYTHONPATH."""

from __future__ import annotations

from pathlib import Path

import tlsfloor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

#: Its one file is all that may be found through it.
BOOTSTRAP = str(Path(tlsfloor.__file__).resolve().parent / "bootstrap")


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options: there are none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print the folder."""
    del arguments
    print(BOOTSTRAP)
    return 0
