"""Arming: policy + table + hooks. Every route arms a process through this module.

The floor of a process can be raised and never lowered, and of two routes the strictest wins
(``docs/explanation/design.md#rules``). The lock is held while state changes, and never while
something is imported: otherwise a thread that holds an import lock and waits for this one would
deadlock.

Start-up files that are installed call ``start()``. It stays importable from here.
"""

import os
import sys
import time
from _thread import allocate_lock

# ``import a.b as c``, because ``from a import b`` would look the name up in the lazy package and
# execute it.
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
    # A lock that another thread holds during a fork stays locked in the child for good.
    global _lock
    _lock = allocate_lock()
    stdlib: Any = sys.modules.get("tlsfloor.stacks.stdlib")
    if stdlib is not None:
        stdlib.exemption_lock = type(stdlib.exemption_lock)()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


# Floors that need no parser. ``policy`` reads all other configuration, before the program runs.
_PLAIN = {"1.2": 0x0303, "1.3": 0x0304, "VersionTLS12": 0x0303, "VersionTLS13": 0x0304}


def start(
    file: str,
    floor: "str | None" = None,
    outcome: "str | None" = None,
    since: "float | None" = None,
) -> None:
    """Arm this process by a start-up file, with the floor and outcome that are written in it.

    Several threads may do so at once, if they import the first TLS stacks at the same time.
    """
    if hooks.is_watching():
        hooks.insert()
    else:
        hooks.watch(
            _as_startup(guard_module), _as_startup(before_import), _before_unlisted_at_startup
        )
    route = "PYTHONPATH" if floor is None else "an installed file"
    # The same start-up file may run again: site reads a .pth file twice, ddtrace runs sitecustomize
    # again. And several folders of the path may have a copy of it.
    if any(known["route"] == route for known in current.files):
        return
    since = since or time.time()
    record = {"route": route, "file": file, "floor": floor, "outcome": outcome, "since": since}
    current.files.append(record)
    try:
        _start(record, current.environment or {})
    except Exception as error:  # noqa: BLE001 - any error means that nothing is armed
        from tlsfloor.startup.failure import refuse_all

        record["adopted"] = True  # nothing of it is left to take over
        refuse_all(error)


def _start(record: "dict[str, Any]", environment: "dict[str, str]") -> None:
    given = {name: environment[name] for name in environment if name in _FLOORS}
    floors = [*given.values(), record["floor"] or "1.2"]
    outcome = environment.get("TLSFLOOR_ON_ERROR", "block")
    rest = environment.keys() - {*_FLOORS, "TLSFLOOR_ON_ERROR"}
    if not rest and outcome == "block" and _PLAIN.keys() >= set(floors):
        record["wire"] = max(_PLAIN[floor] for floor in floors)
    else:
        from tlsfloor import policy
        from tlsfloor.startup import failure

        if environment.pop("?", None):
            failure.name_unknown(os.environ)
        # Only to see that all can be understood: ``_adopt()`` uses the values.
        policy.startup_floors(environment, record["floor"])
        policy.resolve_paths(environment)
        if policy.STACKS in environment:
            from tlsfloor.stacks import _coverage

            _coverage.check_names(policy.uncovered_in(environment)[1], policy.STACKS)
    if record["floor"] is None and not os.environ.get("PYTHONPATH", os.sep).startswith(os.sep):
        from tlsfloor.startup import failure

        failure.make_absolute(os.path.dirname(os.path.realpath(record["file"])))
    aborts = "abort" in (outcome, record["outcome"])
    if aborts or not sys.modules.keys().isdisjoint(TABLE):
        adopt()
        # With "abort", no program may run without the floor: find out now, at the price of an
        # import.
        if aborts and current.is_held():
            check_floor(current.held)
        _catch_up()


def _as_startup(step: "Callable[[Any], None]") -> "Callable[[Any], None]":
    """Wrap a step: an error in it does what ``TLSFLOOR_ON_ERROR`` says."""

    def take(what: "Any") -> None:
        try:
            adopt()
            step(what)
        except Exception as error:  # any error means that the stack is not guarded
            from tlsfloor.startup import failure

            text = failure.fail(error)
            if text:
                raise ImportError(text) from error

    return take


