"""The guard of ``libpq``, PostgreSQL's C library: psycopg (binary, C and ctypes) and psycopg2.

libpq takes its minimum from the connection string, or else the service that this names, or the
environment, or its own default (PostgreSQL manual, "Database Connection Control Functions"). So
every string that a driver hands to libpq goes through ``held``, which writes the minimum into it.

Functions and classes of C are replaced in every module that has them, and Python's subclasses get
the new class as their base. A late floor does not reach those that somebody keeps elsewhere, nor
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
from tlsfloor.errors import GuardError
from tlsfloor.ledger import counts
from tlsfloor.stacks.contexts import refusal
from tlsfloor.stacks.gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    # Parse a string into what it says, or None if libpq cannot; ask what libpq has against one.
    Library = tuple[Callable[[Any], dict[str, str] | None], Callable[[str], str]]

# What the gates compare with; written by guard() only, and never lowered.
_floor = 0
_set_by = ""

# PostgreSQL, fe-connect.c, sslVerifyProtocolVersion(): these, in any case, or empty for no bound.
_NAMES = {wire: f"TLSv{name}".replace("v1.0", "v1") for name, wire in versions.FLOORS.items()}
_NUMBERS = {name.lower(): wire for wire, name in _NAMES.items()}
_MINIMUM, _MAXIMUM = "ssl_min_protocol_version", "ssl_max_protocol_version"
_CROSSED = {_MINIMUM: "TLSv1.3", _MAXIMUM: "TLSv1.2"}
# What libpq refuses before it connects, but after it compared the bounds (fe-connect.c,
# pqConnectOptions2()); with a password it does not look for one in files.
_REFUSED = {"gssencmode": "refused", "password": "none"}

_gates = Gates()
# Gates in modules of others. What these do with names of their own is their own affair.
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
    global _floor, _unknown
    _floor, _unknown = 0, False
    _gates.undo()
    _copies.undo()
    while _bases:
        cls, cls.__bases__ = _bases.pop()
    _guarded.clear()
    _older.clear()


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
    return not without and _NUMBERS.get(said[_MINIMUM].lower(), 0) < floor


def held(given: Any, library: Library) -> Any:
    """Return a connection string that says the same, and says a minimum at the floor or above."""
    parse, ask = library
    said = parse(given)
    if said is None:  # so it cannot be used to connect either
        return given

    def answer(**more: str) -> str:
        return ask(_string({**said, **more, **_REFUSED}))

    # Where a bound comes from is not ours to guess: the minimum in force is the first version that
    # libpq would take as a maximum. Written into the string, it is safe from a change meanwhile.
    crossed = answer(**_CROSSED)
    floor = _NAMES[_floor]
    lowest = next((wire for wire in _NAMES if answer(**{_MAXIMUM: _NAMES[wire]}) != crossed), 0)
    bounds = {}
    if said.get(_MINIMUM, "").lower() in ("", *_NUMBERS):  # libpq refuses any other
        bounds[_MINIMUM] = _NAMES[max(lowest, _floor)]
    if answer(**{_MINIMUM: floor}) == crossed:
        bounds[_MAXIMUM] = floor
    asked = [_NUMBERS[said[each].lower()] for each in bounds if said.get(each)]
    if _MAXIMUM in bounds or any(wire < _floor for wire in asked):
        counts["clamped"] += 1
    elif lowest < _floor:
        counts["raised"] += 1
    string = _string({**said, **bounds})
    return string if isinstance(given, str) else string.encode("utf-8", "surrogateescape")


def _string(said: dict[str, str]) -> str:
    """Return a connection string: of two mentions the last one counts, so each is made once."""
    quoted = [(name, said[name].replace("\\", "\\\\").replace("'", "\\'")) for name in said]
    return " ".join(f"{name}='{value}'" for name, value in quoted)


def _check(library: Library, module: ModuleType) -> None:
    """Make sure that libpq knows a minimum, and answers as ``held`` needs it."""
    parse, ask = library
    crossed, accepted = {**_CROSSED, **_REFUSED}, {**_CROSSED, _MAXIMUM: "TLSv1.3", **_REFUSED}
    if parse(_string(crossed)) == crossed and ask(_string(crossed)) != ask(_string(accepted)) != "":
        return
    raise GuardError(
        f"the libpq of {module.__name__} cannot be held to a floor: it knows no {_MINIMUM}",
        hint="use a build of it with the libpq of PostgreSQL 13 or newer",
    )


def _install_psycopg(module: Any) -> None:
    """Hold what connects in psycopg's class of C connections, and the generator of all others."""
    pq = module.pq
    real = pq.PGconn
    start, bad = real.connect_start, pq.ConnStatus.BAD

    def parse(given: Any) -> dict[str, str] | None:
        try:
            options = pq.Conninfo.parse(given.encode() if isinstance(given, str) else given)
        except module.OperationalError:
            return None
        return {
            option.keyword.decode(): option.val.decode("utf-8", "surrogateescape")
            for option in options
            if option.val is not None
        }

    def ask(string: str) -> str:
        trial = start(string.encode("utf-8", "surrogateescape"))
        said: str = trial.error_message.decode("utf-8", "replace") if trial.status == bad else ""
        trial.finish()
        return said

    library = (parse, ask)
    _check(library, module)
    hold = _holding(library)
    connect, base = module.generators.connect, module._connection_base.BaseConnection
    names = ("connect", "connect_start", "ping")
    if pq.__impl__ == "python":
        for name in names:
            _gates.put(real, name, wrapt.FunctionWrapper(vars(real)[name], hold))
    else:
        _replace(
            real, _subclass(real, {name: _static(getattr(real, name), hold) for name in names})
        )
    _replace(connect, wrapt.FunctionWrapper(connect, hold))
    if hasattr(base, "_cancel_gen"):  # psycopg 3.2 and newer: a connection of its own
        _gates.put(base, "_cancel_gen", wrapt.FunctionWrapper(base._cancel_gen, _refuse_low))


def _install_psycopg2(module: Any) -> None:
    """Put subclasses where psycopg2's C classes are, and hold what connects in C."""
    module = module._psycopg
    real = module.connection

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
    _check(library, module)
    hold = _holding(library)
    for kind in (real, module.ReplicationConnection):
        below_it = [cls for cls in kind.__subclasses__() if cls is not module.ReplicationConnection]
        made = _subclass(kind, {"__init__": wrapt.FunctionWrapper(kind.__init__, hold)})
        for cls in below_it:
            _bases.append((cls, cls.__bases__))
            cls.__bases__ = tuple(made if base is kind else base for base in cls.__bases__)
        _replace(kind, made)
    _replace(module._connect, wrapt.FunctionWrapper(module._connect, hold))


def _holding(library: Library) -> Callable[..., Any]:
    """Return what calls a function that connects, with a string that keeps to the floor."""

    def hold(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        if args and isinstance(args[0], (str, bytes)):  # or the function refuses it, in C
            args = (held(args[0], library), *args[1:])
        for name in ("conninfo", "dsn"):
            if isinstance(kwargs.get(name), (str, bytes)):
                kwargs = {**kwargs, name: held(kwargs[name], library)}
        return wrapped(*args, **kwargs)

    return hold


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


def _static(function: Any, wrapper: Any) -> Any:
    return staticmethod(wrapt.FunctionWrapper(function, wrapper))


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
