"""The guard of what connects through libmariadb: mysqlclient (``MySQLdb``) and ``mariadb``.

libmariadb accepts TLS 1.0 by default (1.1 from its version 3.4), and has one option for it,
``tls-version``, a list of versions. mysqlclient has no argument for that, ``mariadb`` has; the
"host" may be a connection string that sets it, and so may an option file. The option file is read
last and has the last word (libmariadb, ``mthd_my_real_connect``). So the floor goes where nobody
can write behind it: each connection is given an option file of ours, through a pipe, which includes
the one that was asked for and ends with the versions at or above the floor.

What was asked for elsewhere is found out from libmariadb itself, by ``_Library.asked``: a list of
1.3 alone stays one under a floor of 1.2. The same question is asked of the file that a connection
is about to get, which is refused unless the answer is the list that was meant.

The C type ``connection`` cannot be changed: a subclass takes its place in its module. A subclass
that exists already (``MySQLdb.connections.Connection``, of a late floor) is changed in place. Out
of reach is only who took ``connection`` or ``connect`` from the C module itself before that.
"""

from __future__ import annotations

import ctypes
import os
import re
from weakref import WeakKeyDictionary

from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.ledger import counts
from tlsfloor.stacks.contexts import refusal
from tlsfloor.stacks.gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# libmariadb, include/mysql.h
_READ_DEFAULT_FILE, _READ_DEFAULT_GROUP, _TLS_VERSION, _TLS_LIBRARY = 4, 5, 7005, 22

# What ``tls-version`` calls them (libmariadb, ma_tls_version_options).
_NAMES = {
    versions.TLS1_0: "TLSv1.0",
    versions.TLS1_1: "TLSv1.1",
    versions.TLS1_2: "TLSv1.2",
    versions.TLS1_3: "TLSv1.3",
}

# The C module -> its arguments that matter here, and where they come when they are not named.
_ARGUMENTS = {
    "MySQLdb._mysql": {"host": 0, "read_default_file": 11, "read_default_group": 12},
    "mariadb._mariadb": {"host": 1, "default_file": 13, "default_group": 14, "tls_version": 33},
}

_floor = 0
_set_by = ""

_gates = Gates()

