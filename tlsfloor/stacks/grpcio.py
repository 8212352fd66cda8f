"""The guard of gRPC, which has a BoringSSL of its own: no version below TLS 1.2, and no minimum.

Credentials are what makes a channel or a port of a server speak TLS, so their constructors are
gates. They are attributes of the extension, which gRPC looks up at each call. What was made before
the floor is judged where a channel or a port is opened with it. Plain text, Unix sockets and ALTS
(Google's own protocol, which is not TLS) go on.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks import _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "gRPC's BoringSSL"
_HINT = "use an insecure channel, or a Unix socket, behind a proxy that holds TLS 1.3"

# What makes credentials for TLS: types, and functions. XDS gets them from its control plane, and
# Compute Engine's are for TLS and ALTS.
_TYPES = ("SSLChannelCredentials", "XDSChannelCredentials", "ComputeEngineChannelCredentials")
_FUNCTIONS = (
    "channel_credentials_compute_engine",
    "server_credentials_ssl",
    "server_credentials_ssl_dynamic_cert_config",
    "xds_server_credentials",
)

# Functions that make credentials of a server which mean no TLS.
_OTHERS = ("server_credentials_local", "server_credentials_alts", "insecure_server_credentials")

_gates = Gates()

# Credentials of a server that mean no TLS. It is not to be seen in them.
_harmless: list[Any] = []


def guard(module: ModuleType) -> str:
    """Refuse credentials for TLS, and what is opened with older ones.

    Raises:
        GuardError: this gRPC has other credentials.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found == "guarded" and not _gates.stands(module, "SSLChannelCredentials"):
        _put(module)
    return found


def below() -> list[str]:
    """Say that there may be channels and servers older than the floor: nothing lists them."""
    return _tls_calls.older("grpc._cython.cygrpc", "secure channel or server of gRPC")


def _put(module: ModuleType) -> None:
    native: Any = module
    secure = tuple(getattr(native, name) for name in _TYPES if hasattr(native, name))
    for name in ("SSLChannelCredentials", "server_credentials_ssl", "Channel", "Server"):
        _tls_calls.find(module, name)
    for name in _there(native, *_OTHERS):
        _gates.put(module, name, _noting(getattr(native, name)))
    for name in _there(native, "Channel", "AioChannel"):
        _tls_calls.gate_constructor(_gates, module, name, _judge_of_channels(secure))
    row, judge = _tls_calls.row_of(module), _judge_of_ports(native.ServerCredentials)
    for name in _there(native, "Server", "AioServer"):
        method = {"Server": "add_http2_port", "AioServer": "add_secure_port"}[name]
        _tls_calls.gate_method(_gates, getattr(native, name), method, judge, row)
    for name in _there(native, *_FUNCTIONS):
        _tls_calls.gate(_gates, module, name, _judge)
    for name in _there(native, *_TYPES):
        _tls_calls.gate_constructor(_gates, module, name, _judge)


def _there(native: Any, *names: str) -> list[str]:
    """Return those names that this version has."""
    return [name for name in names if hasattr(native, name)]


def _judge_of_channels(secure: tuple[type, ...]) -> _tls_calls.Judge:
    def is_secure(credentials: Any) -> bool:
        inner = getattr(credentials, "_channel_credentials", None)
        return isinstance(credentials, secure) or (inner is not None and is_secure(inner))

    def judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for each in (*args, *kwargs.values()):
            if is_secure(each):
                _refuse(row, "a channel")

    return judge


def _noting(make: Any) -> Any:
    def noting(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        _harmless.append(made)
        return made

    noting.__name__ = make.__name__
    return noting


def _judge_of_ports(kind: type) -> _tls_calls.Judge:
    def judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for given in (*args, *kwargs.values()):
            each = getattr(given, "_credentials", given)  # what asyncio's gets has it within
            known = any(each is one for one in _harmless)
            if isinstance(each, kind) and not known:
                _refuse(row, "a port of a server")

    return judge


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args, kwargs
    _refuse(row, "a channel or a server with credentials for TLS")


def _refuse(row: str, what: str) -> None:
    _tls_calls.refuse(
        row, f"{what} of gRPC speaks TLS 1.2, and has no setting that forbids it", _HINT
    )
