"""The guard of mysql-connector-python's C extension, which brings an OpenSSL of its own.

Its libmysqlclient speaks 1.2 and 1.3 only, whatever it is asked for; one older than 8.0.28 is not
covered. What it speaks is an argument of ``MySQL.connect``.
The C type can neither be changed nor have subclasses, so a proxy of it takes its place in the C
module, from which ``mysql.connector`` takes it for each connection, a ``reconnect()`` too. Out of
reach is only a ``MySQL`` that a program took from the C module itself before a late floor. The pure
Python way (``use_pure=True``) goes through ``ssl``.
"""

from __future__ import annotations

import sys

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._mysql_options import is_new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_NAMES = {versions.TLS1_2: "TLSv1.2", versions.TLS1_3: "TLSv1.3"}

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection that ``module`` makes from now on.

    Raises:
        GuardError: the versions cannot be given to this extension.
    """
    made = module.MySQL
    if module in _gates.owners():
        return "guarded"
    library = made().get_client_info()
    if not is_new(library):
        return f"uncovered: its libmysqlclient is {library}, and no older one than 8.0.28 is known"
    try:
        made().connect(host="127.0.0.1", port=1, tls_versions=0)
        problem = "it takes anything for a version"
    except TypeError as error:  # which names the argument only where there is none
        problem = str(error) if "tls_versions" in str(error) else ""
    if problem:
        raise GuardError(f"no version can be given to {module!r}: {problem}")

    _gates.put(module, "MySQL", _proxy(made))
    return "guarded"


def _proxy(made: Any) -> type:
    """Return a class whose objects stand in for those of the C type."""

    class MySQL:
        __doc__ = made.__doc__
        # As isinstance() asks.
        __class__ = property(lambda _self: made)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            vars(self).update(_tlsfloor_real=made(*args, **kwargs), _tlsfloor_floor=0)

        def __getattr__(self, name: str) -> Any:
            return getattr(vars(self)["_tlsfloor_real"], name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self._tlsfloor_real, name, value)

        def connect(self, *args: Any, **kwargs: Any) -> Any:
            # Given in its place as well, it is refused by the extension.
            kwargs["tls_versions"] = _raised(kwargs.get("tls_versions"))
            vars(self)["_tlsfloor_floor"] = current.held
            return self._tlsfloor_real.connect(*args, **kwargs)

    MySQL.__module__, MySQL.__qualname__ = made.__module__, made.__qualname__
    return MySQL


def _raised(asked: str | None) -> str:
    """Return the list of versions that was asked for without what is below the floor."""
    names = [name for wire, name in _NAMES.items() if wire >= current.held]
    wanted = [name.strip() for name in (asked or "").split(",") if name.strip()]
    if any(name not in names for name in wanted):
        current.counts["clamped"] += 1
    elif not wanted and len(names) < len(_NAMES):
        current.counts["raised"] += 1
    return ",".join([name for name in names if name in wanted] or names)


def below() -> list[str]:
    """Describe the connections that are older than the floor: none tells its version."""
    above = sys.modules.get("mysql.connector.connection_cext")
    if above is None:
        return []
    return [
        f"connection of a version that was not asked for: {thing!r}"
        for thing in instances([above.CMySQLConnection])
        if thing._cmysql is not None and getattr(thing._cmysql, "_tlsfloor_floor", 0) < current.held
    ]
