"""The guard of what connects through libmariadb: mysqlclient (``MySQLdb``) and ``mariadb``.

libmariadb accepts TLS 1.0 by default (1.1 from its version 3.4), and has one option for it,
``tls-version``. mysqlclient has no argument for that, ``mariadb`` has; a "host" may be a connection
string that sets it, and so may an option file, which is read last (libmariadb,
``mthd_my_real_connect``). So the floor goes where nobody can write behind it: each connection is
given an option file of ours, which includes the one that was asked for and ends with the floor.

MySQL's own libmysqlclient in its place refuses 1.0 and 1.1 by itself (seen with what
``mysql_connector`` guards, which has it inside); a floor of 1.3 is not held on it.

The C type ``connection`` cannot be changed: a subclass takes its place in its module. A subclass
that exists already (``MySQLdb.connections.Connection``, of a late floor) is changed in place. What
a late floor does not reach: a ``connection`` or ``connect`` that was taken from the C module itself
before, and a connection of mysqlclient that was told by ``ping(True)`` to reconnect by itself.
``below`` names the latter.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._mysql_options import Library, Passing, has_new_libmysqlclient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The C module -> its arguments that matter here, and where they come when they are not named:
# option file, group, host, version.
_ARGUMENTS = {
    "MySQLdb._mysql": {"read_default_file": 11, "read_default_group": 12, "host": 0},
    "mariadb._mariadb": {"default_file": 13, "default_group": 14, "host": 1, "tls_version": 33},
}

_gates = Gates()

# Each connection, and the floor under which it was made.
_made: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection that ``module`` makes from now on."""
    file = str(module.__file__)
    try:
        library = Library(file)
    except AttributeError as error:
        if current.held <= versions.TLS1_2 and has_new_libmysqlclient(file):
            return "inherent"
        return f"uncovered: it is not linked to a libmariadb that can be asked: {error}"
    except OSError as error:
        return f"uncovered: it is not a library that can be asked: {error}"
    problem = library.problem(current.held)
    if problem:
        return f"uncovered: {problem}"
    made = module.connection
    if made not in _gates.owners():
        ours: Any = type(made.__name__, (made,), {"__module__": made.__module__})
        for cls in made.__subclasses__():
            _install(cls, library, _ARGUMENTS[module.__name__])
        for name in ("connection", "connect"):
            _gates.put(module, name, ours)
    return "guarded"


def catch_up() -> None:
    """Let no connection that is older than the floor be made again, as it was, by itself."""
    for thing in _older():
        if getattr(thing, "auto_reconnect", False):
            thing.auto_reconnect = False


def below() -> list[str]:
    """Describe the open connections that are older than the floor: few tell their version."""
    return [f"connection older than the floor: {thing!r}" for thing in _older()]


def _older() -> list[Any]:
    """Return the connections that are open and were not made under this floor."""
    found = instances(owner for owner in _gates.owners() if isinstance(owner, type))
    # mysqlclient says ``open``; in ``mariadb`` that asks the server.
    return [
        thing
        for thing in found
        if _made.get(thing, 0) < current.held
        and not (thing._closed if hasattr(thing, "_closed") else not thing.open)
    ]


def _install(cls: Any, library: Library, places: dict[str, int]) -> None:
    """Put the gates on one class of connections."""
    init = cls.__init__
    name, place = next(iter(places.items()))

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes a method
        asked = [
            args[at] if len(args) > at else kwargs.get(argument) for argument, at in places.items()
        ]
        floor = current.held
        options = library.floored(floor, *asked)
        if not options or "://" in str(asked[2]):  # the latter is for a plugin: not tried
            _refuse(f"it cannot be held on {asked[2]!r} with the option file {asked[0]!r}")
        with Passing(options) as path:
            if len(args) > place:
                args = (*args[:place], path, *args[place + 1 :])
            else:
                kwargs[name] = path
            init(self, *args, **kwargs)
        _made[self] = floor

    __init__.__doc__ = init.__doc__
    _gates.put(cls, "__init__", __init__)
    # What makes a connection again with its old options: always, or if an argument says so.
    for again, always in (("reconnect", True), ("ping", False)):
        if hasattr(cls, again):
            _gates.put(cls, again, _gate_again(getattr(cls, again), always=always))
    if hasattr(cls, "auto_reconnect"):
        real = cls.auto_reconnect
        write = _gate_again(real.__set__, always=False)
        _gates.put(cls, "auto_reconnect", property(real.__get__, write, doc=real.__doc__))


def _gate_again(method: Any, *, always: bool) -> Any:
    def gate(self: Any, *args: Any) -> Any:
        if (always or any(args)) and _made.get(self, 0) < current.held:
            _refuse("a connection that is older than the floor would be made again as it was")
        return method(self, *args)

    gate.__name__, gate.__doc__ = method.__name__, method.__doc__
    return gate


def _refuse(problem: str) -> None:
    current.counts["refused"] += 1
    raise refusal(problem, "make a new connection, in a plain way")
