"""An ``S3Client`` of awscrt without TLS options, for which the C side would make a context.

It gets options of a context that is made as any other, on which ``awscrt`` holds the floor. (The
order of what is passed to C depends on the version, so this is done by the argument's name.)
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Let no S3 client be made without TLS options.

    Raises:
        GuardError: this awscrt has not what the guard needs.
    """
    client = getattr(module, "S3Client", None)
    if client in _gates.owners():
        return "guarded"
    init: Any = getattr(client, "__init__", None)
    if "tls_connection_options" not in (getattr(init, "__kwdefaults__", None) or ()):
        raise GuardError(
            "this awscrt has no S3Client with tls_connection_options, and so cannot be held",
            hint="install another version of awscrt, or of tlsfloor",
        )

    @wraps(init)
    def birth(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("tls_connection_options") is None:
            io: Any = sys.modules["awscrt.io"]
            context = io.ClientTlsContext(io.TlsContextOptions())
            kwargs["tls_connection_options"] = context.new_connection_options()
        init(self, *args, **kwargs)

    _gates.put(client, "__init__", birth)
    return "guarded"
