"""What few processes ask of guards: to guard stacks late, to observe them, to refuse them."""

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


def _guard_or_none(name: str) -> Any:
    # None if it cannot be imported: ``floor.stacks`` has the reason.
    try:
        return __import__(TABLE[name], fromlist=["guard"])
    except Exception:  # noqa: BLE001 - any error means that there is no guard
        return None


def ask(name: str, function: str) -> Any:
    """Call a function of a stack's guard; return None if the guard does not have it."""
    asked = getattr(_guard_or_none(name), function, None)
    return asked and asked()


def undone_on(name: str, module: ModuleType) -> Any:
    """Return what of a guard is no longer in place; empty if all of it is."""
    guard = _guard_or_none(name)
    if hasattr(guard, "undone"):
        return guard.undone(module)
    gates = getattr(guard, "_gates", None)
    return "" if gates is None else gates.undone()


def check_openssl(floor: int) -> None:
    """Make sure that this OpenSSL can hold the floor, without importing ``ssl``.

    Raises:
        GuardError: it cannot.
    """
    from tlsfloor.stacks import _contexts

    try:
        _contexts.check(floor)
    except GuardError:  # which is an ImportError, too
        raise
    except ImportError:
        return  # a Python without _ssl has nothing to hold


def guard_imported(
    guard: Callable[[ModuleType], None], before_unlisted: Callable[[ModuleSpec], None]
) -> None:
    """Guard the stacks that were imported before the floor was armed, and look at other extensions.

    If one cannot be guarded, the others are guarded nevertheless.

    Raises:
        GuardError: a stack cannot be held, or an unknown library is refused.
    """
    failed: list[GuardError] = []
    for name in TABLE:
        if sys.modules.get(name) is not None:
            try:
                __import__(name)  # waits for another thread that is executing it
                module: Any = sys.modules.get(name)
                if getattr(getattr(module, "__spec__", None), "_initializing", module is None):
                    continue  # this thread is executing it, and its hook comes next; or it failed
                guard(module)
                ask(name, "catch_up")
            except GuardError as error:
                failed.append(error)
    suffixes = tuple(_imp.extension_suffixes())
    for module in list(sys.modules.values()):
        spec: Any = getattr(module, "__dict__", {}).get("__spec__")
        if str(getattr(spec, "origin", "")).endswith(suffixes):
            try:
                before_unlisted(spec)
            except GuardError as error:
                failed.append(error)
    if failed:
        raise failed[0]


def observe_stack(name: str, guard: Any, module: ModuleType, lock: LockType) -> str:
    """Observe what a floor would change on one stack, and return the state of the stack."""
    state = "not observed: what it does is not seen"
    if hasattr(guard, "observe"):
        try:
            with lock:
                state = guard.observe(module)
        except GuardError as error:  # in mode observe nothing is refused
            state = f"not observed: {error.problem}"
    if state.startswith("not observed"):
        floor = versions.floor_name(current.observed)
        events.note("uncovered", stack=name, floor=floor, mode="observe", text=state)
    return state


def refuse_uncovered(
    name: str, state: str, policies: list[tuple[str | None, dict[str, str]]]
) -> None:
    """Report a stack that is not covered, and refuse it unless all policies want only a warning.

    Raises:
        GuardError: it is refused.
    """
    from tlsfloor.stacks import _coverage

    events.note("uncovered", stack=name, floor=versions.floor_name(current.held), text=state)
    if _coverage.policy_for(name, policies) != "warn":
        raise GuardError(
            f"{name} is {state}",
            hint="do without it, or let the process run without the floor there: "
            f"TLSFLOOR_STACKS='{_coverage.ABOUT[name][0]}=warn'",
        )
    say(f"tlsfloor: error: {name} is {state}; it is imported all the same")
