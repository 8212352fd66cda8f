"""Refuse TLS where it begins: for stacks that can be neither raised nor done without.

Some libraries speak TLS 1.2 and 1.3, and nothing can forbid them the former: rustls inside a wheel,
gRPC's BoringSSL, the AWS SDK of Arrow. Most programs import them for what needs no network at all:
Polars and Arrow for local files, a local object store, a Git repository on disk. So at a floor that
such a stack cannot hold it is imported as ever, and the calls that would open a TLS connection are
refused, each with its reason. No connection below the floor comes of it, so the stack is *guarded*.

A guard of this kind puts gates on those calls with the functions below. Extension types that
PyO3 and pybind11 make can be changed in place, which reaches every copy of them. Those of Cython
cannot: a subclass takes their place in the modules that hold them.

The policy may let such a stack pass (``TLSFLOOR_STACKS=polars=warn``). Then it is uncovered, which
is said when it is imported, and nothing is refused.
"""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType

from tlsfloor import events, policy, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, say
from tlsfloor.stacks import _coverage
from tlsfloor.stacks._contexts import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tlsfloor.stacks._gates import Gates

    #: Raises if the call that it is given (the row, the positional arguments, those by name) would
    #: begin TLS.
    Judge = Callable[[str, tuple[Any, ...], dict[str, Any]], None]

#: Rows that were found to be let pass by the policy, and rows of which a connection in plain text
#: was seen: each is said once.
_said: set[tuple[str, str]] = set()

#: Row -> the lowest version that its stack can be made to speak; and the floor of which nothing in
#: it is older, as far as is known.
_lowest: dict[str, int] = {}
_covered: dict[str, int] = {}


def state(
    module: ModuleType, stack: str, lowest: int, remark: str = "has no setting that forbids it"
) -> str:
    """Return what a stack is at the floor, by the lowest version that it can be made to speak."""
    row = row_of(module)
    _lowest[row] = lowest
    if is_fresh(module):
        _covered[row] = current.held
    if lowest >= current.held:
        return "inherent"
    if passes(row):
        return f"uncovered: {stack} can be made to speak {versions.name(lowest)}, and {remark}"
    return "guarded"


def older(row: str, what: str) -> list[str]:
    """Say that there may be something of a stack that is older than the floor: nothing lists it."""
    may_be = _lowest.get(row, current.held) < current.held
    if may_be and _covered.get(row, current.NO_FLOOR) < current.held:
        return [f"any {what} that is older than the floor"]
    return []


def refuse(row: str, problem: str, hint: str) -> None:
    """Refuse a call that would begin TLS, unless the policy lets this stack pass.

    Raises:
        ProtocolRefused: it does not.
    """
    if passes(row):
        # If it was let pass after the import, nobody has said so yet.
        text = f"uncovered: {problem}"
        if current.stacks.get(row, "").startswith("uncovered"):
            return
        current.stacks[row] = text
        _say(row, text, f"tlsfloor: error: {row}: {problem}; it goes on all the same")
        return
    current.counts["refused"] += 1
    raise refusal(
        problem,
        f"{hint}; or let this stack go below the floor: {policy.STACKS}={row}=warn",
        current.held,
        current.set_by,
    )


def plain(row: str, stack: str) -> None:
    """Say that a connection in plain text passes, of a stack that follows redirects into TLS.

    It is not TLS, and no floor forbids it. But where its server answers with a redirect to
    ``https``, this stack goes there with what it speaks, and nothing can stop it on the way.
    """
    if (row, "plain") in _said or passes(row):
        return
    text = (
        f"uncovered: {stack} was given an address in plain text (http); should its server redirect "
        "to https, that connection is not held to the floor"
    )
    current.stacks[row] = text
    _say(row, text, f"tlsfloor: warning: {row} is {text}", kind="plain")


def passes(row: str) -> bool:
    """Tell whether the policy lets a stack go below the floor."""
    asked = _coverage.strength(row, current.uncovered_policies)
    if asked is None:  # then what was chosen for a failure as Python starts
        return (current.environment or {}).get(policy.ON_ERROR) == "warn"
    return asked == "warn"


def _say(row: str, text: str, line: str, kind: str = "passes") -> None:
    _said.add((row, kind))
    events.note("uncovered", stack=row, floor=versions.floor_name(current.held), text=text)
    say(line)


def row_of(module: ModuleType) -> str:
    """Return the row that a module belongs to: its name, as its importer knows it."""
    # CPython gives an extension that two threads import at once a wrong ``__name__``.
    name: str = getattr(module.__spec__, "name", module.__name__)
    return name


def is_fresh(module: ModuleType) -> bool:
    """Tell whether a module is just being imported, so that nobody can have used it yet."""
    return bool(getattr(module.__spec__, "_initializing", False))


def find(module: ModuleType, path: str) -> tuple[Any, str]:
    """Return the owner of an attribute below a module, and its name there.

    Raises:
        GuardError: there is no such attribute: a version that this guard does not know.
    """
    owner: Any = module
    *owners, name = path.split(".")
    for each in owners:
        owner = getattr(owner, each, None)
    if getattr(owner, name, None) is None:
        raise GuardError(
            f"this {row_of(module)} has no {path}, where its TLS begins",
            hint="install another version of it, or of tlsfloor",
        )
    return owner, name


