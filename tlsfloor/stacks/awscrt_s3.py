"""The guard of awscrt's ``S3Client`` without TLS options, for which C code would make a context.

The client gets options of a context that Python code makes, on which ``awscrt`` holds the floor.
They are given by the argument's name, because the order of arguments in C depends on the version.
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor.stacks._gates import Gates
from tlsfloor.stacks._stand_ins import misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Let no S3 client be made without TLS options.

    Raises:
        GuardError: this awscrt lacks something that the guard needs.
    """
    client = getattr(module, "S3Client", None)
    if client in _gates.owners():
        return "guarded"
    init: Any = getattr(client, "__init__", None)
    if "tls_connection_options" not in (getattr(init, "__kwdefaults__", None) or ()):
        raise misfit("awscrt", "it has no S3Client with tls_connection_options")

    @wraps(init)
    def birth(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("tls_connection_options") is None:
            io: Any = sys.modules["awscrt.io"]
            context = io.ClientTlsContext(io.TlsContextOptions())
            kwargs["tls_connection_options"] = context.new_connection_options()
        init(self, *args, **kwargs)

    _gates.put(client, "__init__", birth)
    return "guarded"
