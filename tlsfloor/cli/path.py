"""``tlsfloor path``: print the folder that arms a Python through PYTHONPATH."""

from __future__ import annotations

from tlsfloor.policy import bootstrap_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options: there are none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print the folder."""
    del arguments
    print(bootstrap_folder())
    return 0
