"""Arming: policy + table + finder. The one way in for every route.

A ratchet: the floor of a process can be raised and never lowered, and of two routes the strictest
wins. The lock is held while state changes and never while something is imported: the importer holds
the lock of the module it imports, and its thread comes here next.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from _thread import allocate_lock

from tlsfloor import events, exemptions, ledger, policy, stacks, vendored, versions
from tlsfloor.errors import FloorNotHeldError, GuardError, PolicyError
from tlsfloor.ledger import Arming, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

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
    source = "enforce()"
    strengths = policy.strengths_of(uncovered, stacks or {}, source, source)
    _check_names(strengths[1], source)
    in_environment = policy.strengths_in(os.environ)
    _check_names(in_environment[1], policy.STACKS)
    _strengths.update({source: strengths, "environment": in_environment})
    asked = policy.floor_in(os.environ)
    if asked is not None and asked > wire:
        wire, set_by = asked, f"{set_by}, raised by the environment"
    if on_event is not None:
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
    return _facts()


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
    if ledger.armings[0] is arming:
        environment = _start_up.get("environment", os.environ)
        events.file = environment.get(events.VARIABLE, "")
        if exemptions.VARIABLE in environment:
            exemptions.load(environment[exemptions.VARIABLE])
            for problem in exemptions.problems:
                events.note("unexempted", text=problem)
    facts = {"floor": versions.floor_name(arming.floor), "mode": arming.mode}
    events.note("armed", **facts, text=f"{arming.route}: {arming.set_by}")


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
                _ask(name, "catch_up")
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
        guard_module = _guard_module(name)
    except Exception as error:  # a wrapt that does not fit this Python fails in any way
        ledger.stacks[name] = f"its guard cannot be imported: {error}"
        raise GuardError(f"the guard of {name} cannot be imported: {error}", hint=_WRAPT) from error
    held, observed = ledger.strictest(policy.ENFORCE), ledger.strictest(policy.OBSERVE)
    if observed is not None and (held is None or observed.floor > held.floor):
        _observe(name, guard_module, module, observed, alone=held is None)
    if held is None:
        return
    with _lock:
        try:
            state = guard_module.guard(module, held.floor, held.set_by)
        except GuardError as error:
            ledger.stacks[name] = error.problem
            raise
        except Exception as error:  # a stack that nobody has seen yet can fail in any way
            ledger.stacks[name] = f"{type(error).__name__}: {error}"
            raise GuardError(f"the guard does not fit {module!r}: {ledger.stacks[name]}") from error
        ledger.stacks[name] = state
    if state not in stacks.COVERED:
        events.note("uncovered", stack=name, floor=versions.floor_name(held.floor), text=state)
        if _strength(name) == "warn":
            _say(f"tlsfloor: error: {name} is {state}; it is imported all the same")
            return
        raise GuardError(
            f"{name} is {state}",
            hint="do without it, or let the process run without the floor there: "
            f"{policy.STACKS}={name}=warn",
        )


# What is wanted of stacks that are not covered, of any and by name: who wants it -> the two.
_strengths: dict[str, tuple[str | None, dict[str, str]]] = {}


def _strength(name: str) -> str | None:
    """Return what is wanted of a stack that is not covered: the strictest, None if nobody cares."""
    from tlsfloor.stacks import about

    asked = {
        named.get(name, named.get(about.ABOUT[name][0], general))
        for general, named in _strengths.values()
    }
    return next((each for each in reversed(policy.STRENGTHS) if each in asked), None)


def _check_names(named: Mapping[str, str], source: str) -> None:
    """Raise for a stack that nobody knows, and name the nearest one."""
    if not named:
        return
    from tlsfloor.stacks import about

    known = {*about.ABOUT, *(stack for stack, _, _ in about.ABOUT.values())}
    for name in named:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            raise PolicyError(
                f"unknown stack in {source}: {name!r}",
                hint=f"did you mean {near[0]}?" if near else "tlsfloor stacks",
                value=name,
                source=source,
            )


def _say(text: str) -> None:
    with contextlib.suppress(AttributeError, OSError):  # stderr is closed; status() says the same
        sys.stderr.write(f"{text}\n")


def _observe(
    name: str, guard_module: Any, module: ModuleType, arming: Arming, *, alone: bool
) -> None:
    """See what a floor would change on one stack; where nothing can, say so."""
    state = "not observed: what it does is not seen"
    if hasattr(guard_module, "observe"):
        with _lock:
            state = guard_module.observe(module, arming.floor, arming.set_by)
    else:
        facts = {"floor": versions.floor_name(arming.floor), "mode": arming.mode}
        events.note("uncovered", stack=name, **facts, text=state)
    if alone:
        ledger.stacks[name] = state


def _guard_module(name: str) -> Any:
    return __import__(stacks.TABLE[name], fromlist=["guard"])


def _ask(name: str, function: str, *args: Any) -> Any:
    """Call a function of a stack's guard; None where it has no such function, or nothing to say."""
    asked = getattr(_guard_module(name), function, None)
    return asked and asked(*args)


def _undone(name: str, module: ModuleType) -> Any:
    guard_module = _guard_module(name)
    if hasattr(guard_module, "undone"):
        return guard_module.undone(module)
    gates = getattr(guard_module, "_gates", None)
    return "" if gates is None else gates.undone()


