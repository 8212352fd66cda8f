"""The guard of OpenDAL, whose services are local or remote, and speak TLS by rustls.

An operator names its service when it is made, and connects when it is used. An operator that was
made before the floor does not say which service it uses; ``below()`` reports that.
"""

from __future__ import annotations

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._stand_ins import find
from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_KINDS = ("Operator", "AsyncOperator")
_PATHS = (*_KINDS, *(f"operator.{kind}" for kind in _KINDS))

# Services that open no connection (opendal.services), without hyphens.
_LOCAL = {"cacache", "dashmap", "fs", "memory", "minimoka", "moka"}
_LOCAL |= {"persy", "redb", "sled", "sqlite"}

# How the endpoint of a service that does not always speak TLS begins if it is plain text.
_PLAIN = ("http:", "redis:", "tcp:")

_calls = TLSCalls(
    "operator of OpenDAL", hint="use a service on this machine, such as 'fs' or 'memory'"
)
below, _gates = _calls.below, _calls.gates


def guard(module: ModuleType) -> str:
    """Refuse operators of services that speak TLS.

    Raises:
        GuardError: this OpenDAL has no operators.
    """
    state = _calls.guard(module)
    if state == "guarded":
        holder = "operator." if hasattr(module, "operator") else ""  # since OpenDAL 0.46
        for kind in _KINDS:
            find(module, f"{holder}{kind}")
    return state


@_calls.check(
    *(f"?{kind}.__init__" for kind in _PATHS),
    "?_reconstruct_operator",
    "?_reconstruct_async_operator",
)
def _check_scheme(call: Call) -> None:
    _check_service(call, call.get(0, "scheme", ""))


@_calls.check(*(f"?{kind}.from_uri" for kind in _PATHS))
def _check_uri(call: Call) -> None:
    uri = call.get(0, "uri", "")
    _check_service(call, _addresses.scheme_of(uri) or uri)


@_calls.check(*(f"?{kind}.from_config" for kind in _PATHS))
def _check_config(call: Call) -> None:
    _check_service(call, call.get(0, "config", {}).get("scheme", ""))


def _check_service(call: Call, scheme: Any) -> None:
    """Check a service, named by a text or by a member of ``opendal.services.Scheme``."""
    service = str(getattr(scheme, "name", scheme)).lower().replace("_", "-")
    if service.replace("-", "") in _LOCAL:
        return
    urls = [url for url in _addresses.addresses(call.values) if _addresses.scheme_of(url)]
    endpoints = [url for url in urls if service == "http" or _addresses.scheme_of(url) != service]
    plain = endpoints and all(url.lower().startswith(_PLAIN) for url in endpoints)
    if not plain or _addresses.proxied_by_tls():
        call.refuse(f"the service {service!r}")
    elif any(url.lower().startswith("http:") for url in endpoints):
        call.plain()
