"""Put a class or function of ours in the place of one that is written in C.

Python code cannot change a C type or a C function. So a guard makes a subclass or a wrapper and
stores it in every module that holds the original, under any name. Code that stored the original
elsewhere (in a list, as a default argument) before a late floor keeps it.
"""

from __future__ import annotations

import sys
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
    if getattr(owner, name, None) is None:
        raise misfit(row_of(module), path)
    return owner, name


def misfit(library: str, lacking: object) -> GuardError:
    """Return the error for a version of a library that lacks something which its guard needs."""
    return GuardError(
        f"this version of {library} cannot be held to a floor: it has no {lacking}",
        hint=f"install another version of {library}, or of tlsfloor",
    )


def stand_in(real: Any, methods: dict[str, Any]) -> Any:
    """Return a subclass of a C type that also accepts instances of the C type as its own."""

    class StandIn(type(real)):  # type: ignore[misc] # the type of a type
        def __instancecheck__(cls, instance: object) -> bool:
            return (
                isinstance(instance, real) if cls is made else type.__instancecheck__(cls, instance)
            )

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, real) if cls is made else type.__subclasscheck__(cls, other)

    names = ("__module__", "__qualname__", "__doc__", "__pyx_vtable__")
    # Cython's vtable: other modules in Cython call the C methods of a type through it.
    copied = {name: getattr(real, name) for name in names if hasattr(real, name)}
    made: Any = StandIn(real.__name__, (real,), {**copied, "__slots__": (), **methods})
    return made


def replace(gates: Gates, package: str, before: Any, after: Any) -> None:
    """Store ``after`` in every module that holds ``before``, under any name.

    Only names in the stack's own modules are recorded as gates, because a program may change names
    of its own again.
    """
    for place, module in list(sys.modules.items()):
        if not issubclass(type(module), ModuleType):  # cffi's libraries only claim to be modules
            continue
        # Not vars(): that would load a module that importlib loads lazily.
        for name, value in list(object.__getattribute__(module, "__dict__").items()):
            if value is before and place.startswith(package):
                gates.put(module, name, after)
            elif value is before:
                setattr(module, name, after)
