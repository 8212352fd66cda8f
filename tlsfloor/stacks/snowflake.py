"""The guard of the core in Rust that Snowflake's connector has since version 5.

Python calls it by the name of a method. That which opens a session is refused: its addresses are
https. Earlier connectors speak TLS by Python's ``ssl``.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks import _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "rustls in Snowflake's core"
_HINT = "use snowflake-connector-python<5, which speaks TLS by Python's ssl"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse to open a session.

    Raises:
        GuardError: this core is called in another way.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found == "guarded":
        _tls_calls.gate(_gates, module, "call_proto", _judge)
        _tls_calls.gate(_gates, module, "call_proto_async", _judge)
    return found


def below() -> list[str]:
    """Say that there may be sessions older than the floor: nothing lists them."""
    return _tls_calls.older("snowflake.connector._core.sf_core_python", "connection of Snowflake")


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if "connection_init" in (*args, *kwargs.values()):
        _tls_calls.refuse(
            row,
            "Snowflake's connector speaks TLS 1.2, and has no setting that forbids it",
            _HINT,
        )
