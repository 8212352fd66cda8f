"""The guard of obstore: stores of Arrow's object_store over rustls. Local stores need no TLS.

A store names its address when it is made, and connects when it is used. Both are checked: the
constructors, where the reason is easiest to understand, and the functions that use a store, for
stores that were made before the floor.
"""

from __future__ import annotations

from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: The classes of stores that may speak TLS, and how their addresses begin. An HTTPStore is empty
#: here, because the program names its address.
_STORES = {"S3Store": "s3://", "GCSStore": "gs://", "AzureStore": "azure://", "HTTPStore": ""}

_calls = TLSCalls(
    "store of obstore",
    hint="use a LocalStore or a MemoryStore, or a client that speaks TLS by Python's ssl, as s3fs",
)
guard, _gates = _calls.guard, _calls.gates


@_calls.check("_store.from_url", *(f"_store.{name}.from_url" for name in _STORES))
def _check_url(call: Call) -> None:
    url = str(call.get(0, "url", ""))
    call.check_address(url, f"a store at {url}", _options(call.kwargs))


def _checking_constructor(name: str) -> Callable[[Call], None]:
    def check(call: Call) -> None:
        address = _STORES[name] or str(call.get(0, "url", "https:"))
        call.check_address(address, name, _options(call.kwargs))

    return check


for _name in _STORES:
    _calls.check(f"_store.{_name}.__init__")(_checking_constructor(_name))


# "get" has to exist; "*" is every function. sign() and sign_async() open no connection.
@_calls.check("get", "*", but=("sign", "sign_async"))
def _check_stores(call: Call) -> None:
    for store in call.values:
        for cls in type(store).__mro__:
            if cls.__name__ in _STORES:
                address = _STORES[cls.__name__] or str(store.url)
                options = _options({name: getattr(store, name, None) for name in _OPTIONS})
                call.check_address(address, cls.__name__, options)


_OPTIONS = ("config", "client_options")


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a store, of which some are grouped in dicts."""
    grouped = [given.get(name) or {} for name in _OPTIONS]
    return {**grouped[0], **grouped[1], **given}
