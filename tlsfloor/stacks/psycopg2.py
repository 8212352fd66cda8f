"""The guard of psycopg2: its connections, and the function that makes most of them.

Its classes are written in C: a subclass takes the place of each, and Python's subclasses get that
as their base.
"""

from __future__ import annotations

import gc
import sys
import weakref
from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks import _libpq
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_gates = Gates()
_installed: set[ModuleType] = set()

# Connections older than the floor that was caught up with, and whether there may be unknown ones.
_older: list[Any] = []
_caught_up = current.NO_FLOOR
_unknown = False


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
    """Find the connections that are older than the floor, for ``below``."""
    global _caught_up, _unknown
    if current.held <= _caught_up:
        return
    _caught_up = current.held
    # A list of all objects would hold tuples that other threads are just building, who then fail
    # (CPython, bpo-15108), and nothing smaller leads to instances of a static C type.
    _unknown = len(sys._current_frames()) > 1
    if not _unknown:
        module: Any = sys.modules["psycopg2._psycopg"]
        kind = module.connection.__mro__[-2]  # the C type itself
        _older[:] = [weakref.ref(each) for each in gc.get_objects() if isinstance(each, kind)]


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is."""
    return _gates.undone() if module._psycopg in _installed else "it is not guarded"


def below() -> list[str]:
    """Describe the open connections that are, or may be, below the floor."""
    found = []
    for each in [ref() for ref in _older]:
        if each is not None and each.closed == 0:
            version = each.info.ssl_attribute("protocol") if each.info.ssl_in_use else ""
            begun = each.status != 0  # CONN_STATUS_SETUP: its handshake is still to come
            if (version or not begun) and versions.OPENSSL_NAMES.get(version, 0) < current.held:
                found.append(f"{version or 'unfinished'} connection: {each!r}")
    if _unknown:
        found.append("perhaps connections of psycopg2: with other threads they are not looked for")
    return found


def _install(module: Any) -> None:
    """Put subclasses where psycopg2's C classes are, and hold what connects in C."""
    real, replication = module.connection, module.ReplicationConnection

    def parse(given: Any) -> dict[str, str] | None:
        try:
            said: dict[str, str] = module.parse_dsn(given)
        except module.ProgrammingError:
            return None
        return said

    def ask(string: str) -> str:
        trial = real.__new__(real)
        try:
            real.__init__(trial, string)
        except module.OperationalError as error:
            return str(error)
        return ""

    library = (parse, ask)
    _libpq.check(library, "psycopg2")

    for kind in (real, replication):
        made = _libpq.stand_in(kind, {"__init__": _holding_init(kind.__init__, library)})
        for cls in kind.__subclasses__():
            if cls not in (made, replication):
                cls.__bases__ = tuple(made if base is kind else base for base in cls.__bases__)
        _libpq.replace(kind, made, _gates)
    _libpq.replace(module._connect, _libpq.holding(module._connect, library), _gates)


def _holding_init(init: Any, library: _libpq.Library) -> Any:
    @wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes a method
        _libpq.call(init.__get__(self), args, kwargs, library)

    return __init__
