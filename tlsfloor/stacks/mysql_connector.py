"""The guard of mysql-connector-python's C extension, which brings an OpenSSL of its own.

Its libmysqlclient speaks 1.2 and 1.3 only; one older than 8.0.28 is not covered. The versions are
an argument of ``MySQL.connect``. The C type can neither be changed nor have subclasses, so a proxy
takes its place in the C module, where ``mysql.connector`` looks it up for each connection and each
``reconnect()``. A late floor does not reach a ``MySQL`` that a program took from the C module
itself. The pure Python implementation (``use_pure=True``) uses ``ssl``.
"""

from __future__ import annotations

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._gates import Gates, instances_of
from tlsfloor.stacks._mysql_options import NAMES, is_new
from tlsfloor.stacks._stand_ins import misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_NAMES = {wire: NAMES[wire] for wire in (versions.TLS1_2, versions.TLS1_3)}

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection that ``module`` makes from now on.

    Raises:
        GuardError: this extension does not accept versions.
    """
    real = module.MySQL
    if module in _gates.owners():
        return "guarded"
    library = real().get_client_info()
    if not is_new(library):
        return f"uncovered: its libmysqlclient {library} is older than 8.0.28"
    try:
        real().connect(host="127.0.0.1", port=1, tls_versions=0)
        problem = "it accepts any value as a version"
    except TypeError as error:  # which names the argument only if there is no such argument
        problem = str(error) if "tls_versions" in str(error) else ""
    if problem:
        raise misfit("mysql-connector-python", problem)
    _gates.put(module, "MySQL", _proxy(real))
    return "guarded"


def _proxy(real: Any) -> type:
    """Return a class whose objects each hold one of the C type, and look like it."""

    class MySQL:
        __doc__ = real.__doc__
        __class__ = property(lambda _self: real)  # as isinstance() asks

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            vars(self).update(_tlsfloor_real=real(*args, **kwargs), _tlsfloor_floor=0)

        def __getattr__(self, name: str) -> Any:
            return getattr(vars(self)["_tlsfloor_real"], name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self._tlsfloor_real, name, value)

        def connect(self, *args: Any, **kwargs: Any) -> Any:
            # The extension itself refuses one that is given by position as well.
            kwargs["tls_versions"] = _raised(kwargs.get("tls_versions"))
            vars(self)["_tlsfloor_floor"] = current.held
            return self._tlsfloor_real.connect(*args, **kwargs)

    MySQL.__module__, MySQL.__qualname__ = real.__module__, real.__qualname__
    return MySQL


def _raised(asked: str | None) -> str:
    """Return the list of versions that was asked for, without those below the floor."""
    names = [name for wire, name in _NAMES.items() if wire >= current.held]
    wanted = [name.strip() for name in (asked or "").split(",") if name.strip()]
    if any(name not in names for name in wanted):
        current.counts["clamped"] += 1
    elif not wanted and len(names) < len(_NAMES):
        current.counts["raised"] += 1
    return ",".join([name for name in names if name in wanted] or names)


def below() -> list[str]:
    """Describe the connections that are older than the floor: none reports its version."""
    return [
        f"connection older than the floor: {connection!r}"
        for connection in instances_of("mysql.connector.connection_cext", "CMySQLConnection")
        if connection._cmysql is not None
        and getattr(connection._cmysql, "_tlsfloor_floor", 0) < current.held
    ]
