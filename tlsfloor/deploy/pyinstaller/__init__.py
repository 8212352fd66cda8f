"""The entry point by which PyInstaller finds the hook for programs that import tlsfloor."""

import os


def folders() -> "list[str]":
    """Return the folder of the hook."""
    return [os.path.dirname(__file__)]
