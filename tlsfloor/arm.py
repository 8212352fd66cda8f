"""Arming: policy + table + hooks. The one way in for every route.

A ratchet: the floor of a process can be raised and never lowered, and of two routes the strictest
wins. The lock is held while state changes and never while something is imported: the importer holds
the lock of the module it imports, and its thread comes here next.
"""

import os
import sys
import time
from _thread import allocate_lock

# Written so that Python looks for no name in the package, which would execute its __init__.py.
import tlsfloor.floor as current
import tlsfloor.hooks as hooks  # noqa: PLR0402
from tlsfloor.stacks import COVERED, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


_lock = allocate_lock()

_FLOORS = ("TLSFLOOR", "TLS_MIN_VERSION")


def _renew_locks() -> None:
    # A fork leaves a lock as it was in some other thread, which does not exist in the child.
    global _lock
    _lock = allocate_lock()
    stdlib: Any = sys.modules.get("tlsfloor.stacks.stdlib")
    if stdlib is not None:
        stdlib.turn = type(stdlib.turn)()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


# Floors that need no parser. All else is read by ``policy``, before the program runs.
_PLAIN = {"1.2": 0x0303, "1.3": 0x0304, "VersionTLS12": 0x0303, "VersionTLS13": 0x0304}


def start(
    file: str,
    floor: "str | None" = None,
    outcome: "str | None" = None,
    since: "float | None" = None,
) -> None:
    """Arm this process by a start-up file, with what is written in it, if anything.

    Several threads may do so at once, where the first TLS stacks are imported by several.
    """
    if hooks.is_watching():
        hooks.put()
    else:
        hooks.watch(_as_chosen(guard), _as_chosen(before), _look)
    route = "PYTHONPATH" if floor is None else "an installed file"
    # site reads a .pth file twice, ddtrace runs sitecustomize again, a folder has a copy.
    if any(each["route"] == route for each in current.files):
        return
    since = since or time.time()
    written = {"route": route, "file": file, "floor": floor, "outcome": outcome, "since": since}
    current.files.append(written)
    try:
        _start(written, current.environment or {})
    except Exception as error:  # noqa: BLE001 - whatever it was, nothing is armed
        from tlsfloor.startup.failure import refuse

        written["adopted"] = True  # as far as that goes
        refuse(error)


def _start(written: "dict[str, Any]", environment: "dict[str, str]") -> None:
    given = {name: environment[name] for name in environment if name in _FLOORS}
    asked = [*given.values(), written["floor"] or "1.2"]
    chosen = environment.get("TLSFLOOR_ON_ERROR", "block")
    rest = environment.keys() - {*_FLOORS, "TLSFLOOR_ON_ERROR"}
    if not rest and chosen == "block" and _PLAIN.keys() >= set(asked):
        written["wire"] = max(_PLAIN[each] for each in asked)
    else:
        from tlsfloor import policy
        from tlsfloor.startup import failure

        if environment.pop("?", None):
            failure.name_unknown(os.environ)
        # Only to see that all can be understood: what it says is taken over by ``_adopt()``.
        policy.start_up_floors(environment, written["floor"])
        policy.resolve_paths(environment)
        if policy.STACKS in environment:
            from tlsfloor.stacks import _coverage

            _coverage.check_names(policy.strengths_in(environment)[1], policy.STACKS)
    if written["floor"] is None and not os.environ.get("PYTHONPATH", os.sep).startswith(os.sep):
        from tlsfloor.startup import failure

        failure.make_absolute(os.path.dirname(os.path.realpath(written["file"])))
    aborts = "abort" in (chosen, written["outcome"])
    if aborts or not sys.modules.keys().isdisjoint(TABLE):
        adopt()
        # Who wants no process without the floor pays for finding out before it runs.
        if aborts and current.is_held():
            check(current.held)
        _catch_up()


def _as_chosen(step: "Callable[[Any], None]") -> "Callable[[Any], None]":
    """Return what takes a step inside of an import, and fails as the start-up files say."""

    def take(what: "Any") -> None:
        try:
            adopt()
            step(what)
        except Exception as error:  # whatever it was, the stack is not guarded
            from tlsfloor.startup import failure

            text = failure.fail(error)
            if text:
                raise ImportError(text) from error

    return take


