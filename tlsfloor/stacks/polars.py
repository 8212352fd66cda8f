"""The guard of Polars, which reads and writes remote files by Arrow's object_store over rustls.

Every read or write passes the addresses to a method of the extension: those methods are checked.
Two calls bring a whole plan instead, a query in SQL and a frame that is deserialized; there the
text of the plan is searched. A lazy frame that was made before the floor is not checked anywhere;
``below()`` reports that.
"""

from __future__ import annotations

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._stand_ins import row_of
from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The parameters that are addresses, where they are given by name.
_ADDRESSES = {"metadata_location", "path", "py_f", "source", "source_url", "sources"}
_ADDRESSES |= {"target", "workspace_url"}

# What holds options of a cloud: a parameter, or an attribute of one.
_OPTIONS = ("cloud_options", "storage_options")

_calls = TLSCalls(
    "lazy frame of Polars over remote files",
    hint="open the file by fsspec (s3fs, adlfs), which speaks TLS by Python's ssl, and pass it on",
)
below, _gates = _calls.below, _calls.gates


@_calls.check(
    *(f"PyLazyFrame.new_from_{kind}" for kind in ("csv", "ipc", "parquet", "*")),
    "?PyLazyFrame.sink_*",
    "PyDataFrame.read_*",
    "?PyDataFrame.write_*",
    "?PyCatalogClient.new*",
    "?read_ipc*",
    "?read_parquet*",
    "?_iceberg_plugin_scan*",
    "?_parquet_metadata_*",
)
def _check_addresses(call: Call) -> None:
    named = [value for name, value in call.kwargs.items() if name in _ADDRESSES]
    options = _options(call.values)
    for address in _addresses.addresses([*call.args[:2], *named]):
        call.check_address(address, address, options)


def _options(values: list[Any]) -> dict[str, Any]:
    """Return the options of a cloud among arguments: pairs, or a dict, or held by an object."""
    found: dict[str, Any] = {}
    for value in values:
        for options in (value, *(getattr(value, name, None) for name in _OPTIONS)):
            if isinstance(options, dict):
                found.update(options)
            elif isinstance(options, list) and options and isinstance(options[0], tuple):
                found.update(pair for pair in options if len(pair) == 2)
    return found


@_calls.check("?PySQLContext.execute", "?PySQLContext.execute_with_catalog_tables")
def _check_query(call: Call) -> None:
    for text in call.values:
        # What is read in SQL is named in a function such as read_parquet('s3://...').
        if isinstance(text, str) and "(" in text and _addresses.mentions(text):
            call.refuse("what a query names")


def guard(module: ModuleType) -> str:
    """Refuse to read and write remote files by TLS.

    Raises:
        GuardError: this Polars has other functions.
    """
    state = _calls.guard(module)
    if state == "guarded":
        for name in ("deserialize_binary", "deserialize_json", "__setstate__"):
            _check_result(module, name)
    return state


def _check_result(module: ModuleType, name: str) -> None:
    """Check the plan of a frame after it is deserialized: only then can it be read."""
    kind: Any = module.PyLazyFrame
    if not hasattr(kind, name) or _gates.stands(kind, name):
        return
    real, row = getattr(kind, name), row_of(module)

    def deserialize(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        frame = args[0] if name == "__setstate__" else result
        if _addresses.mentions(frame.describe_plan()):
            Call(_calls, row, (), {}).refuse("what a plan names")
        return result

    deserialize.__name__, deserialize.__doc__ = name, real.__doc__
    _gates.put(kind, name, deserialize if name == "__setstate__" else staticmethod(deserialize))