def _before_unlisted_at_startup(spec: "ModuleSpec") -> None:
    from tlsfloor.stacks import _unknown

    if _unknown.look(spec):  # for most modules nothing more is loaded
        _as_startup(before_unlisted)(spec)


def arm(floor: int, mode: str, route: str, set_by: str) -> None:
    """Hold the floor (a wire number) on every stack of the table, now and as each is imported.

    In mode ``observe`` nothing is held, and nothing is refused.

    Raises:
        GuardError: a stack that was imported before cannot be held to it. The floor stays armed for
            the others.
    """
    since = time.time()
    arming = {"floor": floor, "mode": mode, "route": route, "set_by": set_by, "since": since}
    _read_file_settings()
    with _lock:
        current.add(arming)
    _report_arming(arming)
    hooks.watch(guard_module, before_import, before_unlisted)
    hooks.keep_own_modules()
    _catch_up()


def _catch_up() -> None:
    from tlsfloor.stacks import _registry

    _registry.guard_imported(guard_module, before_unlisted)


def adopt() -> None:
    """Take over the floors that start-up files armed without loading this module."""
    if len(current.files) < len(current.pending):
        for pending in current.pending:
            start(*pending)
    # A file counts as adopted once its floors are recorded, and not earlier. Otherwise another
    # thread could import a stack in between and find no floor, and so could a retry after an error.
    for file in current.files[:]:
        if not file.get("adopted"):
            _adopt(file)


def _adopt(file: "dict[str, Any]") -> None:
    environment = current.environment or {}
    asked = [f"{name}={environment[name]}" for name in _FLOORS if name in environment]
    set_by = (
        f"{' and '.join(asked)}, read by {file['file']}"
        if asked
        else f"{file['file']} (default 1.2)"
    )
    if file["floor"] is not None:
        set_by = " and ".join([*asked, f"tlsfloor install, in {file['file']}"])
        # No variable makes this outcome milder.
        add_policy(("warn" if file["outcome"] == "warn" else "block", {}), file["file"])
    if "wire" in file:  # no parser was needed
        floors = [(file["wire"], "enforce")]
    else:
        from tlsfloor import policy

        add_policy(policy.uncovered_in(environment), policy.STACKS)
        current.unknown_policies.add(policy.unknown_in(environment))
        floors = policy.startup_floors(environment, file["floor"])
    route, since = file["route"], file["since"]
    armings = [
        {"floor": floor, "mode": mode, "route": route, "set_by": set_by, "since": since}
        for floor, mode in floors
    ]
    _read_file_settings()
    with _lock:
        if file.get("adopted"):
            return  # by another thread
        for arming in armings:
            current.add(arming)
        file["adopted"] = True
    for arming in armings:
        _report_arming(arming)


def _report_arming(arming: "dict[str, Any]") -> None:
    if "logging" in sys.modules or "tlsfloor.events" in sys.modules:  # else nothing listens
        from tlsfloor import events, versions

        floor = versions.floor_name(arming["floor"])
        text = f"{arming['route']}: {arming['set_by']}"
        events.note("armed", floor=floor, mode=arming["mode"], text=text)
    if hooks.OPENTELEMETRY in sys.modules:
        _start_metrics()


def _start_metrics() -> None:
    from tlsfloor import metrics

    metrics.start()


def _read_file_settings() -> None:
    """Read where events go and what is exempted, before the first floor is armed.

    Nothing is loaded unless the environment names a file.
    """
    environment = os.environ if current.environment is None else current.environment
    if current.armings:
        return
    if "TLSFLOOR_EVENTS" in environment:
        # ``errors`` is needed when an event cannot be written. By then the program may be unable to
        # load anything.
        from tlsfloor import errors, events  # noqa: F401

        file = environment["TLSFLOOR_EVENTS"]
        # The program may change its current folder.
        events.file = file if file in ("", "-") else os.path.abspath(file)
    if "TLSFLOOR_EXEMPTIONS" in environment:
        from tlsfloor import events, exemptions

        installed = any(file["floor"] for file in current.files)
        exemptions.load(environment["TLSFLOOR_EXEMPTIONS"], installed=installed)
        for problem in exemptions.problems:
            events.note("unexempted", text=problem)


