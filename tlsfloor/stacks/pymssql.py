"""The guard of pymssql, whose FreeTDS speaks TLS 1.0 where a server asks for it.

FreeTDS takes no minimum from a program (``freetds.conf`` has an "enable tls v1"). Whether it uses
TLS at all is for the server to say, unless the program forbids it. So a connection is refused
unless it says ``encryption="off"``.
"""

from __future__ import annotations

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks import _begin
from tlsfloor.stacks.gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "pymssql's FreeTDS"

_gates = Gates()
_covered = current.NO_FLOOR


def guard(module: ModuleType) -> str:
    """Refuse connections that may use TLS.

    Raises:
        GuardError: this pymssql has no connections.
    """
    global _covered
    if _begin.is_fresh(module):
        _covered = current.held
    found = _begin.state(_begin.row_of(module), STACK, versions.TLS1_0)
    if found == "guarded":
        _begin.gate(_gates, module, "connect", _judge)
        _begin.gate_constructor(_gates, module, "MSSQLConnection", _judge)
    return found


def below() -> list[str]:
    """Say that there may be connections older than the floor: nothing lists them."""
    late = versions.TLS1_0 < current.held and _covered < current.held
    return ["any connection of pymssql that is older than the floor"] * late


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args
    if kwargs.get("encryption") != "off":
        _begin.refuse(
            row,
            "pymssql's FreeTDS speaks TLS 1.0 where the server asks for it, and takes no minimum",
            "use python-tds with pyOpenSSL, which can be held; or encryption='off' where plain text "
            "is allowed",
        )
