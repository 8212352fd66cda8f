"""The fallback of ``hooks``, for an interpreter that lacks one of the functions beneath the import.

A finder on ``sys.meta_path`` that finds nothing itself: it lets the others find a module of the
table, and sees that the module is guarded once it was executed. Other finders and tools can pass
it, which is why it is only a fallback, and ``status()`` names it.
"""

from __future__ import annotations

import sys

from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class Finder:
    """A meta-path finder that calls ``executed(module)`` for each module of the table."""

    def __init__(self, executed: Callable[[ModuleType], object]) -> None:
        self.executed = executed

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Let the others find it."""
        if fullname not in TABLE:
            return None
        for finder in [each for each in sys.meta_path if each is not self]:
            find_spec: Any = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec and find_spec(fullname, path, target)
            if spec is not None:
                listen(spec.loader, self.executed)
                return spec
        return None


def listen(loader: Any, executed: Callable[[ModuleType], object]) -> None:
    """Have a loader, which is for one module, guard it inside of its execution.

    So is one that is executed when it is first used (``importlib.util.LazyLoader``).
    """
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        executed(module)

    loader.exec_module = exec_module


def put(executed: Callable[[ModuleType], object]) -> None:
    """Put the finder in front, unless it is there."""
    if not any(isinstance(each, Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, Finder(executed))


def problem(missing: set[str]) -> str:
    """Return what ``status()`` says of an interpreter that lacks these functions."""
    return (
        f"this interpreter has no {', '.join(sorted(missing))}: a finder on sys.meta_path sees its "
        "imports instead, and other finders can pass it"
    )