def check_floor(floor: int) -> None:
    """Make sure that this OpenSSL can hold the floor, without importing ``ssl``.

    Raises:
        GuardError: it cannot, or the guard of ``ssl`` cannot be imported.
    """
    _guard_of("_ssl")
    from tlsfloor.stacks import _registry

    _registry.check_openssl(floor)


def before_import(name: str) -> None:
    """Ask the guard of a stack whether its module may be executed.

    Raises:
        GuardError: it may not, or its guard cannot be imported.
    """
    if current.threshold != current.NO_FLOOR and name != hooks.OPENTELEMETRY:
        ask = getattr(_guard_of(name), "before_import", None)
        if ask is not None and current.is_held():
            ask(name)


def guard_module(module: "ModuleType") -> None:
    """Hold the floor of this process on the stack that a module brings, and record the result.

    Raises:
        GuardError: it cannot be held there, or nothing covers the stack.
    """
    name = hooks.imported_name(module)
    if current.threshold == current.NO_FLOOR:
        return
    if name == hooks.OPENTELEMETRY:
        _start_metrics()
        return
    guard = _guard_of(name)
    try:
        _guard_locked(name, guard, module)
    finally:
        if current.observed != current.NO_FLOOR:
            from tlsfloor.stacks import _registry

            state = _registry.observe_stack(name, guard, module, _lock)
            if not current.is_held():
                current.stacks[stack_name(name)] = state
    if name != "_ssl":  # ssl is executed next
        hooks.keep_own_modules()


def _guard_of(name: str) -> "Any":
    """Return the guard of a stack.

    Raises:
        GuardError: it cannot be imported.
    """
    try:
        return __import__(TABLE[name], fromlist=["guard"])
    except Exception as error:  # any error means that there is no guard
        from tlsfloor.errors import GuardError

        text = f"its guard cannot be imported: {type(error).__name__}: {error}"
        current.stacks[stack_name(name)] = text
        raise GuardError(
            f"{stack_name(name)} cannot be held: {text}",
            hint=f"run {sys.executable} -c 'import {TABLE[name]}' to see where it fails",
        ) from error


def stack_name(name: str) -> str:
    """Return the name of a stack in ``floor.stacks``: the C module of ``ssl`` is a part of it."""
    return "ssl" if name in ("_ssl", "_cffi_ssl._stdssl") else name


def _guard_locked(name: str, guard: "Any", module: "ModuleType") -> None:
    key = stack_name(name)
    with _lock:
        if not current.is_held():
            return
        try:
            state = guard.guard(module)
        except Exception as error:  # an unknown version of the stack can fail in any way
            from tlsfloor.errors import GuardError

            if isinstance(error, GuardError):
                current.stacks[key] = error.problem
                raise
            current.stacks[key] = f"{type(error).__name__}: {error}"
            raise GuardError(
                f"the guard does not fit {module!r}: {current.stacks[key]}",
                hint="use another version of it; `tlsfloor stacks` shows which one is installed",
            ) from error
        current.stacks[key] = state
    if state not in COVERED:
        from tlsfloor.stacks import _registry

        _registry.refuse_uncovered(name, state, current.uncovered_policies)


def before_unlisted(spec: "ModuleSpec") -> None:
    """Look for TLS in an extension module that is not in the table, before it is loaded.

    Raises:
        GuardError: it carries TLS, and some source wants such libraries to be refused.
    """
    from tlsfloor.stacks import _unknown

    found = _unknown.look(spec)
    if found and current.threshold != current.NO_FLOOR:
        from tlsfloor.stacks import _unknown_found

        _unknown_found.note_unknown(spec.name, str(spec.origin), found, current.unknown_policies)


def add_policy(uncovered: "tuple[str | None, dict[str, str]]", source: str) -> None:
    """Record what a source wants for stacks that are not covered. The strictest source wins."""
    if uncovered[1]:
        from tlsfloor.stacks import _coverage

        _coverage.check_names(uncovered[1], source)
    if uncovered not in current.uncovered_policies:
        current.uncovered_policies.append(uncovered)


# Whatever imports this module, for example ``enforce()``, sees what start-up files have armed.
adopt()
