"""Tells PyInstaller, by an entry point, where the hook is that says what belongs to tlsfloor."""

import os


def folders() -> "list[str]":
    """Return the folder of the hook.

    .. versionadded:: 0.1
    """
    return [os.path.dirname(__file__)]
