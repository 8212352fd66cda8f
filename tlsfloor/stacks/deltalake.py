"""The guard of deltalake, whose tables lie in object stores over rustls, or on this machine.

A table is opened by the constructor of a type that nothing can derive from, and which connects at
once. Something that looks like it takes its place. All else that begins with an address is a
function. A table that was opened before the floor goes on; ``below()`` says so.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "deltalake's rustls"
_HINT = "use a table on this machine, or one at a plain endpoint"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse tables at addresses that mean TLS.

    Raises:
        GuardError: this deltalake has no table.
    """
    row = _tls_calls.row_of(module)
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found != "guarded":
        return found
    native: Any = module
    real = _tls_calls.find(module, "RawDeltaTable")[0].RawDeltaTable
    if not isinstance(real, _Final):
        _tls_calls.gate(_gates, module, "RawDeltaTable.is_deltatable", _judge)
        _tls_calls.replace(_gates, row, real, _Final(real, row))
    for name, value in list(vars(native).items()):
        if callable(value) and not isinstance(value, (type, _Final)) and not name.startswith("_"):
            _tls_calls.gate(_gates, module, name, _judge)
    if hasattr(native, "DeltaFileSystemHandler"):
        _tls_calls.gate(_gates, module, "DeltaFileSystemHandler.__init__", _judge)
    if hasattr(native, "PyQueryBuilder"):
        _tls_calls.gate(_gates, module, "PyQueryBuilder.execute", _judge_text)
    return "guarded"


def below() -> list[str]:
    """Say that there may be remote tables older than the floor: nothing lists them."""
    return _tls_calls.older("deltalake._internal", "remote table of deltalake")


class _Final:
    """Stands for the type of tables, of which nothing can be derived."""

    def __init__(self, real: Any, row: str) -> None:
        self.__dict__.update(_real=real, _row=row, __doc__=real.__doc__, __name__=real.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _judge(self._row, args, kwargs)
        return self._real(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real)

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, self._real)

    def __or__(self, other: Any) -> Any:
        return self._real | other

    def __ror__(self, other: Any) -> Any:
        return other | self._real


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    options: dict[str, Any] = {}
    for each in (*args, *kwargs.values()):
        if isinstance(each, dict):
            options.update(each)
    for address in (*args, *kwargs.values()):
        if isinstance(address, (str, bytes)):
            kind = _addresses.kind_of(address, options)
            if kind == _addresses.TLS:
                _refuse(row, f"a table at {address!r}")
            elif kind == _addresses.PLAIN:
                _tls_calls.plain(row, STACK)


def _judge_text(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if any(_addresses.mentions(each) for each in (*args, *kwargs.values())):
        _refuse(row, "a query that names a remote address")


def _refuse(row: str, what: str) -> None:
    _tls_calls.refuse(
        row, f"deltalake reaches {what} by TLS 1.2, and has no setting that forbids it", _HINT
    )
