"""The guard of OpenDAL, whose services are remote or local, and speak TLS by rustls.

An operator names its service as it is made, and connects when it is used. One that was made before
the floor does not tell what it is for; ``below()`` says so.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "OpenDAL's rustls"
_HINT = "use a service on this machine, such as 'fs' or 'memory'"

# Services that open no connection (opendal.services).
_LOCAL = {
    "cacache",
    "dashmap",
    "fs",
    "memory",
    "mini-moka",
    "moka",
    "persy",
    "redb",
    "sled",
    "sqlite",
}

# How an address in plain text begins, of those services that do not always speak TLS.
_PLAIN = ("http:", "redis:", "tcp:")

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse operators of services that speak TLS.

    Raises:
        GuardError: this OpenDAL has no operators.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found != "guarded":
        return found
    holder = "operator." if hasattr(module, "operator") else ""  # since 0.46
    for kind in ("Operator", "AsyncOperator"):
        _tls_calls.gate(_gates, module, f"{holder}{kind}.__init__", _judge)
        for name in ("from_uri", "from_config"):
            if hasattr(_tls_calls.find(module, f"{holder}{kind}")[0].__dict__[kind], name):
                _tls_calls.gate(_gates, module, f"{holder}{kind}.{name}", _judge)
    for name in ("_reconstruct_operator", "_reconstruct_async_operator"):
        if hasattr(module, name):
            _tls_calls.gate(_gates, module, name, _judge)
    return "guarded"


def below() -> list[str]:
    """Say that there may be operators older than the floor: nothing lists them."""
    return _tls_calls.older("opendal._opendal", "operator of OpenDAL")


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given = [*args, *kwargs.values()]
    first = kwargs.get("scheme", args[0] if args else kwargs.get("uri", ""))
    first = first or kwargs.get("config", "")
    if isinstance(first, dict):  # a configuration
        first = first.get("scheme", "")
    service = (_addresses.scheme_of(first) or first).lower().replace("_", "-")
    if service in _LOCAL:
        return
    endpoints = [
        each
        for each in _addresses.addresses(given)
        if _addresses.scheme_of(each) and _addresses.scheme_of(each) != service
    ]
    if service == "http":
        endpoints += [each for each in _addresses.addresses(given) if _addresses.scheme_of(each)]
    plain = endpoints and all(each.lower().startswith(_PLAIN) for each in endpoints)
    if plain and not _addresses.proxied_by_tls():
        if any(each.lower().startswith("http:") for each in endpoints):
            _tls_calls.plain(row, STACK)
        return
    _tls_calls.refuse(
        row,
        f"OpenDAL's service {service!r} speaks TLS 1.2, and has no setting that forbids it",
        _HINT,
    )