def gate(gates: Gates, module: ModuleType, path: str, judge: Judge) -> None:
    """Let a judge see each call of a function, a method or a constructor first.

    A constructor is written ``Class.__init__``: the call is judged when the object is made, which
    is before it connects in every stack that uses this. What is a static or a class method, stays
    one.

    Raises:
        GuardError: the module has no such attribute, or it cannot be replaced.
    """
    owner, name = find(module, path)
    if gates.stands(owner, name):
        return
    row = row_of(module)
    held = vars(owner).get(name) if isinstance(owner, type) else None
    function = getattr(owner, name)
    kind: Any = None
    if isinstance(held, staticmethod):
        kind = staticmethod
    elif type(held).__name__ in {"classmethod", "classmethod_descriptor"}:
        kind = classmethod
        function = held

    @wraps(getattr(owner, name))
    def gated(*args: Any, **kwargs: Any) -> Any:
        seen = args
        if kind is classmethod or (isinstance(owner, type) and kind is None):
            seen = args[1:]  # without the class or the object
        judge(row, seen, kwargs)
        if name == "__init__" and function is object.__init__:
            return None  # which takes no arguments; they were for __new__
        if kind is classmethod:
            return function.__get__(None, args[0])(*args[1:], **kwargs)
        return function(*args, **kwargs)

    try:
        gates.put(owner, name, gated if kind is None else kind(gated))
    except TypeError as error:
        raise GuardError(f"{path} of {row} cannot be held: {error}") from error
    if owner is module and not is_fresh(module):
        replace(gates, row, function, gated)  # others may have copied it


def stand_in(real: Any, methods: dict[str, Any]) -> Any:
    """Return a subclass to take the place of an extension type; instances of that are its own."""

    class Kind(type(real)):  # type: ignore[misc] # the type of a type
        def __instancecheck__(cls, instance: object) -> bool:
            return (
                isinstance(instance, real) if cls is made else type.__instancecheck__(cls, instance)
            )

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, real) if cls is made else type.__subclasscheck__(cls, other)

    about = {name: getattr(real, name) for name in ("__module__", "__qualname__", "__doc__")}
    made: Any = Kind(real.__name__, (real,), {**about, "__slots__": (), **methods})
    return made


def replace(gates: Gates, row: str, before: Any, after: Any) -> None:
    """Put ``after`` where ``before`` is, in every module that has it, whatever its name there.

    Gates are those in the stack's own modules: what others do with their copies later is their own
    affair.
    """
    package = row.partition(".")[0]
    for place, module in list(sys.modules.items()):
        if issubclass(type(module), ModuleType):  # cffi's libraries only say that they are some
            # Not vars(): a module that importlib loads lazily would be loaded by that.
            for name, value in list(object.__getattribute__(module, "__dict__").items()):
                if value is before and place.partition(".")[0] == package:
                    gates.put(module, name, after)
                elif value is before:
                    setattr(module, name, after)


def gate_method(gates: Gates, kind: type, name: str, judge: Judge, row: str) -> None:
    """Let a judge see each call of a method of a type that Cython made.

    Such a type is immutable, and a subclass in its place would not be what its other subclasses
    derive from. Its namespace is a plain dict all the same, which the interpreter must be told of
    (CPython, ``PyType_Modified``).

    Raises:
        GuardError: the namespace cannot be had.
    """
    import gc

    if gates.stands(kind, name):
        return
    function = getattr(kind, name)

    static = isinstance(vars(kind)[name], staticmethod)

    @wraps(function)
    def gated(*args: Any, **kwargs: Any) -> Any:
        judge(row, args if static else args[1:], kwargs)
        return function(*args, **kwargs)

    gate = staticmethod(gated) if static else gated
    try:
        from ctypes import py_object, pythonapi

        namespace: Any = next(
            each for each in gc.get_referents(vars(kind)) if isinstance(each, dict)
        )
        namespace[name] = gate
        pythonapi.PyType_Modified(py_object(kind))
    except (ImportError, AttributeError, StopIteration) as error:
        raise GuardError(f"{kind.__qualname__}.{name} cannot be held here: {error}") from error
    gates._put[kind, name] = gate


def gate_constructor(gates: Gates, module: ModuleType, name: str, judge: Judge) -> None:
    """Put a subclass in the place of a type that Cython made, whose calls a judge sees first.

    Raises:
        GuardError: the module has no such type.
    """
    owner, name = find(module, name)
    real = getattr(owner, name)
    if gates.stands(owner, name):
        return
    row = row_of(module)

    def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - a method
        judge(row, args, kwargs)
        return real.__new__(cls, *args, **kwargs)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - a method
        judge(row, args, kwargs)
        real.__init__(self, *args, **kwargs)

    if real.__init__ is object.__init__:  # Cython's __cinit__() does the work
        made = stand_in(real, {"__new__": __new__})
    else:
        made = stand_in(real, {"__init__": __init__})
    if hasattr(real, "_reconstruct"):  # what unpickles it, and calls the type itself

        def judge_pickled(row: str, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
            judge(row, (), args[0])

        gate_method(gates, real, "_reconstruct", judge_pickled, row)
    replace(gates, row, real, made)
