"""The guard of psycopg2: its connection classes, and the function that makes most connections.

Both are written in C. A subclass takes the place of each class, and becomes the base of the Python
classes that derive from it. Each connection gets a connection string with a minimum (``_libpq``).
"""

from __future__ import annotations

import gc
import sys
import weakref
from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._gates import Gates
from tlsfloor.stacks._libpq import LibPQ
from tlsfloor.stacks._stand_ins import rebase, replace, stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_gates = Gates()
_installed: set[ModuleType] = set()

# Connections older than the floor that was last caught up with, and whether others may exist.
_older: list[Any] = []
_caught_up = current.NO_FLOOR
_incomplete = False


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection that ``module`` makes.

    Raises:
        GuardError: its libpq knows no minimum (before PostgreSQL 13), or does not answer as known.
    """
    inner = module._psycopg  # another one in a psycopg2 that was removed and imported again
    if inner not in _installed:
        _install(inner)
        _installed.add(inner)
    return "guarded"


def catch_up() -> None:
    """Find the connections that are older than the floor, for ``below()``."""
    global _caught_up, _incomplete
    if current.held <= _caught_up:
        return
    _caught_up = current.held
    # A list of all objects would hold tuples that other threads are building, and those threads
    # would fail (CPython, bpo-15108). Nothing smaller leads to instances of a static C type.
    _incomplete = len(sys._current_frames()) > 1
    if not _incomplete:
        module: Any = sys.modules["psycopg2._psycopg"]
        kind = module.connection.__mro__[-2]  # the C type itself
        _older[:] = [weakref.ref(thing) for thing in gc.get_objects() if isinstance(thing, kind)]


def undone(module: ModuleType) -> str:
    """Return which gate is no longer in place; empty if all of them are."""
    return _gates.undone() if module._psycopg in _installed else "it is not guarded"


def below() -> list[str]:
    """Describe the open connections that are, or may be, below the floor."""
    found = []
    for connection in [reference() for reference in _older]:
        if connection is not None and connection.closed == 0:
            info = connection.info
            version = info.ssl_attribute("protocol") if info.ssl_in_use else ""
            begun = connection.status != 0  # CONN_STATUS_SETUP: before its handshake
            if (version or not begun) and versions.OPENSSL_NAMES.get(version, 0) < current.held:
                found.append(f"{version or 'unfinished'} connection: {connection!r}")
    if _incomplete:
        found.append("perhaps connections of psycopg2: not searched, because threads are running")
    return found


def _install(module: Any) -> None:
    """Replace psycopg2's C classes, and its C function that connects."""
    real, replication = module.connection, module.ReplicationConnection

    def parse(given: Any) -> dict[str, str] | None:
        try:
            options: dict[str, str] = module.parse_dsn(given)
        except module.ProgrammingError:
            return None
        return options

    def ask(string: str) -> str:
        trial = real.__new__(real)
        try:
            real.__init__(trial, string)
        except module.OperationalError as error:
            return str(error)
        return ""

    libpq = LibPQ("psycopg2", parse, ask)

    def constructor(init: Any) -> Any:
        @wraps(init)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - a method
            libpq.call(init.__get__(self), args, kwargs)

        return __init__

    for kind in (real, replication):
        made = stand_in(kind, {"__init__": constructor(kind.__init__)})
        rebase(kind, made, but=replication)
        replace(_gates, "psycopg2", kind, made)
    replace(_gates, "psycopg2", module._connect, libpq.wrap(module._connect))
