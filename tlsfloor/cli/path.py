"""Print the folder that arms every Python that finds it on PYTHONPATH.

Examples:
  $ export PYTHONPATH="$(tlsfloor path)"
      arm every Python that this shell starts

Exit statuses:
  0     the folder was printed
  2     the call was wrong; nothing was done
"""

from __future__ import annotations

import argparse

from tlsfloor.policy import bootstrap_folder


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options: there are none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print the folder."""
    del arguments
    print(bootstrap_folder())
    return 0
