"""The guard of deltalake: tables in object stores, over rustls, or on this machine.

The constructor of a type opens a table, and connects at once. Nothing can derive from that type, so
an object that looks like it takes its place. All else that begins with an address is a function. A
table that was opened before the floor stays usable; ``below()`` reports that.
"""

from __future__ import annotations

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._stand_ins import find, replace, row_of
from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_calls = TLSCalls(
    "remote table of deltalake", hint="use a table on this machine, or one at a plain endpoint"
)
below, _gates = _calls.below, _calls.gates


def guard(module: ModuleType) -> str:
    """Refuse tables at addresses that mean TLS.

    Raises:
        GuardError: this deltalake has no table.
    """
    state = _calls.guard(module)
    if state == "guarded" and hasattr(module, "PyQueryBuilder"):
        find(module, "PyQueryBuilder.execute")
    if state == "guarded" and module.RawDeltaTable not in _calls.stand_ins:
        table = _Table(module.RawDeltaTable, row_of(module))
        _calls.stand_ins.add(table)
        replace(_gates, "deltalake", module.RawDeltaTable, table)
    return state


class _Table:
    """Looks like the type of tables, from which nothing can derive."""

    __class__ = property(lambda _self: type)  # as isinstance() asks

    def __init__(self, real: Any, row: str) -> None:
        self.__dict__.update(_real=real, _row=row, __doc__=real.__doc__, __name__=real.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _check_addresses(Call(_calls, self._row, args, kwargs))
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


@_calls.check("RawDeltaTable.is_deltatable", "?DeltaFileSystemHandler.__init__", "*")
def _check_addresses(call: Call) -> None:
    options: dict[str, Any] = {}
    for value in call.values:
        options.update(value if isinstance(value, dict) else {})
    for value in call.values:
        if isinstance(value, (str, bytes)):
            call.check_address(value, f"a table at {value!r}", options)


@_calls.check("?PyQueryBuilder.execute")
def _check_query(call: Call) -> None:
    if any(_addresses.mentions(value) for value in call.values):
        call.refuse("a query that names a remote address")
