"""The guard of psycopg 3, in all its implementations (binary, C, ctypes), synchronous or not.

All of its classes connect through ``generators.connect``, which calls libpq in C or else through
``pq.PGconn``, whose methods a program may call as well. Both get a connection string with a minimum
(``_libpq``). A late floor does not reach a C connection that is older and that ``pgconn.reset()``
makes again; ``below()`` reports it.
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor import floor as current
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._libpq import MINIMUM, NUMBERS, LibPQ
from tlsfloor.stacks._stand_ins import replace, stand_in

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
    """Return which gate is no longer in place; empty if all of them are."""
    return _gates.undone() if module.pq in _installed else "it is not guarded"


def below() -> list[str]:
    """Describe the open connections with a minimum below the floor: none reports its version."""
    module: Any = sys.modules["psycopg"]

    def is_below(pgconn: Any) -> bool:
        try:
            return pgconn.ssl_in_use and _is_low(pgconn)
        except module.OperationalError:  # it is closed
            return False

    kinds = (module.Connection, module.AsyncConnection)
    found = [connection for connection in instances(kinds) if is_below(connection.pgconn)]
    return [f"connection with a minimum below the floor: {connection!r}" for connection in found]


def _is_low(pgconn: Any) -> bool:
    """Return whether a connection may use TLS, with a minimum below the floor."""
    options = {option.keyword.decode(): (option.val or b"").decode() for option in pgconn.info}
    # A host may be a Unix socket.
    without = options["sslmode"] == "disable" or pgconn.host.startswith((b"/", b"@"))
    return not without and NUMBERS.get(options[MINIMUM].lower(), 0) < current.held


def _refusing_low(method: Any) -> Any:
    """Return a method that refuses to connect again for a connection older than the floor."""

    @wraps(method)
    def gate(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_low(self.pgconn):
            current.counts["refused"] += 1
            raise refusal(
                "this connection is older than the floor, and would be made again without it",
                "close it and open a new one",
            )
        return method(self, *args, **kwargs)

    return gate


def _install(module: Any) -> None:
    """Put gates on psycopg's class of libpq connections, and on the generator that connects."""
    pq = module.pq
    real, start, bad = pq.PGconn, pq.PGconn.connect_start, pq.ConnStatus.BAD

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
        error: str = trial.error_message.decode("utf-8", "replace") if trial.status == bad else ""
        trial.finish()
        return error

    libpq = LibPQ("psycopg", parse, ask)

    def class_method(method: Any) -> Any:
        @wraps(method)
        def gate(cls: Any, *args: Any, **kwargs: Any) -> Any:
            return libpq.call(method.__get__(cls), args, kwargs)

        return classmethod(gate)

    names = ("connect", "connect_start", "ping")
    if pq.__impl__ == "python":
        for name in names:
            _gates.put(real, name, class_method(vars(real)[name].__func__))
    else:
        gates = {name: staticmethod(libpq.wrap(getattr(real, name))) for name in names}
        replace(_gates, "psycopg", real, stand_in(real, gates))
    connect, base = module.generators.connect, module.BaseConnection
    replace(_gates, "psycopg", connect, libpq.wrap(connect))
    if hasattr(base, "_cancel_gen"):  # since psycopg 3.2: it makes a connection of its own
        _gates.put(base, "_cancel_gen", _refusing_low(base._cancel_gen))
