"""Asks the guard of a stack, and refuses a stack that is not covered."""

from __future__ import annotations

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, say
from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def _of(name: str) -> Any:
    # None where it cannot be imported: ``floor.stacks`` has the reason.
    try:
        return __import__(TABLE[name], fromlist=["guard"])
    except Exception:  # noqa: BLE001 - whatever it was, there is no guard
        return None


def ask(name: str, function: str) -> Any:
    """Call a function of a stack's guard; None where it has no such function, or nothing to say."""
    asked = getattr(_of(name), function, None)
    return asked and asked()


def undone(name: str, module: ModuleType) -> Any:
    """Return what of a guard is no longer in place; empty when all of it is."""
    guard = _of(name)
    if hasattr(guard, "undone"):
        return guard.undone(module)
    gates = getattr(guard, "_gates", None)
    return "" if gates is None else gates.undone()


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
            f"TLSFLOOR_STACKS='{about.ABOUT[name][0]}=warn'",
        )
    say(f"tlsfloor: error: {name} is {state}; it is imported all the same")
