"""The guard of gRPC, which has a BoringSSL of its own: TLS 1.2 and 1.3, and no minimum.

A channel, or a port of a server, speaks TLS if it is given credentials for TLS. So what makes such
credentials is checked, and so is what opens a channel or port with credentials that are older than
the floor. Plain text, Unix sockets and ALTS (Google's own protocol, which is not TLS) pass.
"""

from __future__ import annotations

from functools import wraps

from tlsfloor.stacks._stand_ins import find
from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The credentials of a channel that mean TLS. XDS gets them from its control plane, and those of
# Compute Engine are for TLS and ALTS.
_SECURE = {"SSLChannelCredentials", "XDSChannelCredentials", "ComputeEngineChannelCredentials"}

# Functions that make credentials of a server without TLS. Nothing in the credentials tells.
_OTHERS = ("server_credentials_local", "server_credentials_alts", "insecure_server_credentials")

# The credentials that they made.
_without_tls: list[Any] = []

_calls = TLSCalls(
    "secure channel or server of gRPC",
    hint="use an insecure channel, or a Unix socket, behind a proxy that holds TLS 1.3",
)
below, _gates = _calls.below, _calls.gates


def guard(module: ModuleType) -> str:
    """Refuse credentials for TLS, and what is opened with older ones.

    Raises:
        GuardError: this gRPC has other credentials.
    """
    state = _calls.guard(module)
    if state == "guarded":
        find(module, "ServerCredentials")  # _check_port() knows them by this name
        if hasattr(module, "AioServer"):
            find(module, "AioServer.add_secure_port")
        for name in _OTHERS:
            if hasattr(module, name) and not _gates.stands(module, name):
                _gates.put(module, name, _noting(getattr(module, name)))
    return state


def _noting(make: Any) -> Any:
    @wraps(make)
    def noting(*args: Any, **kwargs: Any) -> Any:
        _without_tls.append(make(*args, **kwargs))
        return _without_tls[-1]

    return noting


@_calls.check("Channel.__init__", "?AioChannel.__init__")
def _check_channel(call: Call) -> None:
    if any(map(_is_secure, call.values)):
        call.refuse("a channel")


def _is_secure(credentials: Any) -> bool:
    if not _SECURE.isdisjoint(kind.__name__ for kind in type(credentials).__mro__):
        return True
    inner = getattr(credentials, "_channel_credentials", None)  # with those of a call added
    return inner is not None and _is_secure(inner)


@_calls.check("Server.add_http2_port", "?AioServer.add_secure_port")
def _check_port(call: Call) -> None:
    for given in call.values:
        credentials = getattr(given, "_credentials", given)  # that of asyncio wraps them
        known = any(credentials is other for other in _without_tls)
        names = [kind.__name__ for kind in type(credentials).__mro__]
        if "ServerCredentials" in names and not known:
            call.refuse("a port of a server")


@_calls.check(
    "?channel_credentials_compute_engine",
    "server_credentials_ssl",
    "?server_credentials_ssl_dynamic_cert_config",
    "?xds_server_credentials",
    "SSLChannelCredentials.__init__",
    "?XDSChannelCredentials.__init__",
    "?ComputeEngineChannelCredentials.__init__",
)
def _check_credentials(call: Call) -> None:
    call.refuse("a channel or a server with credentials for TLS")
