"""The guard of Granian, a server over rustls, which speaks TLS 1.2 at least.

Above that, its servers keep what they were told of TLS in one tuple, which their workers get when
they start. A property of their class stands before it, for servers that were made before too.
"""

from __future__ import annotations

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# Granian, constants.py: SSLProtocols, and the place of one of them in the tuple.
_LEAST, _MOST, _PLACE = "tls1.2", "tls1.3", 4

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Hold the floor on every server whose workers start from now on."""
    if current.held <= versions.TLS1_2:
        return "inherent"
    if hasattr(module, "__path__"):  # granian.server; its servers are in ``common``, a row as well
        return "guarded"
    server = getattr(module, "AbstractServer", None)
    protocols = getattr(module, "SSLProtocols", None)
    if server is None or protocols is None:
        return "uncovered: this Granian has no ssl_protocol_min, and its rustls speaks TLS 1.2"
    if [str(each) for each in protocols] != [_LEAST, _MOST]:
        raise GuardError(f"the protocols of this Granian are {list(protocols)}")
    if server not in _gates.owners():
        _gates.put(server, "ssl_ctx", property(_read, _write))
    return "guarded"


def below() -> list[str]:
    """Describe the servers whose workers started below the floor."""
    if current.held <= versions.TLS1_2:
        return []
    return [
        f"server that may speak TLS 1.2: {each!r}"
        for each in instances(_gates.owners())
        if each.wrks and each.__dict__["ssl_ctx"][_PLACE] == _LEAST
    ]


def _read(server: Any) -> Any:
    try:
        told = server.__dict__["ssl_ctx"]
    except KeyError as error:
        raise AttributeError("ssl_ctx") from error
    if told[_PLACE] not in (_LEAST, _MOST):
        raise GuardError(f"no protocol of Granian is where it was: {told[_PLACE]!r}")
    if told[_PLACE] == _LEAST and current.held > versions.TLS1_2:
        current.counts["clamped"] += 1
        told = (*told[:_PLACE], _MOST, *told[_PLACE + 1 :])
        _write(server, told)
    return told


def _write(server: Any, told: Any) -> None:
    server.__dict__["ssl_ctx"] = told
