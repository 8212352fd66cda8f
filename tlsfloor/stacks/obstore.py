"""The guard of obstore, stores of Arrow's object_store over rustls: local ones need no TLS.

A store names what it is for as it is made, and connects when it is used. So both are gates: the
constructors, where the reason is best understood, and the functions that use a store, for those
that were made before the floor.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "obstore's rustls"
_HINT = "use a LocalStore or a MemoryStore, or a client that speaks TLS by Python's ssl, as s3fs"

#: The classes of stores that may speak TLS, and what an address of theirs begins with.
_STORES = {"S3Store": "s3://", "GCSStore": "gs://", "AzureStore": "azure://", "HTTPStore": ""}

# Functions that open no connection.
_OFFLINE = {"parse_scheme", "sign", "sign_async"}

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse stores that speak TLS.

    Raises:
        GuardError: this obstore has other classes.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found != "guarded":
        return found
    for name in _STORES:
        _tls_calls.gate(_gates, module, f"_store.{name}.__init__", _judge_of(name))
        _tls_calls.gate(_gates, module, f"_store.{name}.from_url", _judge_address)
    _tls_calls.gate(_gates, module, "_store.from_url", _judge_address)
    native: Any = module
    kinds = tuple(getattr(native._store, name) for name in _STORES)

    def judge_use(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for store in (*args, *kwargs.values()):
            if isinstance(store, kinds):
                _judge(row, _kind_of(store), type(store).__name__)

    uses = [
        name
        for name, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and name not in _OFFLINE
    ]
    if "get" not in uses:
        raise GuardError("this obstore has no get()", hint="install another version of it")
    for name in uses:
        _tls_calls.gate(_gates, module, name, judge_use)
    return "guarded"


def _judge(row: str, kind: str, what: str) -> None:
    if kind == _addresses.TLS:
        _tls_calls.refuse(
            row, f"{what} of obstore speaks TLS 1.2, and has no setting that forbids it", _HINT
        )
    elif kind == _addresses.PLAIN:
        _tls_calls.plain(row, STACK)


def _judge_address(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    address = args[0] if args else kwargs.get("url", "")
    _judge(row, _addresses.kind_of(str(address), _options(kwargs)), f"a store at {address}")


def _judge_of(name: str) -> _tls_calls.Judge:
    def judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        address = _STORES[name] or str(args[0] if args else kwargs.get("url", "https:"))
        _judge(row, _addresses.kind_of(address, _options(kwargs)), name)

    return judge


def _options(kwargs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("config", "client_options"):
        found.update(kwargs.get(name) or {})
    return {**found, **kwargs}


def _kind_of(store: Any) -> str:
    address = next(
        _STORES[each.__name__] for each in type(store).__mro__ if each.__name__ in _STORES
    )
    options = dict(getattr(store, "config", None) or {})
    options.update(getattr(store, "client_options", None) or {})
    return _addresses.kind_of(address or str(store.url), options)
