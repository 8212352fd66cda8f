"""The guard of psycopg 3, in all its implementations (binary, C, ctypes), synchronous or not.

All of its classes connect through ``generators.connect``, which calls libpq in C or else through
``pq.PGconn``, whose methods a program may call as well. A late floor does not reach a C connection
that is older and that ``pgconn.reset()`` makes once more; ``below`` names it.
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor import floor as current
from tlsfloor.stacks import _libpq
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_gates = Gates()
_installed: set[ModuleType] = set()


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection that ``module`` makes.

    Raises:
        GuardError: its libpq knows no minimum (before PostgreSQL 13), or does not answer as known.
    """
    pq = module.pq  # another one in a psycopg that was removed and imported again
    if pq not in _installed:
        _install(module)
        _installed.add(pq)
    return "guarded"


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is."""
    return _gates.undone() if module.pq in _installed else "it is not guarded"


def below() -> list[str]:
    """Describe the open connections that accepted less; which version it became, none tells."""
    module: Any = sys.modules["psycopg"]

    def accepted_less(pgconn: Any) -> bool:
        try:
            return pgconn.ssl_in_use and _is_low(pgconn)
        except module.OperationalError:  # it is closed
            return False

    kinds = (module.Connection, module.AsyncConnection)
    return [
        f"connection that accepted less: {each!r}"
        for each in instances(kinds)
        if accepted_less(each.pgconn)
    ]


def _is_low(pgconn: Any) -> bool:
    """Tell whether a connection of psycopg may speak TLS, with a minimum below the floor."""
    said = {option.keyword.decode(): (option.val or b"").decode() for option in pgconn.info}
    without = said["sslmode"] == "disable" or pgconn.host.startswith((b"/", b"@"))  # Unix sockets
    return not without and _libpq.NUMBERS.get(said[_libpq.MINIMUM].lower(), 0) < current.held


def _refusing_low(method: Any) -> Any:
    """Return a method that does not connect once more for a connection older than the floor."""

    @wraps(method)
    def gate(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_low(self.pgconn):
            current.counts["refused"] += 1
            raise refusal(
                "this connection is older than the floor and would be made again as it was",
                "close it and open a new one",
            )
        return method(self, *args, **kwargs)

    return gate


def _holding_class(method: Any, library: _libpq.Library) -> Any:
    """Return a class method that stands in for one that connects."""

    @wraps(method)
    def gate(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return _libpq.call(method.__get__(cls), args, kwargs, library)

    return classmethod(gate)


def _install(module: Any) -> None:
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

    library = (parse, ask)
    _libpq.check(library, "psycopg")

    names = ("connect", "connect_start", "ping")
    if pq.__impl__ == "python":
        for name in names:
            _gates.put(real, name, _holding_class(vars(real)[name].__func__, library))
    else:
        gates = {name: _libpq.holding(getattr(real, name), library) for name in names}
        made = _libpq.stand_in(real, {name: staticmethod(gate) for name, gate in gates.items()})
        _libpq.replace(real, made, _gates)
    connect, base = module.generators.connect, module.BaseConnection
    _libpq.replace(connect, _libpq.holding(connect, library), _gates)
    if hasattr(base, "_cancel_gen"):  # since psycopg 3.2: it makes a connection of its own
        _gates.put(base, "_cancel_gen", _refusing_low(base._cancel_gen))
