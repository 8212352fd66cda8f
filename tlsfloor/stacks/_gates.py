"""What guards have in common: gates that can be checked, and finding what is alive."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Gates:
    """The attributes of classes and modules that a guard replaced."""

    __slots__ = ("_put",)

    def __init__(self) -> None:
        self._put: dict[tuple[Any, str], Any] = {}

    def __contains__(self, place: tuple[Any, str]) -> bool:
        return place in self._put

    def stands(self, owner: Any, name: str) -> bool:
        """Tell whether a gate was put here and is still in place."""
        return (owner, name) in self._put and vars(owner).get(name) is self._put[owner, name]

    def owners(self) -> set[Any]:
        """Return the classes and modules that have gates."""
        return {owner for owner, _name in list(self._put)}

    def put(self, owner: Any, name: str, gate: Any) -> None:
        """Set an attribute of a class or module, and remember it."""
        self._put[owner, name] = gate
        setattr(owner, name, gate)

    def undone(self) -> str:
        """Return what was replaced since, as text; empty when all gates are in place."""
        if not self._put:
            return "it has no gates"
        for (owner, name), gate in list(self._put.items()):
            if vars(owner).get(name) is not gate:
                module = f"{owner.__module__}." if isinstance(owner, type) else ""
                return f"{module}{owner.__name__}.{name} was replaced"
        return ""


def instances(classes: Iterable[type]) -> list[Any]:
    """Return everything alive that is of one of the classes, or of one below it."""
    import gc

    kinds: set[type] = set()
    found = list(classes)
    while found:
        kind = found.pop()
        if kind not in kinds:
            kinds.add(kind)
            found += kind.__subclasses__()
    if not kinds:
        return []
    # An instance refers to its class, and nothing else is touched: a list of all objects would hold
    # tuples that other threads are just building, who then fail (CPython, bpo-15108). PyPy builds
    # no tuple that way, and does not find every instance this way.
    cpython = sys.implementation.name == "cpython"
    things = gc.get_referrers(*kinds) if cpython else gc.get_objects()
    return [thing for thing in things if type(thing) in kinds]
