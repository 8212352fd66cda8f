"""The guard of ``libpq``, PostgreSQL's C library: psycopg (binary, C and ctypes) and psycopg2.

Every string that a driver hands to libpq goes through ``conninfo.held`` first. Functions and
classes of C are replaced in every module that has them, and Python's subclasses get the new class
as their base. A late floor does not reach those that somebody keeps elsewhere than in a module, nor
``pgconn.reset()`` of a connection that is older; ``below`` names such a connection.
"""

from __future__ import annotations

import gc
import sys
import weakref
from abc import ABCMeta
from types import ModuleType

import wrapt

from tlsfloor import versions
from tlsfloor.ledger import counts
from tlsfloor.stacks.conninfo import MINIMUM, NUMBERS, check, held
from tlsfloor.stacks.contexts import refusal
from tlsfloor.stacks.gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What the gates compare with; written by guard() only, and never lowered.
_floor = 0
_set_by = ""

_gates = Gates()
# Gates in modules of others: what these do with names of their own is their own affair.
_copies = Gates()
_bases: list[tuple[Any, tuple[type, ...]]] = []
_guarded: set[str] = set()

# Connections of psycopg2 that are older than the floor, and whether there may be unknown ones.
_older: list[Any] = []
_unknown = False


def guard(module: ModuleType, floor: int, set_by: str) -> str:
    """Hold the floor on every connection that ``module`` makes.

    Raises:
        GuardError: its libpq knows no minimum (before PostgreSQL 13), or does not answer as known.

    .. versionadded:: 0.1
    """
    global _floor, _set_by
    if floor > _floor:
        _floor, _set_by = floor, set_by
    if module.__name__ not in _guarded:
        (_install_psycopg if module.__name__ == "psycopg" else _install_psycopg2)(module)
        _guarded.add(module.__name__)
    return "guarded"


def catch_up() -> None:
    """Find the connections of psycopg2 that are older than the floor, for ``below``.

    .. versionadded:: 0.1
    """
    global _unknown
    module: Any = sys.modules.get("psycopg2._psycopg")
    if module is None or _older:
        return
    # A list of all objects would hold tuples that other threads are just building, who then fail
    # (CPython, bpo-15108), and nothing smaller leads to instances of a static C type.
    _unknown = len(sys._current_frames()) > 1
    if not _unknown:
        kind = module.connection.__mro__[-2]  # the C type itself
        _older.extend(weakref.ref(each) for each in gc.get_objects() if isinstance(each, kind))


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is.

    .. versionadded:: 0.1
    """
    return _gates.undone() if module.__name__ in _guarded else "it is not guarded"


def undo() -> None:
    """Put everything back exactly as it was. For tests, which compare before and after.

    .. versionadded:: 0.1
    """
    global _floor
    _floor = 0
    _gates.undo()
    _copies.undo()
    for cls, bases in _bases:
        cls.__bases__ = bases
    for memory in (_bases, _guarded, _older):
        memory.clear()


def below(floor: int) -> list[str]:
    """Describe the open connections that are, or may be, below the floor.

    .. versionadded:: 0.1
    """
    found = []
    for each in [ref() for ref in _older]:
        if each is not None and each.closed == 0:
            version = each.info.ssl_attribute("protocol") if each.info.ssl_in_use else ""
            begun = each.status != 0  # CONN_STATUS_SETUP: its handshake is still to come
            if (version or not begun) and versions.OPENSSL_NAMES.get(version, 0) < floor:
                found.append(f"{version or 'unfinished'} connection: {each!r}")
    if _unknown:
        found.append("perhaps connections of psycopg2: with other threads they are not looked for")
    module: Any = sys.modules.get("psycopg")
    kinds = () if module is None else (module.Connection, module.AsyncConnection)
    return found + [
        f"connection that accepted less, and does not tell its version: {each!r}"
        for each in instances(kinds)
        if not each.closed and each.pgconn.ssl_in_use and _is_low(each.pgconn, floor)
    ]


def _is_low(pgconn: Any, floor: int) -> bool:
    """Tell whether a connection of psycopg may speak TLS, with a minimum below the floor."""
    said = {option.keyword.decode(): (option.val or b"").decode() for option in pgconn.info}
    without = said["sslmode"] == "disable" or pgconn.host.startswith((b"/", b"@"))  # Unix sockets
    return not without and NUMBERS.get(said[MINIMUM].lower(), 0) < floor


def _refuse_low(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Refuse to connect once more for a connection that is older than the floor."""
    if _is_low(instance.pgconn, _floor):
        counts["refused"] += 1
        raise refusal(
            "this connection is older than the floor and would be made again as it was",
            "close it and open a new one",
            _floor,
            _set_by,
        )
    return wrapped(*args, **kwargs)