def _look(spec: "ModuleSpec") -> None:
    from tlsfloor.stacks import _unknown

    if _unknown.look(spec):  # of all others nothing more is loaded
        _as_chosen(unknown)(spec)


def arm(floor: int, mode: str, route: str, set_by: str) -> None:
    """Hold the floor (a wire number) on every stack of the table, now and as each is imported.

    In mode ``observe`` nothing holds, and nothing is refused.

    Raises:
        GuardError: a stack that is here already cannot be held to it. The floor stays armed for the
            others.
    """
    since = time.time()
    arming = {"floor": floor, "mode": mode, "route": route, "set_by": set_by, "since": since}
    _open_files()
    with _lock:
        current.add(arming)
    _report(arming)
    hooks.watch(guard, before, unknown)
    hooks.remember()
    _catch_up()


def _catch_up() -> None:
    from tlsfloor.stacks import _registry

    _registry.catch_up(guard, unknown)


def adopt() -> None:
    """Take over the floors that start-up files armed without loading this module."""
    if len(current.files) < len(current.pending):
        for each in current.pending:
            start(*each)
    # A file counts as adopted once its floors are recorded, and not before: else another thread
    # would import a stack in between and find no floor, and so would a second try after an error.
    for file in current.files[:]:
        if not file.get("adopted"):
            _adopt(file)


def _adopt(file: "dict[str, Any]") -> None:
    environment = current.environment or {}
    asked = [f"{k}={environment[k]}" for k in _FLOORS if k in environment]
    set_by = (
        f"{' and '.join(asked)} through {file['file']}"
        if asked
        else f"the default of {file['file']}"
    )
    if file["floor"] is not None:
        set_by = " and ".join([f"tlsfloor install in {file['file']}", *asked])
        # Whose outcome no variable makes milder.
        want(("warn" if file["outcome"] == "warn" else "block", {}), file["file"])
    if "wire" in file:  # what needs no parser
        floors = [(file["wire"], "enforce")]
    else:
        from tlsfloor import policy

        want(policy.strengths_in(environment), policy.STACKS)
        want_unknown(policy.unknown_of(environment.get(policy.UNKNOWN), policy.UNKNOWN))
        floors = policy.start_up_floors(environment, file["floor"])
    route, since = file["route"], file["since"]
    armings = [
        {"floor": floor, "mode": mode, "route": route, "set_by": set_by, "since": since}
        for floor, mode in floors
    ]
    _open_files()
    with _lock:
        if file.get("adopted"):
            return  # by another thread
        for arming in armings:
            current.add(arming)
        file["adopted"] = True
    for arming in armings:
        _report(arming)


def _report(arming: "dict[str, Any]") -> None:
    """Report an arming."""
    if "logging" in sys.modules or "tlsfloor.events" in sys.modules:  # else nobody hears of it
        from tlsfloor import events, versions

        floor = versions.floor_name(arming["floor"])
        text = f"{arming['route']}: {arming['set_by']}"
        events.note("armed", floor=floor, mode=arming["mode"], text=text)


def _open_files() -> None:
    """Take over where events go, and what is exempted, before a first floor is there.

    Nothing is loaded where neither is asked for.
    """
    environment = os.environ if current.environment is None else current.environment
    if current.armings:
        return
    if "TLSFLOOR_EVENTS" in environment:
        # Errors say that an event cannot be written, maybe when nothing can be loaded any more.
        from tlsfloor import errors, events  # noqa: F401

        file = environment["TLSFLOOR_EVENTS"]
        # The program may go to another folder.
        events.file = file if file in ("", "-") else os.path.abspath(file)
    if "TLSFLOOR_EXEMPTIONS" in environment:
        from tlsfloor import events, exemptions

        installed = any(file["floor"] for file in current.files)
        exemptions.load(environment["TLSFLOOR_EXEMPTIONS"], installed=installed)
        for problem in exemptions.problems:
            events.note("unexempted", text=problem)


