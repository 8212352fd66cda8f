"""Arming: policy + table + finder. The one way in for every route.

A ratchet: the floor of a process can be raised and never lowered, and of two routes the strictest
wins. The lock is held while state changes and never while something is imported: the importer holds
the lock of the module it imports, and its thread comes here next.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock

from tlsfloor import events, ledger, policy, stacks, vendored, versions
from tlsfloor.errors import GuardError
from tlsfloor.ledger import Arming, start_up
from tlsfloor.stacks import guards

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

    from tlsfloor.ledger import Status

_lock = allocate_lock()

# What guards of other stacks need beside tlsfloor; a bundle brings it, the bootstrap folder alone
# does not.
vendored.watch()
_WRAPT = "pip install 'wrapt>=1.15' for this interpreter"


def _renew_lock() -> None:
    # A fork leaves the lock as it was in some other thread, which does not exist in the child.
    global _lock
    _lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def enforce(
    floor: object,
    *,
    mode: str = policy.ENFORCE,
    children: bool = False,
    uncovered: str | None = None,
    stacks: Mapping[str, str] | None = None,
    on_event: Callable[[dict[str, Any]], object] | None = None,
) -> Status:
    """Hold every TLS connection of this process at ``floor`` or above, from now on.

    Call it as early as you like; it works late too. It may raise an earlier floor and never lowers
    one, and ``TLSFLOOR`` and ``TLS_MIN_VERSION`` of the environment can ask for more. ``ssl`` is
    not imported by it, so that gevent and its like can still come first.

    Args:
        floor: ``"1.2"`` or ``"1.3"`` (also ``"1.0"``, ``"1.1"``), or a member of
            ``ssl.TLSVersion``.
        mode: ``"enforce"``; or ``"observe"``, which changes nothing in the process, and tells by
            events what the floor would have raised and refused.
        children: hand the floor on to the Pythons that this process starts, through
            ``os.environ``: it puts the bootstrap folder on their ``PYTHONPATH``.
        uncovered: what becomes of a stack on which nothing holds the floor: ``"warn"``, it is
            imported and named; ``"block"``, it cannot be imported. Of two that are asked for, the
            latter; where nobody asks, that too.
        stacks: the same for single stacks: the name of a stack, as ``tlsfloor stacks`` has it, or
            of the module that brings it -> ``"warn"`` or ``"block"``.
        on_event: called with each event, a dict, in the thread that causes it; what it raises is in
            the status, and nowhere else.

    Returns:
        What holds now; its ``below`` lists what was open before and cannot be raised.

    Raises:
        PolicyError: the floor, or that of the environment, cannot be understood.
        GuardError: the floor cannot be held in this interpreter; ``findings`` says what the
            verifier observed. Nothing that was armed before is lost.

    .. versionadded:: 0.1
    """
    caller = sys._getframe(1)
    set_by = f"enforce() at {caller.f_code.co_filename}:{caller.f_lineno}"
    wire = policy.floor_of(floor, "enforce()")
    policy.mode_of(mode, "enforce()")
    strengths = policy.strengths_of(uncovered, stacks or {}, "enforce()", "enforce()")
    asked = policy.floor_in(os.environ)
    # What the environment only observes it does not ask to be held.
    observes = policy.mode_of(os.environ.get(policy.MODE, policy.ENFORCE), policy.MODE) != mode
    if asked is not None and asked > wire and not (observes and mode == policy.ENFORCE):
        wire, set_by = asked, f"{set_by}, raised by the environment"
    _want(strengths, "enforce()")
    _want(policy.strengths_in(os.environ), policy.STACKS)
    if on_event is not None and on_event not in events.callbacks:
        events.callbacks.append(on_event)
    try:
        check(wire)
        arm(wire, mode, "call", set_by)
    except GuardError as error:
        error.findings = _findings()
        raise
    if children:
        strictest = ledger.strictest(mode)
        assert strictest is not None  # it was armed just now
        os.environ.update(policy.for_children(os.environ, strictest.floor, mode))
    from tlsfloor import facts

    return facts.found()


def check(floor: int) -> None:
    """Make sure that this OpenSSL can hold the floor, without importing ``ssl`` for it.

    Raises:
        GuardError: it cannot.
    """
    from tlsfloor.stacks import contexts, stdlib

    del stdlib  # a guard that cannot even be imported is found out here as well
    try:
        contexts.check(floor)
    except GuardError:
        raise
    except ImportError:
        return  # a Python without _ssl: no stack here, and nothing to hold


def _findings() -> tuple[str, ...]:
    """Return what the verifier observes of this process, for an error that must say it."""
    from tlsfloor.verify import hello

    try:
        return tuple(str(each) for each in hello.observe() if each.outcome != "refused")
    except Exception as error:  # noqa: BLE001 - a strange ssl can fail in any way: a finding
        return (f"the verifier found no ssl that it could try: {type(error).__name__}: {error}",)


def arm(floor: int, mode: str, route: str, set_by: str) -> None:
    """Hold the floor (a wire number) on every stack of the table, now and as each is imported.

    In mode ``observe`` nothing holds, and nothing is refused.

    Raises:
        GuardError: a stack that is here already cannot be held to it. The floor stays armed for the
            others.
    """
    with _lock:
        ledger.armings.append(Arming(floor, mode, route, set_by, time.time()))
        stacks.watch(guard)
    _tell(ledger.armings[-1])
    guard_imported()


def _tell(arming: Arming) -> None:
    """Tell of an arming; the first one finds out to whom, and what is exempted."""
    if ledger.armings[0] is arming:
        environment = start_up.get("environment", os.environ)
        file = environment.get(policy.EVENTS, "")
        # The program may go to another folder.
        events.file = file if file in ("", "-") else os.path.abspath(file)
        if policy.EXEMPTIONS in environment:
            from tlsfloor import exemptions

            installed = any(file["floor"] for file in start_up.get("files", ()))
            exemptions.load(environment[policy.EXEMPTIONS], installed=installed)
            for problem in exemptions.problems:
                events.note("unexempted", text=problem)
    floor = versions.floor_name(arming.floor)
    text = f"{arming.route}: {arming.set_by}"
    events.note("armed", floor=floor, mode=arming.mode, text=text)


def guard_imported() -> None:
    """Guard the stacks that were imported before the floor was armed, as ``guard()`` does.

    One that cannot be guarded keeps no other from it.
    """
    failed: list[GuardError] = []
    for name in stacks.TABLE:
        if sys.modules.get(name) is not None:
            try:
                __import__(name)  # waits for another thread that is just executing it
                guard(sys.modules[name])
                guards.ask(name, "catch_up")
            except GuardError as error:
                failed.append(error)
    if failed:
        raise failed[0]


def guard(module: ModuleType) -> None:
    """Hold the floor of this process on one stack, and note what came of it.

    Raises:
        GuardError: it cannot be held there, or nothing covers the stack.
    """
    # By its spec: CPython gives an extension that two threads import at once a wrong __name__.
    name = getattr(module.__spec__, "name", module.__name__)
    try:
        guard_module = guards.of(name)
    except Exception as error:  # a wrapt that does not fit this Python fails in any way
        ledger.stacks[name] = f"its guard cannot be imported: {error}"
        raise GuardError(f"the guard of {name} cannot be imported: {error}", hint=_WRAPT) from error
    try:
        _hold(name, guard_module, module)
    finally:
        _observe(name, guard_module, module)


def _hold(name: str, guard_module: Any, module: ModuleType) -> None:
    with _lock:
        held = ledger.strictest(policy.ENFORCE)
        if held is None:
            return
        try:
            state = guard_module.guard(module, held.floor, held.set_by)
        except GuardError as error:
            ledger.stacks[name] = error.problem
            raise
        except Exception as error:  # a stack that nobody has seen yet can fail in any way
            ledger.stacks[name] = f"{type(error).__name__}: {error}"
            raise GuardError(f"the guard does not fit {module!r}: {ledger.stacks[name]}") from error
        ledger.stacks[name] = state
    if state in stacks.COVERED:
        return
    events.note("uncovered", stack=name, floor=versions.floor_name(held.floor), text=state)
    from tlsfloor.stacks import about

    if about.strength(name, _wanted) != "warn":
        raise GuardError(
            f"{name} is {state}",
            hint="do without it, or let the process run without the floor there: "
            f"{policy.STACKS}={name}=warn",
        )
    try:  # noqa: SIM105 - contextlib is dear where every Python of a company comes by
        sys.stderr.write(f"tlsfloor: error: {name} is {state}; it is imported all the same\n")
    except (AttributeError, OSError):  # it is closed; status() says the same
        pass


# What is wanted of stacks that are not covered, by each source that cares: of any, and by name.
_wanted: list[tuple[str | None, dict[str, str]]] = []


def _want(strengths: tuple[str | None, dict[str, str]], source: str) -> None:
    """Note what a source wants of stacks that are not covered. It stays: the strictest wins."""
    if strengths[1]:
        from tlsfloor.stacks import about

        about.check_names(strengths[1], source)
    if strengths not in _wanted:
        _wanted.append(strengths)


def _observe(name: str, guard_module: Any, module: ModuleType) -> None:
    """See what a floor would change on one stack; where nothing can, say so."""
    held, observed = ledger.strictest(policy.ENFORCE), ledger.strictest(policy.OBSERVE)
    if observed is None or (held is not None and held.floor >= observed.floor):
        return
    state = "not observed: what it does is not seen"
    if hasattr(guard_module, "observe"):
        try:
            with _lock:
                state = guard_module.observe(module, observed.floor, observed.set_by)
        except GuardError as error:  # whoever only looks refuses nothing
            state = f"not observed: {error.problem}"
    if state.startswith("not observed"):
        floor = versions.floor_name(observed.floor)
        events.note("uncovered", stack=name, floor=floor, mode=observed.mode, text=state)
    if held is None:
        ledger.stacks[name] = state


def raise_context(context: ssl.SSLContext, floor: object) -> None:
    """Raise one context to ``floor``, and nothing else in the process.

    A bound of it that is below the floor is set to it. What the program does to the context later
    is its own affair: only ``enforce()`` holds.

    Raises:
        PolicyError: the floor cannot be understood.
        GuardError: this OpenSSL does not speak that version.
        ProtocolRefused: the context is of a fixed version below the floor.
        TypeError: it is not a context of ``ssl``.

    .. versionadded:: 0.1
    """
    from tlsfloor.stacks import contexts

    contexts.raise_context(context, policy.floor_of(floor, "raise_context()"), "raise_context()")


def adopt() -> None:
    """Note the floors that start-up files armed without loading this module."""
    environment = start_up.get("environment", {})
    fresh = []
    _want(policy.strengths_in(environment), policy.STACKS)
    for file in start_up.get("files", ()):
        if file["floor"]:  # whose outcome no variable makes milder
            _want(("warn" if file["outcome"] == "warn" else "block", {}), file["file"])
    with _lock:
        armed, start_up["armed"] = start_up.get("armed", ()), []
        for file in armed:
            asked = [
                f"{name}={environment[name]}"
                for name in policy.VARIABLES[:2]
                if name in environment
            ]
            if file["floor"] is not None:
                asked.insert(0, f"the floor {file['floor']} written in it")
            set_by = f"{' and '.join(asked) or 'the default'} through {file['file']}"
            for floor, mode in policy.start_up_floors(environment, file["floor"]):
                fresh.append(Arming(floor, mode, file["route"], set_by, file["since"]))
        ledger.armings += fresh
    for each in fresh:
        _tell(each)


def __getattr__(name: str) -> object:
    # The face gets these from here, so that what start-up files armed is adopted before.
    if name not in ("require", "status"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tlsfloor import facts

    return getattr(facts, name)


adopt()
