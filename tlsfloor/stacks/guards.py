"""Asks the guard of a stack, which is imported for it."""

from __future__ import annotations

from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def of(name: str) -> Any:
    """Return the guard of a module of the table.

    .. versionadded:: 0.1
    """
    return __import__(TABLE[name], fromlist=["guard"])


def ask(name: str, function: str, *args: Any) -> Any:
    """Call a function of a stack's guard; None where it has no such function, or nothing to say.

    .. versionadded:: 0.1
    """
    asked = getattr(of(name), function, None)
    return asked and asked(*args)


def undone(name: str, module: ModuleType) -> Any:
    """Return what of a guard is no longer in place; empty when all of it is.

    .. versionadded:: 0.1
    """
    guard = of(name)
    if hasattr(guard, "undone"):
        return guard.undone(module)
    gates = getattr(guard, "_gates", None)
    return "" if gates is None else gates.undone()
