"""Ports for servers that cannot listen on port 0, because they do not print which one they got."""

from __future__ import annotations

import atexit
import contextlib
import socket
import sys


def reserved_port(also: int = 0) -> int:
    """Return a port of 127.0.0.1 that stays reserved until this process ends.

    A socket is bound to the port, so that the system gives it to no other program, and does not
    listen, so that a server that sets ``SO_REUSEADDR`` can still listen there. Linux permits that;
    elsewhere the port is only free now. ``also`` reserves the port that is so far above it, too.
    """
    while True:
        with contextlib.ExitStack() as stack:
            first = _bound(stack, 0)
            try:
                if also:
                    _bound(stack, first + also)
            except (OSError, OverflowError):  # taken, or above 65535
                continue
            held = stack.pop_all()
        if sys.platform == "linux":
            atexit.register(held.close)
        else:
            held.close()
        return first


def _bound(stack: contextlib.ExitStack, port: int) -> int:
    one = stack.enter_context(socket.socket())
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", port))
    found: int = one.getsockname()[1]
    return found
