"""The guard of mysqlclient (``MySQLdb``) and ``mariadb``, which connect by libmariadb.

libmariadb accepts TLS 1.0 by default (1.1 from its version 3.4), and has one option for it,
``tls-version``. mysqlclient has no argument for that, ``mariadb`` has; a "host" may be a connection
string that sets it, and so may an option file, which is read last (libmariadb,
``mthd_my_real_connect``). So each connection is given an option file of ours, which includes the
one that was asked for and ends with the floor: nothing can follow it.

MySQL's own libmysqlclient in its place refuses 1.0 and 1.1 by itself (tested with the copy in
mysql-connector, see ``mysql_connector``); a floor of 1.3 is not held on it.

The C type ``connection`` cannot be changed: a subclass takes its place in its module. A subclass
that exists already (``MySQLdb.connections.Connection``, with a late floor) is changed in place. A
late floor does not reach a ``connection`` or ``connect`` that a program took from the C module
itself, nor a connection of mysqlclient that ``ping(True)`` told to reconnect by itself; ``below()``
reports the second.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._mysql_options import LibMariaDB, MemoryFile, has_new_libmysqlclient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The C module -> its arguments that matter here, and their places if they are not named: option
# file, group, host, version.
_ARGUMENTS = {
    "MySQLdb._mysql": {"read_default_file": 11, "read_default_group": 12, "host": 0},
    "mariadb._mariadb": {"default_file": 13, "default_group": 14, "host": 1, "tls_version": 33},
}

_gates = Gates()

# Each connection, and the floor at which it was made.
_floor_of: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection that ``module`` makes from now on."""
    file = str(module.__file__)
    try:
        library = LibMariaDB(file)
    except AttributeError as error:
        if current.held <= versions.TLS1_2 and has_new_libmysqlclient(file):
            return "inherent"
        return f"uncovered: it is not linked to a libmariadb that can be asked: {error}"
    except OSError as error:
        return f"uncovered: it is not a library that can be asked: {error}"
    problem = library.problem(current.held)
    if problem:
        return f"uncovered: {problem}"
    real = module.connection
    if real not in _gates.owners():
        made: Any = type(real.__name__, (real,), {"__module__": real.__module__})
        for cls in real.__subclasses__():
            _install(cls, library, _ARGUMENTS[module.__name__])
        for name in ("connection", "connect"):
            _gates.put(module, name, made)
    return "guarded"


def catch_up() -> None:
    """Keep connections that are older than the floor from reconnecting by themselves."""
    for connection in _older():
        if getattr(connection, "auto_reconnect", False):
            connection.auto_reconnect = False


def below() -> list[str]:
    """Describe the open connections that are older than the floor: few report their version."""
    return [f"connection older than the floor: {connection!r}" for connection in _older()]


def _older() -> list[Any]:
    """Return the connections that are open and were not made at this floor."""
    found = instances(owner for owner in _gates.owners() if isinstance(owner, type))
    # mysqlclient has ``open``; in ``mariadb`` that asks the server.
    return [
        connection
        for connection in found
        if _floor_of.get(connection, 0) < current.held
        and not (connection._closed if hasattr(connection, "_closed") else not connection.open)
    ]


def _install(cls: Any, library: LibMariaDB, places: dict[str, int]) -> None:
    """Put the gates on one class of connections."""
    init = cls.__init__
    name, place = next(iter(places.items()))

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - a method
        asked = [
            args[at] if len(args) > at else kwargs.get(argument) for argument, at in places.items()
        ]
        floor = current.held
        options = library.floored(floor, *asked)
        if not options or "://" in str(asked[2]):  # a URL is for a plugin, which was never tested
            _refuse(f"it cannot be held on {asked[2]!r} with the option file {asked[0]!r}")
        with MemoryFile(options) as path:
            if len(args) > place:
                args = (*args[:place], path, *args[place + 1 :])
            else:
                kwargs[name] = path
            init(self, *args, **kwargs)
        _floor_of[self] = floor

    __init__.__doc__ = init.__doc__
    _gates.put(cls, "__init__", __init__)
    # What connects again with its old options: always, or if an argument says so.
    for again, always in (("reconnect", True), ("ping", False)):
        if hasattr(cls, again):
            _gates.put(cls, again, _refusing_older(getattr(cls, again), always=always))
    if hasattr(cls, "auto_reconnect"):
        real = cls.auto_reconnect
        write = _refusing_older(real.__set__, always=False)
        _gates.put(cls, "auto_reconnect", property(real.__get__, write, doc=real.__doc__))


def _refusing_older(method: Any, *, always: bool) -> Any:
    def gate(self: Any, *args: Any) -> Any:
        if (always or any(args)) and _floor_of.get(self, 0) < current.held:
            _refuse("this connection is older than the floor, and would be made again without it")
        return method(self, *args)

    gate.__name__, gate.__doc__ = method.__name__, method.__doc__
    return gate


def _refuse(problem: str) -> None:
    current.counts["refused"] += 1
    raise refusal(problem, "make a new connection, by host name, without an option file of its own")
