"""What all guards use: replaced attributes that can be checked later; finding live objects."""

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
        """Return whether a gate was put here and is still in place."""
        return (owner, name) in self._put and vars(owner).get(name) is self._put[owner, name]

    def owners(self) -> set[Any]:
        """Return the classes and modules that have gates."""
        return {owner for owner, _name in list(self._put)}

    def put(self, owner: Any, name: str, gate: Any) -> None:
        """Set an attribute of a class or module, and remember it."""
        setattr(owner, name, gate)
        self.note(owner, name, gate)

    def note(self, owner: Any, name: str, gate: Any) -> None:
        """Remember an attribute that was replaced in another way."""
        self._put[owner, name] = gate

    def undone(self) -> str:
        """Return which gate is no longer in place, as text; empty if all of them are."""
        if not self._put:
            return "it has no gates"
        for (owner, name), gate in list(self._put.items()):
            if vars(owner).get(name) is not gate:
                module = f"{owner.__module__}." if isinstance(owner, type) else ""
                return f"{module}{owner.__name__}.{name} was replaced"
        return ""


def instances_of(module: str, name: str) -> list[Any]:
    """Return the objects of a class that exist now; none if its module is not imported."""
    kind = getattr(sys.modules.get(module), name, None)
    return [] if kind is None else instances([kind])


def instances(classes: Iterable[type]) -> list[Any]:
    """Return the objects of these classes, and of their subclasses, that exist now."""
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
    # An instance refers to its class, so CPython finds it among the referrers. A list of all
    # objects would also hold tuples that other threads are building, and those threads would fail
    # (CPython, bpo-15108). PyPy does not find every instance by its class, and builds no tuple so.
    cpython = sys.implementation.name == "cpython"
    things = gc.get_referrers(*kinds) if cpython else gc.get_objects()
    return [thing for thing in things if type(thing) in kinds]
