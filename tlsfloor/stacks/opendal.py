"""The guard of OpenDAL, whose services are local or remote, and speak TLS by rustls.

An operator names its service when it is made, and connects when it is used. An operator that was
made before the floor does not say which service it uses; ``below()`` reports that.
"""

from __future__ import annotations

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._tls_calls import Call, TLSCalls

# Services that open no connection (opendal.services).
_LOCAL = {"cacache", "dashmap", "fs", "memory", "mini-moka", "moka"}
_LOCAL |= {"persy", "redb", "sled", "sqlite"}

# How the endpoint of a service that does not always speak TLS begins if it is plain text.
_PLAIN = ("http:", "redis:", "tcp:")

_calls = TLSCalls(
    "operator of OpenDAL", hint="use a service on this machine, such as 'fs' or 'memory'"
)
guard, below, _gates = _calls.guard, _calls.below, _calls.gates


@_calls.check(
    *(
        f"{holder}{kind}.{name}"
        for holder in ("?", "?operator.")  # of a module below since OpenDAL 0.46
        for kind in ("Operator", "AsyncOperator")
        for name in ("__init__", "from_uri", "from_config")
    ),
    "?_reconstruct_operator",
    "?_reconstruct_async_operator",
)
def _check_service(call: Call) -> None:
    first = call.get(0, "scheme") or call.kwargs.get("uri") or call.kwargs.get("config", "")
    if isinstance(first, dict):
        first = first.get("scheme", "")
    service = (_addresses.scheme_of(first) or first).lower().replace("_", "-")
    if service in _LOCAL:
        return
    urls = [url for url in _addresses.addresses(call.values) if _addresses.scheme_of(url)]
    endpoints = [url for url in urls if service == "http" or _addresses.scheme_of(url) != service]
    plain = endpoints and all(url.lower().startswith(_PLAIN) for url in endpoints)
    if not plain or _addresses.proxied_by_tls():
        call.refuse(f"the service {service!r}")
    elif any(url.lower().startswith("http:") for url in endpoints):
        call.plain()
