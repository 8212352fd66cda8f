"""What few processes ask of guards: about what is here already, what is observed, not covered."""

from __future__ import annotations

import _imp
import sys

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, say
from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
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


def check(floor: int) -> None:
    """Make sure that this OpenSSL can hold the floor, without importing ``ssl`` for it.

    Raises:
        GuardError: it cannot.
    """
    from tlsfloor.stacks import _contexts

    try:
        _contexts.check(floor)
    except GuardError:  # which is an ImportError, too
        raise
    except ImportError:
        return  # a Python without _ssl: no stack here, and nothing to hold


def catch_up(guard: Callable[[ModuleType], None], unknown: Callable[[ModuleSpec], None]) -> None:
    """Guard the stacks that were imported before the floor was armed.

    One that cannot be guarded keeps no other from it. And look at all other extension modules.

    Raises:
        GuardError: a stack cannot be held, or an unknown library is refused.
    """
    failed: list[GuardError] = []
    for name in TABLE:
        if sys.modules.get(name) is not None:
            try:
                __import__(name)  # waits for another thread that is just executing it
                module: Any = sys.modules.get(name)
                if getattr(getattr(module, "__spec__", None), "_initializing", module is None):
                    continue  # this thread is, and its hook comes when that is done; or it failed
                guard(module)
                ask(name, "catch_up")
            except GuardError as error:
                failed.append(error)
    suffixes = tuple(_imp.extension_suffixes())
    for module in list(sys.modules.values()):
        spec: Any = getattr(module, "__dict__", {}).get("__spec__")
        if str(getattr(spec, "origin", "")).endswith(suffixes):
            try:
                unknown(spec)
            except GuardError as error:
                failed.append(error)
    if failed:
        raise failed[0]


def observe(name: str, guard: Any, module: ModuleType, lock: LockType) -> str:
    """See what a floor would change on one stack, and return its state."""
    state = "not observed: what it does is not seen"
    if hasattr(guard, "observe"):
        try:
            with lock:
                state = guard.observe(module)
        except GuardError as error:  # who only looks refuses nothing
            state = f"not observed: {error.problem}"
    if state.startswith("not observed"):
        floor = versions.floor_name(current.observed)
        events.note("uncovered", stack=name, floor=floor, mode="observe", text=state)
    return state


def refuse_uncovered(
    name: str, state: str, wanted: list[tuple[str | None, dict[str, str]]]
) -> None:
    """Report a stack that is not covered, and refuse it unless all who care want a warning only.

    Raises:
        GuardError: it is refused.
    """
    from tlsfloor.stacks import _coverage

    events.note("uncovered", stack=name, floor=versions.floor_name(current.held), text=state)
    if _coverage.strength(name, wanted) != "warn":
        raise GuardError(
            f"{name} is {state}",
            hint="do without it, or let the process run without the floor there: "
            f"TLSFLOOR_STACKS='{_coverage.ABOUT[name][0]}=warn'",
        )
    say(f"tlsfloor: error: {name} is {state}; it is imported all the same")
