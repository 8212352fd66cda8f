"""Put a class or function of ours in the place of one that is written in C.

Python code cannot change a C type or a C function. So a guard makes a subclass or a wrapper and
stores it in every module that holds the original, under any name. Code that stored the original
elsewhere (in a list, as a default argument) before a late floor keeps it.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from types import ModuleType

from tlsfloor.errors import GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.stacks._gates import Gates


def row_of(module: ModuleType) -> str:
    """Return the row of the table that a module belongs to: its name, as its importer knows it."""
    # CPython gives an extension that two threads import at once a wrong ``__name__``.
    name: str = getattr(module.__spec__, "name", module.__name__)
    return name


def is_fresh(module: ModuleType) -> bool:
    """Return whether a module is being imported right now, so that no code can have used it yet."""
    return bool(getattr(module.__spec__, "_initializing", False))


def find(module: ModuleType, path: str) -> tuple[Any, str]:
    """Return the object below a module that owns an attribute, and the attribute's name.

    Raises:
        GuardError: the attribute does not exist, so the guard does not know this version.
    """
    owner: Any = module
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part, None)
    if owner is None or getattr(owner, name, None) is None:  # None, too, has an __init__
        raise misfit(row_of(module), f"it has no {path}")
    return owner, name


def misfit(library: str, problem: object) -> GuardError:
    """Return the error for a version of a library that lacks something which its guard needs."""
    library = library.partition(".")[0]
    return GuardError(
        f"this version of {library} cannot be held to a floor: {problem}",
        hint=f"install another version of {library}, or of tlsfloor",
    )


def stand_in(real: Any, methods: dict[str, Any]) -> Any:
    """Return a subclass of a C type that accepts instances of the C type as its own."""

    def __subclasshook__(cls: type, other: type) -> Any:  # noqa: N807 - it becomes a method
        return issubclass(other, real) if cls is made else NotImplemented

    # Cython's vtable: other modules in Cython call the C methods of a type through it.
    names = ("__module__", "__qualname__", "__doc__", "__pyx_vtable__")
    namespace = {name: getattr(real, name) for name in names if hasattr(real, name)}
    namespace.update({"__slots__": (), "__subclasshook__": classmethod(__subclasshook__)})
    made = ABCMeta(real.__name__, (real,), {**namespace, **methods})
    return made


def rebase(real: Any, made: Any, but: Any = None) -> None:
    """Make a stand-in the base of the classes that derive from the C type, ``but`` one."""
    derived: type
    for derived in type.__subclasses__(real):
        if derived not in (made, but):
            derived.__bases__ = tuple(made if base is real else base for base in derived.__bases__)


def replace(gates: Gates, row: str, before: Any, after: Any) -> None:
    """Store ``after`` in every module that holds ``before``, under any name.

    Only names in the modules of the row's top-level package are recorded as gates, because a
    program may change names of its own again.
    """
    package = row.partition(".")[0]
    for place, module in list(sys.modules.items()):
        if not issubclass(type(module), ModuleType):  # cffi's libraries only claim to be modules
            continue
        # Not vars(): that would load a module that importlib loads lazily.
        for name, value in list(object.__getattribute__(module, "__dict__").items()):
            if value is before and place.partition(".")[0] == package:
                gates.put(module, name, after)
            elif value is before:
                setattr(module, name, after)