def check(floor: int) -> None:
    """Make sure that this OpenSSL can hold the floor, without importing ``ssl`` for it.

    Raises:
        GuardError: it cannot.
    """
    _guard_of("_ssl")  # that it cannot even be imported is found out here as well
    from tlsfloor.stacks import _registry

    _registry.check(floor)


def before(name: str) -> None:
    """Ask the guard of a stack whether its module may be executed.

    Raises:
        GuardError: it may not, or there is no guard to ask.
    """
    if current.threshold != current.NO_FLOOR:
        ask = getattr(_guard_of(name), "before_import", None)
        if ask is not None and current.is_held():
            ask(name)


def guard(module: "ModuleType") -> None:
    """Hold the floor of this process on one stack, and record the result.

    Raises:
        GuardError: it cannot be held there, or nothing covers the stack.
    """
    name = hooks.name_of(module)
    if current.threshold == current.NO_FLOOR:
        return
    guard_module = _guard_of(name)
    try:
        _hold(name, guard_module, module)
    finally:
        if current.observed != current.NO_FLOOR:
            from tlsfloor.stacks import _registry

            state = _registry.observe(name, guard_module, module, _lock)
            if not current.is_held():
                current.stacks[state_of(name)] = state
    if name != "_ssl":  # after which comes ssl
        hooks.remember()


def _guard_of(name: str) -> "Any":
    """Return the guard of a stack.

    Raises:
        GuardError: it cannot be imported; the hint says what helps.
    """
    try:
        return __import__(TABLE[name], fromlist=["guard"])
    except Exception as error:  # whatever it was, there is no guard
        from tlsfloor.errors import GuardError

        text = f"its guard cannot be imported: {type(error).__name__}: {error}"
        current.stacks[state_of(name)] = text
        raise GuardError(
            f"{state_of(name)} cannot be held: {text}",
            hint=f"{sys.executable} -c 'import {TABLE[name]}' shows where it fails",
        ) from error


def state_of(name: str) -> str:
    """Return the name of a stack in ``floor.stacks``: what ``ssl`` is made of is a part of it."""
    return "ssl" if name in ("_ssl", "_cffi_ssl._stdssl") else name


def _hold(name: str, guard_module: "Any", module: "ModuleType") -> None:
    key = state_of(name)
    with _lock:
        if not current.is_held():
            return
        try:
            state = guard_module.guard(module)
        except Exception as error:  # a stack that nobody has seen yet can fail in any way
            from tlsfloor.errors import GuardError

            if isinstance(error, GuardError):
                current.stacks[key] = error.problem
                raise
            current.stacks[key] = f"{type(error).__name__}: {error}"
            raise GuardError(f"the guard does not fit {module!r}: {current.stacks[key]}") from error
        current.stacks[key] = state
    if state not in COVERED:
        from tlsfloor.stacks import _registry

        _registry.refuse_uncovered(name, state, current.uncovered_policies)


def unknown(spec: "ModuleSpec") -> None:
    """Look at an extension module that no row of the table names, before it is loaded.

    Raises:
        GuardError: it carries TLS, and somebody wants such libraries to be refused.
    """
    from tlsfloor.stacks import _unknown

    what = _unknown.look(spec)
    if what and current.threshold != current.NO_FLOOR:
        from tlsfloor.stacks import _unknown_found

        _unknown_found.note(spec.name, str(spec.origin), what, current.unknown_policies)


def want_unknown(strength: "str | None") -> None:
    """Record what a source wants of such libraries, if anything. The strictest wins."""
    if strength is not None:
        current.unknown_policies.add(strength)


def want(strengths: "tuple[str | None, dict[str, str]]", source: str) -> None:
    """Record what a source wants of stacks that are not covered. It stays: the strictest wins."""
    if strengths[1]:
        from tlsfloor.stacks import _coverage

        _coverage.check_names(strengths[1], source)
    if strengths not in current.uncovered_policies:
        current.uncovered_policies.append(strengths)


adopt()