def require(floor: object) -> None:
    """Raise unless this process holds at least ``floor``. Changes nothing.

    For a library that must not run without one: setting it is the application's, or the operator's.

    Raises:
        FloorNotHeldError: nothing is armed, or less, or a guard is not in place; ``status`` is what
            was found.
        PolicyError: the floor cannot be understood.

    .. versionadded:: 0.1
    """
    asked = policy.floor_of(floor, "require()")
    found = _facts()
    if found.held and versions.FLOORS[str(found.floor)] >= asked:
        return
    name = versions.floor_name(asked)
    reasons = found.problems or [f"its floor is {found.floor}"]
    raise FloorNotHeldError(
        f"this process does not hold TLS {name}: {', '.join(reasons)}",
        hint=f'call tlsfloor.enforce("{name}") where the program starts, or run it with '
        f"`tlsfloor run --floor {name} -- CMD`",
        status=found.as_dict(),
    )


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


def status() -> Status:
    """Return what holds in this process. Changes nothing.

    It asks the guards, and the verifier as well, which sees a floor that somebody has undone; and
    it names the TLS implementations that are loaded.

    .. versionadded:: 0.1
    """
    found = _facts()
    if found.held and sys.modules.get("ssl") is not None:
        from tlsfloor.verify import hello

        counts = dict(ledger.counts)
        with events.Quiet():
            accepted = hello.verify(found.floor).below
        ledger.counts.update(counts)  # what the verifier asked for was not asked for by the program
        found.problems += [f"the verifier says: {each}" for each in accepted]
        found.held = not accepted
    from tlsfloor.stacks import about
    from tlsfloor.verify import libraries

    known = {**about.coverage(found.floor), **found.stacks}
    found.libraries = about.describe(libraries.loaded(), known)
    return found


def _facts() -> Status:
    """Return what the guards say of this process."""
    armings = list(ledger.armings)
    held, seen = ledger.strictest(policy.ENFORCE), ledger.strictest(policy.OBSERVE)
    floor = None if held is None else held.floor
    observed = seen.floor if seen and (floor is None or seen.floor > floor) else None
    found = dict(ledger.stacks)
    asked: dict[str, str] = {}
    for name in stacks.TABLE if floor is not None else ():
        module = sys.modules.get(name)
        if module is None:
            continue
        state = found.get(name, "guarded")
        if state == "guarded":
            found[name] = _undone(name, module) or state
        asked[stacks.TABLE[name]] = name  # once of each guard, which may have several rows
    below = [each for name in asked.values() for each in _ask(name, "below", floor) or []]
    problems = [
        f"{name}: {state}"
        for name, state in found.items()
        if floor is not None and state not in stacks.COVERED
    ]
    if floor is not None and not any(isinstance(each, stacks.Finder) for each in sys.meta_path):
        problems.append(
            "the finder was removed from sys.meta_path: a stack imported next is not guarded"
        )
    if floor is None:
        off = "TLSFLOOR=off" if policy.is_off(os.environ) else "no floor is armed"
        if observed is not None:
            off = f"floor {versions.floor_name(observed)} is observed, and not held"
        problems.append(_start_up.get("failure", off))
    sinks = {each: "well" for each in [events.file, *map(repr, events.callbacks)] if each}
    return Status(
        floor=None if floor is None else versions.floor_name(floor),
        observed=None if observed is None else versions.floor_name(observed),
        held=not problems,
        armings=[
            {
                "floor": versions.floor_name(arming.floor),
                "mode": arming.mode,
                "route": arming.route,
                "set_by": arming.set_by,
                "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(arming.since)),
            }
            for arming in armings
        ],
        stacks=found,
        counts=dict(ledger.counts),
        below=below,
        problems=problems,
        libraries=[],
        events={**sinks, **events.failures},
        exemptions=[each.as_dict() for each in exemptions.known],
        children=_children(),
    )


def _children() -> str:
    """Tell what holds in the Pythons that this process would start just now."""
    written = [each["floor"] for each in _start_up.get("files", ()) if each["floor"]]
    ours = os.path.join(policy.BOOTSTRAP, "sitecustomize.py")
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    names = [os.path.realpath(os.path.join(each, "sitecustomize.py")) for each in folders]
    inherited = ours in names and not policy.is_off(os.environ)
    if not (written or inherited):
        return "not armed, unless they are forked; hint: enforce(..., children=True)"
    try:
        floor = policy.start_up_floor(os.environ, *written[:1])
    except PolicyError as error:
        return f"they cannot be armed: {error.problem}"
    but = "but with -S" if written else "if they keep the environment, but with -E, -I or -S"
    return f"floor {versions.floor_name(floor)}, {but}"


# What the start-up files left, where there were any.
_start_up: dict[str, Any] = getattr(sys, "_tlsfloor", {})


def adopt() -> None:
    """Note the floors that start-up files armed without loading this module."""
    environment = _start_up.get("environment", {})
    fresh = []
    if "environment" not in _strengths and environment:
        _strengths["environment"] = policy.strengths_in(environment)
        _check_names(_strengths["environment"][1], policy.STACKS)
    with _lock:
        armed, _start_up["armed"] = _start_up.get("armed", ()), []
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


adopt()
