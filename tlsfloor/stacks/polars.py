"""The guard of Polars, which reads and writes remote files by Arrow's object_store over rustls.

Whatever Polars reads or writes passes a method of its extension that is given the addresses: each
of those is a gate. Two ways bring a whole plan along instead, a query in SQL and a frame that is
deserialized; there the text of the plan is looked through. A lazy frame that was made before the
floor is judged nowhere: ``below()`` says so.
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

STACK = "Polars' rustls"

_ROWS = (
    *(f"_polars_runtime_{each}._polars_runtime" for each in ("32", "64", "compat")),
    "polars.polars",
)
_HINT = "open the file by fsspec (s3fs, adlfs), which speaks TLS by Python's ssl, and pass it on"

# Functions that are given addresses: the class (or nothing), how their names begin.
_PLACES = (
    ("PyLazyFrame", ("new_from_", "sink_")),
    ("PyDataFrame", ("read_", "write_")),
    ("PyCatalogClient", ("new",)),
    ("", ("read_ipc", "read_parquet", "_iceberg_plugin_scan", "_parquet_metadata_")),
)

# The parameters of those that are addresses, where they are given by name.
_ADDRESSES = {
    "metadata_location",
    "path",
    "py_f",
    "source",
    "source_url",
    "sources",
    "target",
    "workspace_url",
}

# What holds options of a cloud: a parameter, or an attribute of one.
_OPTIONS = ("cloud_options", "storage_options")

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse to read and write remote files by TLS.

    Raises:
        GuardError: this Polars has other functions.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found != "guarded":
        return found
    placed = 0
    for kind, beginnings in _PLACES:
        owner: Any = getattr(module, kind, None) if kind else module
        for name in dir(owner):
            if name.startswith(beginnings) and callable(getattr(owner, name)):
                _tls_calls.gate(_gates, module, f"{kind}.{name}".lstrip("."), _judge)
                placed += 1
    if placed < len(_PLACES) or not hasattr(module, "PyLazyFrame"):
        raise GuardError("this Polars reads its files in another way, which is not known here")
    for path in ("PySQLContext.execute", "PySQLContext.execute_with_catalog_tables"):
        kind, name = path.split(".")
        if hasattr(getattr(module, kind, None), name):
            _tls_calls.gate(_gates, module, path, _judge_text)
    for name in ("deserialize_binary", "deserialize_json", "__setstate__"):
        _look_after(module, name)
    return "guarded"


def below() -> list[str]:
    """Say that there may be frames older than the floor: nothing lists them."""
    what = "lazy frame of Polars over remote files"
    return sorted({each for row in _ROWS for each in _tls_calls.older(row, what)})


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    named = [value for name, value in kwargs.items() if name in _ADDRESSES]
    options = _options([*args, *kwargs.values()])
    for address in _addresses.addresses([*args[:2], *named]):
        kind = _addresses.kind_of(address, options)
        if kind == _addresses.TLS:
            _refuse(row, address)
        elif kind == _addresses.PLAIN:
            _tls_calls.plain(row, STACK)


def _options(values: list[Any]) -> dict[str, Any]:
    """Return the options of a cloud among arguments: pairs, or a dict, or held by an object."""
    found: dict[str, Any] = {}
    for value in values:
        for each in (value, *(getattr(value, name, None) for name in _OPTIONS)):
            if isinstance(each, dict):
                found.update(each)
            elif isinstance(each, list) and each and isinstance(each[0], tuple):
                found.update(pair for pair in each if len(pair) == 2)
    return found


def _judge_text(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for text in (*args, *kwargs.values()):
        # What is read in SQL is named in a function such as read_parquet('s3://...').
        if isinstance(text, str) and "(" in text and _addresses.mentions(text):
            _refuse(row, "what a query names")


def _look_after(module: ModuleType, name: str) -> None:
    """Look at what a frame would read that comes as a whole, once it is there."""
    kind = getattr(module, "PyLazyFrame", None)
    if not hasattr(kind, name) or _gates.stands(kind, name):
        return
    row = _tls_calls.row_of(module)
    real = getattr(kind, name)
    if name == "__setstate__":

        def __setstate__(frame: Any, state: Any) -> None:  # noqa: N807 - it becomes a method
            real(frame, state)
            _judge_plan(row, frame)

        _gates.put(kind, name, __setstate__)
        return

    def look(*args: Any, **kwargs: Any) -> Any:
        frame = real(*args, **kwargs)
        _judge_plan(row, frame)
        return frame

    look.__name__, look.__doc__ = name, real.__doc__
    _gates.put(kind, name, staticmethod(look))


def _judge_plan(row: str, frame: Any) -> None:
    if _addresses.mentions(frame.describe_plan()):
        _refuse(row, "what a plan names")


def _refuse(row: str, what: str) -> None:
    _tls_calls.refuse(
        row, f"Polars reaches {what} by TLS 1.2, and has no setting that forbids it", _HINT
    )
