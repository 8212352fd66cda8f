"""A C type that a subclass stands for: put that in every module, and find who has the type still.

Nothing can be redefined on an immutable C type, so a guard replaces the names that programs take it
by. Where it was taken before that, it can be used without the guard; this tells.
"""

from __future__ import annotations

import gc
import sys
import types
from itertools import chain, repeat, starmap
from operator import countOf, is_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.stacks.gates import Gates

# What a C type is made of, and refers to it.
_PARTS = (
    types.BuiltinFunctionType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)


def replace(gates: Gates, ours: Any) -> None:
    """Put a subclass in the place of its base in every module, imported or just made.

    .. versionadded:: 0.1
    """
    spaces = [each for each in gc.get_referrers(ours.__base__) if type(each) is dict]
    for holder in gc.get_referrers(*spaces) if spaces else ():
        if isinstance(holder, types.ModuleType):
            for name, value in list(vars(holder).items()):
                if value is ours.__base__:
                    gates.put(holder, name, ours)


def taken(ours: Any) -> list[str]:
    """Describe what has the base of ``ours`` still, and can make or use what is of that type.

    .. versionadded:: 0.1
    """
    # Lazily, and all of it in C: a list of all objects that other threads could run beside would
    # hold tuples that they are just building, and they would fail (CPython, bpo-15108).
    things = chain.from_iterable(starmap(gc.get_objects, ((),)))
    count = countOf(map(is_, map(type, things), repeat(ours.__base__)), True)  # noqa: FBT003 - of is_()
    found = [f"{count} instances"] if count else []
    for each in gc.get_referrers(ours.__base__):
        if isinstance(each, type):
            found += [f"its subclass {each.__module__}.{each.__qualname__}"] * (each is not ours)
        elif not _is_expected(each, ours):
            found.append(f"a {type(each).__name__}")
    return found + [f"{name}(), which runs" for name in _running(ours)]


def _is_expected(thing: Any, ours: Any) -> bool:
    """Tell whether what refers to the type is a part of it, of the guard, or of no danger."""
    base = ours.__base__
    if type(thing) is types.FrameType:
        return thing.f_globals is globals()
    if type(thing) is tuple:
        orders = [(each.__mro__, each.__bases__) for each in base.__subclasses__()]
        classes = any(thing is each for each in (base.__mro__, *chain.from_iterable(orders)))
        return classes or thing[-1] is ours or _is_hint(thing)  # ... or what Gates notes
    if type(thing) is dict:
        # CPython keeps a copy of what an extension module held at first (PyModuleDef, m_copy).
        copy = str(thing.get("__name__")).startswith(base.__module__) and "__spec__" in thing
        return copy or _is_hint(thing)
    return isinstance(thing, _PARTS)


def _is_hint(thing: Any) -> bool:
    """Tell whether a tuple or dict is the annotations of a function, which make nothing."""
    return any(
        type(each) is types.FunctionType
        and not any(
            thing is part
            for part in (each.__defaults__, each.__kwdefaults__, each.__dict__, each.__globals__)
        )
        for each in gc.get_referrers(thing)
    )


def _running(ours: Any) -> list[str]:
    """Return the names of the functions of any thread that run and have the type in a variable."""
    found = []
    for top in sys._current_frames().values():
        frame: types.FrameType | None = top
        while frame is not None:
            if frame.f_globals is not globals():
                values = list(frame.f_locals.values())
                found += [frame.f_code.co_name] * any(map(is_, values, repeat(ours.__base__)))
            frame = frame.f_back
    return found
