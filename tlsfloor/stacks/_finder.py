"""The fallback of ``hooks``, for an interpreter that lacks one of the functions beneath the import.

It is a finder on ``sys.meta_path`` that finds nothing itself. It asks the other finders for a
module of the table, and has the module guarded once it is executed. Other finders and tools can
bypass it, so it is only a fallback, and ``status()`` names it.
"""

from __future__ import annotations

import sys

from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class FallbackFinder:
    """A meta-path finder that calls ``executed(module)`` for each module of the table."""

    def __init__(self, executed: Callable[[ModuleType], object]) -> None:
        self.executed = executed

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that another finder has for a module of the table."""
        if fullname not in TABLE:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            find_spec: Any = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec and find_spec(fullname, path, target)
            if spec is not None:
                listen(spec.loader, self.executed)
                return spec
        return None


def listen(loader: Any, executed: Callable[[ModuleType], object]) -> None:
    """Have the loader of one module call ``executed(module)`` as the last step of executing it.

    So a module that is executed when it is first used (``importlib.util.LazyLoader``) is guarded,
    too.
    """
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        executed(module)

    loader.exec_module = exec_module


def insert_finder(executed: Callable[[ModuleType], object]) -> None:
    """Insert the finder in front of all others, unless it is there."""
    if not any(isinstance(finder, FallbackFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, FallbackFinder(executed))


def describe_missing(missing: set[str]) -> str:
    """Return what ``status()`` says of an interpreter that lacks these functions."""
    return (
        f"this interpreter has no {', '.join(sorted(missing))}: a finder on sys.meta_path sees its "
        "imports instead, and other finders can bypass it"
    )
