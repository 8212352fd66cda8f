"""The guard of pymssql, whose FreeTDS speaks TLS 1.1, and 1.0 if its configuration allows it.

FreeTDS has no setting for a minimum (``freetds.conf`` has an "enable tls v1"). The server decides
whether TLS is used, unless the program forbids it. So a connection is refused unless the program
says ``encryption="off"``.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks._stand_ins import replace
from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_calls = TLSCalls(
    "connection of pymssql",
    hint="use python-tds with pyOpenSSL, which can be held; or encryption='off' where plain text "
    "is allowed",
    lowest=versions.TLS1_0,
)
below, _gates = _calls.below, _calls.gates


@_calls.check("MSSQLConnection.__init__")
def _check_encryption(call: Call) -> None:
    if call.kwargs.get("encryption") != "off":
        call.refuse("this connection")


def guard(module: ModuleType) -> str:
    """Refuse connections that may use TLS.

    Raises:
        GuardError: this pymssql has no connections.
    """
    state = _calls.guard(module)
    if state == "guarded" and not _gates.stands(module, "connect"):
        # The original, in C, makes its connection of the C type.
        def connect(*args: Any, **kwargs: Any) -> Any:
            return module.MSSQLConnection(*args, **kwargs)

        replace(_gates, "pymssql", module.connect, connect)
    return state
