"""Asks the guard of a stack; and what is said where there is none, or where it holds nothing."""

from __future__ import annotations

import os
import sys

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError
from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# What some guards need in addition to tlsfloor. It lies next to tlsfloor in a bundle, and in the
# site-packages whose bootstrap folder is on the PYTHONPATH of another environment.
_NEIGHBOUR = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "wrapt"
)


def ask(name: str, function: str) -> Any:
    """Call a function of a stack's guard; None where it has no such function, or nothing to say."""
    asked = getattr(__import__(TABLE[name], fromlist=["guard"]), function, None)
    return asked and asked()


def undone(name: str, module: ModuleType) -> Any:
    """Return what of a guard is no longer in place; empty when all of it is."""
    guard = __import__(TABLE[name], fromlist=["guard"])
    if hasattr(guard, "undone"):
        return guard.undone(module)
    gates = getattr(guard, "_gates", None)
    return "" if gates is None else gates.undone()


def repaired(name: str, error: Exception) -> Any:
    """Return a guard whose import failed for lack of ``wrapt``, if that lies next to tlsfloor.

    Raises:
        GuardError: it cannot be imported all the same; the hint says what helps.
    """
    hint = f"{sys.executable} -c 'import {TABLE[name]}' shows where it fails"
    if isinstance(error, ImportError) and error.name == "wrapt":
        hint = f"{sys.executable} -m pip install 'wrapt>=1.15'"
        try:
            if os.path.isdir(_NEIGHBOUR):
                _import_neighbour()
                return __import__(TABLE[name], fromlist=["guard"])
        except Exception as failure:  # noqa: BLE001 - one for other Pythons fails in any way
            sys.modules.pop("wrapt", None)
            error = failure
    name = "ssl" if name == "_ssl" else name
    current.stacks[name] = f"its guard cannot be imported: {type(error).__name__}: {error}"
    raise GuardError(f"{name} cannot be held: {current.stacks[name]}", hint=hint) from error


def _import_neighbour() -> None:
    """Import ``wrapt`` from its place, as if it were on the path."""
    from importlib.util import module_from_spec, spec_from_file_location

    file = os.path.join(_NEIGHBOUR, "__init__.py")
    spec = spec_from_file_location("wrapt", file, submodule_search_locations=[_NEIGHBOUR])
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded", name="wrapt")
    module = sys.modules["wrapt"] = module_from_spec(spec)
    spec.loader.exec_module(module)


def refuse_uncovered(
    name: str, state: str, wanted: list[tuple[str | None, dict[str, str]]]
) -> None:
    """Report a stack that is not covered, and refuse it unless all who care want a warning only.

    Raises:
        GuardError: it is refused.
    """
    from tlsfloor.stacks import about

    events.note("uncovered", stack=name, floor=versions.floor_name(current.held), text=state)
    if about.strength(name, wanted) != "warn":
        raise GuardError(
            f"{name} is {state}",
            hint="do without it, or let the process run without the floor there: "
            f"TLSFLOOR_STACKS={name}=warn",
        )
    try:  # noqa: SIM105 - contextlib is expensive where every process of a company comes by
        sys.stderr.write(f"tlsfloor: error: {name} is {state}; it is imported all the same\n")
    except (AttributeError, OSError):  # it is closed; status() says the same
        pass
