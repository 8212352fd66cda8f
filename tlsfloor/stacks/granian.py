"""The guard of Granian, a server over rustls, which speaks TLS 1.2 at least.

Its servers keep their TLS settings in one tuple, ``ssl_ctx``, which their workers get when they
start. At floor 1.3 a property of the class raises the minimum in that tuple when it is read, which
also reaches servers that were made before the floor.
"""

from __future__ import annotations

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._stand_ins import misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# Granian, constants.py: SSLProtocols, and the place of the minimum in the tuple.
_LEAST, _MOST, _PLACE = "tls1.2", "tls1.3", 4

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Hold the floor on every server whose workers start from now on."""
    if current.held <= versions.TLS1_2:
        return "inherent"
    if hasattr(module, "__path__"):  # granian.server; its servers are in ``common``, another row
        return "guarded"
    server = getattr(module, "AbstractServer", None)
    protocols = getattr(module, "SSLProtocols", None)
    if server is None or protocols is None:
        return "uncovered: this Granian has no ssl_protocol_min, and its rustls speaks TLS 1.2"
    if list(map(str, protocols)) != [_LEAST, _MOST]:
        raise misfit("Granian", f"its protocols are {list(protocols)}")
    if server not in _gates.owners():
        _gates.put(server, "ssl_ctx", property(_read, _write))
    return "guarded"


def below() -> list[str]:
    """Describe the servers whose workers started below the floor."""
    if current.held <= versions.TLS1_2:
        return []
    return [
        f"server that may speak TLS 1.2: {server!r}"
        for server in instances(_gates.owners())
        if server.wrks and server.__dict__["ssl_ctx"][_PLACE] == _LEAST
    ]


def _read(server: Any) -> Any:
    try:
        settings = server.__dict__["ssl_ctx"]
    except KeyError as error:
        raise AttributeError("ssl_ctx") from error
    if settings[_PLACE] not in (_LEAST, _MOST):
        raise misfit("Granian", f"its minimum is not where it was: {settings[_PLACE]!r}")
    if settings[_PLACE] == _LEAST and current.held > versions.TLS1_2:
        current.counts["clamped"] += 1
        settings = (*settings[:_PLACE], _MOST, *settings[_PLACE + 1 :])
        _write(server, settings)
    return settings


def _write(server: Any, settings: Any) -> None:
    server.__dict__["ssl_ctx"] = settings
