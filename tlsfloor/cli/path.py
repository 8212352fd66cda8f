"""``tlsfloor path``: the folder that arms a Python from PYTHONPATH."""

from __future__ import annotations

import argparse
import os

import tlsfloor

#: Its one file is all that may be found through it.
BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(tlsfloor.__file__)), "bootstrap")


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options: there are none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print the folder."""
    del arguments
    print(BOOTSTRAP)
    return 0