def _install_psycopg(module: Any) -> None:
    """Hold what connects in psycopg's class of connections of libpq, and in its generators."""
    pq = module.pq
    real, start, bad = pq.PGconn, pq.PGconn.connect_start, pq.ConnStatus.BAD

    def parse(given: Any) -> dict[str, str] | None:
        try:
            options = pq.Conninfo.parse(given.encode() if isinstance(given, str) else given)
        except module.OperationalError:
            return None
        said = {option.keyword.decode(): option.val for option in options}
        return {
            name: value.decode("utf-8", "surrogateescape")
            for name, value in said.items()
            if value is not None
        }

    def ask(string: str) -> str:
        trial = start(string.encode("utf-8", "surrogateescape"))
        said: str = trial.error_message.decode("utf-8", "replace") if trial.status == bad else ""
        trial.finish()
        return said

    hold = _holding(parse, ask, "psycopg")
    names = ("connect", "connect_start", "ping")
    if pq.__impl__ == "python":
        for name in names:
            _gates.put(real, name, wrapt.FunctionWrapper(vars(real)[name], hold))
    else:
        gates = [wrapt.FunctionWrapper(getattr(real, name), hold) for name in names]
        _replace(real, _subclass(real, dict(zip(names, map(staticmethod, gates)))))
    connect, base = module.generators.connect, module._connection_base.BaseConnection
    _replace(connect, wrapt.FunctionWrapper(connect, hold))
    if hasattr(base, "_cancel_gen"):  # since psycopg 3.2: it makes a connection of its own
        _gates.put(base, "_cancel_gen", wrapt.FunctionWrapper(base._cancel_gen, _refuse_low))


def _install_psycopg2(package: Any) -> None:
    """Put subclasses where psycopg2's C classes are, and hold what connects in C."""
    module = package._psycopg
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

    hold = _holding(parse, ask, "psycopg2")
    for kind in (real, replication):
        made = _subclass(kind, {"__init__": wrapt.FunctionWrapper(kind.__init__, hold)})
        for cls in kind.__subclasses__():
            if cls not in (made, replication):
                _bases.append((cls, cls.__bases__))
                cls.__bases__ = tuple(made if base is kind else base for base in cls.__bases__)
        _replace(kind, made)
    _replace(module._connect, wrapt.FunctionWrapper(module._connect, hold))


def _holding(parse: Any, ask: Any, name: str) -> Callable[..., Any]:
    """Return what calls a function that connects, with a string that keeps to the floor."""
    check((parse, ask), name)

    def hold(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        if args and isinstance(args[0], (str, bytes)):  # or the function refuses it, in C
            args = (held(args[0], _floor, (parse, ask)), *args[1:])
        for key in ("conninfo", "dsn"):
            if isinstance(kwargs.get(key), (str, bytes)):
                kwargs = {**kwargs, key: held(kwargs[key], _floor, (parse, ask))}
        return wrapped(*args, **kwargs)

    return hold


def _subclass(real: Any, methods: dict[str, Any]) -> Any:
    """Return a class that can stand for a C class: the instances of that one are its own."""

    def __subclasshook__(cls: type, other: type) -> Any:  # noqa: N807 - it becomes a method
        return issubclass(other, real) if cls is made else NotImplemented

    about = {name: getattr(real, name) for name in ("__module__", "__qualname__", "__doc__")}
    about.update(methods, __slots__=(), __subclasshook__=classmethod(__subclasshook__))
    made = ABCMeta(real.__name__, (real,), about)
    return made


def _replace(before: Any, after: Any) -> None:
    """Put ``after`` where ``before`` is, in every module that has it, whatever its name there."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            # Not vars(): a module that importlib loads lazily would be loaded by that.
            for name, value in list(object.__getattribute__(module, "__dict__").items()):
                if value is before:
                    ours = module.__name__.startswith("psycopg")
                    (_gates if ours else _copies).put(module, name, after)