# Each connection, and the floor under which it was made.
_made: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def guard(module: ModuleType, floor: int, set_by: str) -> str:
    """Hold the floor on every connection that ``module`` makes from now on.

    Raises:
        GuardError: this libmariadb does not read its option file as others do.

    .. versionadded:: 0.1
    """
    global _floor, _set_by
    try:
        library = _Library(str(module.__file__))
    except AttributeError:
        return "uncovered: it is not built on a libmariadb that can be asked"
    found = re.match(r"OpenSSL (\d+)\.(\d+)\.(\d+)", library.tls)
    if not found:
        return f"uncovered: tls-version was never seen to hold with {library.tls}"
    if floor > versions.TLS1_2 and [int(part) for part in found.groups()] < [1, 1, 1]:
        return f"uncovered: {library.tls} does not speak {versions.name(floor)}"
    if library.asked("[client]\ntls-version=TLSv1.2\n[client]\ntls-version=TLSv1.3\n") != "TLSv1.3":
        raise GuardError(f"libmariadb of {module!r} does not take tls-version from an option file")
    if floor > _floor:
        _floor, _set_by = floor, set_by
    connection = module.connection
    if connection not in _gates.owners():
        names = {"__module__": connection.__module__, "__doc__": connection.__doc__}
        ours = type(connection.__name__, (connection,), names)
        for cls in connection.__subclasses__():
            _install(cls, library, _ARGUMENTS[module.__name__])
        _gates.put(module, "connection", ours)
        _gates.put(module, "connect", ours)
    return "guarded"


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is.

    .. versionadded:: 0.1
    """
    del module
    return _gates.undone()


def below(floor: int) -> list[str]:
    """Describe the connections that are older than the floor: few tell their version.

    .. versionadded:: 0.1
    """
    owners = [owner for owner in _gates.owners() if isinstance(owner, type)]
    return [
        f"connection of a version that was not asked for: {thing!r}"
        for thing in instances(owners)
        if _made.get(thing, 0) < floor
    ]


def undo() -> None:
    """Put everything back exactly as it was. For tests, which compare before and after.

    .. versionadded:: 0.1
    """
    global _floor
    _floor = 0
    _gates.undo()


def _install(cls: Any, library: _Library, places: dict[str, int]) -> None:
    """Put the gates on one class of connections."""
    init = cls.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes a method
        host, file, group, *version = (
            args[place] if len(args) > place else kwargs.get(name)
            for name, place in places.items()
        )
        wanted = ""
        if file is not None or group is not None:  # an include of nothing is of the usual files
            wanted = f"!include {file or ''}\n"
        name, place = list(places.items())[1]
        with _Pipe(library.floored(wanted, host, group, *version)) as path:
            if len(args) > place:
                args = (*args[:place], path, *args[place + 1 :])
            else:
                kwargs[name] = path
            init(self, *args, **kwargs)
        _made[self] = _floor

    _gates.put(cls, "__init__", __init__)
    for name in ("ping", "reconnect"):
        if hasattr(cls, name):
            _gates.put(cls, name, _again(getattr(cls, name), asks=name == "reconnect"))


def _again(method: Any, *, asks: bool) -> Any:
    """Return the method, but for a connection older than the floor, which may come back below it.

    ``ping`` asks for that by an argument.
    """

    def gate(self: Any, *args: Any) -> Any:
        if (asks or any(args)) and _made.get(self, 0) < _floor:
            counts["refused"] += 1
            raise refusal(
                "a connection that is older than the floor would be made again as it was",
                "make a new one",
                _floor,
                _set_by,
            )
        return method(self, *args)

    gate.__name__, gate.__doc__ = method.__name__, method.__doc__
    return gate


class _Library:
    """The libmariadb of one C module."""

    def __init__(self, file: str) -> None:
        # What the module is linked to is found through the module.
        library = ctypes.CDLL(file)
        self._info, self._get = library.mariadb_get_infov, library.mysql_get_optionv
        self._init, self._set = library.mysql_init, library.mysql_options
        self._connect, self._close = library.mysql_real_connect, library.mysql_close
        self._init.restype = self._connect.restype = ctypes.c_void_p
        self.asked("")  # it names its TLS library once it was started
        name = ctypes.c_char_p()
        self._info(None, _TLS_LIBRARY, ctypes.byref(name))
        self.tls = (name.value or b"no TLS").decode()

    def asked(self, options: str, group: Any = None, version: Any = None) -> str:
        """Return the ``tls-version`` that a connection with these would have; empty when none."""
        handle = ctypes.c_void_p(self._init(None))
        # It reads the options, and then refuses a protocol that it does not know, before it makes
        # any connection.
        with _Pipe(f"{options}[client]\nprotocol=9\n") as path:
            if version is not None:
                self._set(handle, _TLS_VERSION, os.fsencode(version))
            self._set(handle, _READ_DEFAULT_FILE, os.fsencode(path))
            if group is not None:
                self._set(handle, _READ_DEFAULT_GROUP, os.fsencode(group))
            nowhere = (b"localhost", b"", b"", None, 1, b"/dev/null", ctypes.c_ulong(0))
            connected = self._connect(handle, *nowhere)
        value = ctypes.c_char_p()
        self._get(handle, _TLS_VERSION, ctypes.byref(value))
        found = (value.value or b"").decode(errors="replace")
        self._close(handle)
        if connected:
            raise GuardError("libmariadb connected when it was only asked for its options")
        return found

    def floored(self, wanted: str, host: Any, group: Any, version: Any = None) -> str:
        """Return an option file for a connection: the one that is wanted, and then the floor."""
        asked = version
        if isinstance(host, str) and ("=" in host or ";" in host):
            asked = self.asked(f"[client]\nconnection={host}\n{wanted}", group, version)
        elif wanted:
            asked = self.asked(wanted, group, version)
        names = [name for wire, name in _NAMES.items() if wire >= _floor]
        below = any(name in (asked or "") for name in _NAMES.values() if name not in names)
        kept = [name for name in names if name in (asked or "")] or names
        if below or kept == names:
            counts["clamped" if below else "raised"] += 1
        meant = ",".join(kept)
        options = f"{wanted}[client]\ntls-version={meant}\n"
        if self.asked(options, group, version) != meant:
            counts["refused"] += 1
            raise refusal(
                f"libmariadb does not read its options through {wanted.strip()!r}",
                "use an option file with a plain name",
                _floor,
                _set_by,
            )
        return options


class _Pipe:
    """The name of a file that holds a text and can be read once: no disk is needed for it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> str:
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            os.write(writer, os.fsencode(self._text))
        finally:
            os.close(writer)
        return f"/dev/fd/{self._reader}"

    def __exit__(self, *exc: object) -> None:
        os.close(self._reader)
