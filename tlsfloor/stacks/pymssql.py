"""The guard of pymssql, whose FreeTDS speaks TLS 1.1, and 1.0 where a configuration lets it.

FreeTDS takes no minimum (``freetds.conf`` has an "enable tls v1"). Whether it uses
TLS at all is for the server to say, unless the program forbids it. So a connection is refused
unless it says ``encryption="off"``.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks import _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "pymssql's FreeTDS"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse connections that may use TLS.

    Raises:
        GuardError: this pymssql has no connections.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_0)
    if found == "guarded" and not _gates.stands(module, "connect"):
        _put(module)
    return found


def below() -> list[str]:
    """Say that there may be connections older than the floor: nothing lists them."""
    return _tls_calls.older("pymssql._mssql", "connection of pymssql")


def _put(module: ModuleType) -> None:
    row = _tls_calls.row_of(module)
    native: Any = module
    real = getattr(*_tls_calls.find(module, "MSSQLConnection"))

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - a method
        _judge(row, args, kwargs)
        real.__init__(self, *args, **kwargs)

    def connect(*args: Any, **kwargs: Any) -> Any:
        # Of the subclass: pymssql's other module in Cython takes what stands here for the type.
        return made(*args, **kwargs)

    methods: dict[str, Any] = {"__init__": __init__}
    if "__pyx_vtable__" in vars(real):  # by which that module calls what is C in it
        methods["__pyx_vtable__"] = vars(real)["__pyx_vtable__"]
    made = _tls_calls.stand_in(real, methods)
    _tls_calls.replace(_gates, row, native.connect, connect)
    _tls_calls.replace(_gates, row, real, made)


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args
    if kwargs.get("encryption") != "off":
        _tls_calls.refuse(
            row,
            "pymssql's FreeTDS speaks TLS 1.1, and 1.0 where freetds.conf says so; it takes no"
            " minimum",
            "use python-tds with pyOpenSSL, which can be held; or encryption='off' where plain"
            " text is allowed",
        )
