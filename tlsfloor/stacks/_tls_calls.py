"""Refuse the calls that begin TLS, for stacks that have no setting for a minimum version.

Some libraries negotiate TLS 1.2 and 1.3, and nothing can forbid 1.2: rustls inside a wheel, gRPC's
BoringSSL, the AWS SDK inside Arrow. Most programs import them for work that needs no network:
Polars and Arrow for local files, a local object store, a Git repository on disk. So at a floor that
such a stack cannot hold, the import succeeds, and each call that would open a TLS connection raises
ProtocolRefused. The stack then makes no connection below the floor, and counts as *guarded*.

The guard of such a stack is a table of calls, each with a function that checks its arguments::

    _calls = TLSCalls("client of Acme", hint="use a URL that begins with acme:")
    guard, below, _gates = _calls.guard, _calls.below, _calls.gates

    @_calls.check("Client.__init__", "?Client.reconnect")
    def _check_url(call: Call) -> None:
        if scheme_of(call.get(0, "url")) == "https":
            call.refuse("a client")

A path is dotted, below the module of the row. ``?`` in front marks a call that some versions of the
library lack, ``*`` at the end matches any rest of the name, and ``module:`` in front names the
row, where one guard serves several.

Types made by PyO3 and pybind11 can be changed in place, which reaches every copy of them. Types
made by Cython are immutable: a subclass takes the place of one whose constructor is checked, and a
method is stored in the type's dictionary itself.

The policy may let such a stack pass (``TLSFLOOR_STACKS=polars=warn``). Then it is uncovered, which
is reported when it is imported, and nothing is refused.
"""

from __future__ import annotations

from functools import wraps

from tlsfloor import events, policy, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, say
from tlsfloor.stacks import _addresses, _coverage, _unknown
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates
from tlsfloor.stacks._stand_ins import find, is_fresh, misfit, replace, row_of, stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

    Check = Callable[["Call"], None]

_NO_MINIMUM = "has no setting for a minimum version"

#: Rows that connected in plain text: each is reported once.
_plain: set[str] = set()


class Call:
    """A call that may begin TLS, as a check sees it: without the object or class it belongs to."""

    def __init__(
        self, calls: TLSCalls, row: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._calls, self.row, self.args, self.kwargs = calls, row, args, kwargs
        self.values = [*args, *kwargs.values()]

    def get(self, place: int, name: str, default: Any = None) -> Any:
        """Return an argument that may be given by position or by name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    def refuse(self, what: str, hint: str = "") -> None:
        """Refuse the call, unless the policy lets this stack pass.

        Raises:
            ProtocolRefused: the policy does not.
        """
        lowest = versions.name(self._calls.lowest())
        stack = _coverage.stack_of(self.row)
        problem = f"{stack} {_NO_MINIMUM} and could use {lowest} for {what}"
        refuse(self.row, problem, hint or self._calls.hint)

    def plain(self) -> None:
        """Report that this call connects in plain text."""
        plain(self.row)

    def check_address(
        self, address: object, what: str, options: Mapping[str, Any] | None = None
    ) -> None:
        """Refuse the call if an address means TLS, and report an address in plain text."""
        kind = _addresses.kind_of(address, options)
        if kind == _addresses.TLS:
            self.refuse(what)
        elif kind == _addresses.PLAIN:
            self.plain()


class TLSCalls:
    """The calls of one stack that begin TLS, and the checks that stand before them.

    ``objects`` names what a program may have made before a late floor and can still use;
    ``lowest`` is the lowest version that the stack can negotiate, or a function that returns it if
    it depends on the environment.
    """

    def __init__(
        self,
        objects: str,
        *,
        hint: str,
        lowest: int | Callable[[], int] = versions.TLS1_2,
    ) -> None:
        self.gates = Gates()
        self.hint = hint
        self._objects, self._lowest = objects, lowest
        #: The subclasses that replace immutable types.
        self.stand_ins: set[Any] = set()
        self._checks: list[tuple[str, Check, tuple[str, ...]]] = []
        #: Row -> a floor that no object of the stack is older than, as far as is known.
        self._covered: dict[str, int] = {}

    def check(self, *paths: str, but: tuple[str, ...] = ()) -> Callable[[Check], Check]:
        """Return a decorator that makes a function the check of these calls, ``but`` some."""

        def decorate(function: Check) -> Check:
            self._checks += [(path, function, but) for path in paths]
            return function

        return decorate

    def lowest(self) -> int:
        """Return the lowest version that the stack can negotiate now."""
        return self._lowest() if callable(self._lowest) else self._lowest

    def guard(self, module: ModuleType) -> str:
        """Refuse the calls that would begin TLS below the floor.

        Raises:
            GuardError: the module lacks one of them, or it cannot be replaced; or its TLS is
                another one.
        """
        row = row_of(module)
        _check_rustls(row, module)
        self._covered.setdefault(row, current.NO_FLOOR)
        if is_fresh(module):
            self._covered[row] = current.held
        lowest = self.lowest()
        if lowest >= current.held and not callable(self._lowest):
            return "inherent"
        if lowest < current.held and passes(row):
            stack = _coverage.stack_of(row)
            return f"uncovered: {stack} {_NO_MINIMUM} and can negotiate {versions.name(lowest)}"
        found = [
            (match, check)
            for path, check, but in self._checks
            for of_row, _, name in [path.rpartition(":")]
            if of_row in ("", row)
            for match in _matching(module, name)
            if match not in but
        ]
        if not found:
            raise misfit(row, "it has no call that is known to begin TLS")
        for match, check in found:
            self._put(module, match, check)
        return "guarded"

    def below(self) -> list[str]:
        """Return a line if objects older than the floor may exist: no library lists them."""
        late = any(floor < current.held for floor in self._covered.values())
        if late and self.lowest() < current.held:
            return [f"any {self._objects} that is older than the floor"]
        return []

    def _put(self, module: ModuleType, path: str, check: Check) -> None:
        """Put a check before a function, a method or (``Class.__init__``) a constructor."""
        owner, name = find(module, path)
        if owner in self.stand_ins or self.gates.stands(owner, name):
            return
        row, function = row_of(module), getattr(owner, name)
        stored = vars(owner).get(name)
        is_static = isinstance(stored, staticmethod)
        of_class = type(stored).__name__ in {"classmethod", "classmethod_descriptor"}
        first = 1 if isinstance(owner, type) and not is_static else 0

        @wraps(function)
        def gated(*args: Any, **kwargs: Any) -> Any:
            if name == "_reconstruct":  # it unpickles an object, and calls the C type itself
                self._look(check, row, (), args[-1])
            else:
                self._look(check, row, args[first:], kwargs)
            if name == "__init__" and function is object.__init__:
                return None  # it takes no arguments: they were for __new__
            if of_class:
                return stored.__get__(None, args[0])(*args[1:], **kwargs)
            return function(*args, **kwargs)

        wrapper: Any = classmethod if of_class else staticmethod if is_static else None
        gate = wrapper(gated) if wrapper else gated
        try:
            self.gates.put(owner, name, gate)
        except TypeError:  # an immutable type, of Cython
            if name == "__init__":
                self._replace_type(module, owner, check)
            else:
                _store(owner, name, gate)
                self.gates.note(owner, name, gate)
        if owner is module and not is_fresh(module):
            replace(self.gates, row, function, gated)  # in modules with a copy

    def _look(self, check: Check, row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Let a check look at a call, if the stack can negotiate less than the floor."""
        if self.lowest() < current.held:
            check(Call(self, row, args, kwargs))

    def _replace_type(self, module: ModuleType, real: Any, check: Check) -> None:
        """Put a subclass in the place of an immutable type, whose constructor is checked first."""
        row = row_of(module)

        def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - a method
            self._look(check, row, args, kwargs)
            return real.__new__(cls, *args, **kwargs)

        def __init__(self_: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - a method
            self._look(check, row, args, kwargs)
            real.__init__(self_, *args, **kwargs)

        # Without an __init__(), Cython's __cinit__() does the work, within __new__().
        by_new = real.__init__ is object.__init__
        methods: dict[str, Any] = {"__new__": __new__} if by_new else {"__init__": __init__}
        # Classes that derive from the type already. Not rebase(): CPython refuses another base
        # whose memory is freed in another way, as that of Arrow's types is.
        before = type(real.__name__, (), {"__slots__": (), **methods})
        derived: Any
        for derived in type.__subclasses__(real):
            bases = derived.__bases__
            place = bases.index(real)
            derived.__bases__ = (*bases[:place], before, *bases[place:])
        made = stand_in(real, methods)
        self.stand_ins.add(made)
        replace(self.gates, row, real, made)


def _check_rustls(row: str, module: ModuleType) -> None:
    """Check that a stack is rustls if its row says so: primp before 1.0 was BoringSSL.

    Raises:
        GuardError: its file has another TLS, which may have versions below 1.2.
    """
    file = getattr(module, "__file__", None)
    if file and _coverage.stack_of(row).startswith("rustls "):
        found = _unknown.find_tls(file)
        if found and "rustls" not in found:
            raise misfit(row, f"its TLS is {found}")


def _matching(module: ModuleType, path: str) -> list[str]:
    """Return the paths that a path with ``?`` or ``*`` matches in this version."""
    optional, path = path.startswith("?"), path.lstrip("?")
    owner_path, _, name = path.rpartition(".")
    owner: Any = module
    for part in filter(None, owner_path.split(".")):
        owner = getattr(owner, part, None)
    if not name.endswith("*"):
        return [path] if not optional or (owner is not None and hasattr(owner, name)) else []
    beginning = name[:-1]
    names = [
        attribute
        for attribute in dir(owner)
        if attribute.startswith(beginning) and (beginning or not attribute.startswith("_"))
        if callable(getattr(owner, attribute)) and not isinstance(getattr(owner, attribute), type)
    ]
    if not names and not optional:
        raise misfit(row_of(module), f"it has no {path}")
    return [f"{owner_path}.{attribute}".lstrip(".") for attribute in names]


def _store(kind: type, name: str, gate: Any) -> None:
    """Store a method in the dictionary of an immutable type.

    Its subclasses derive from the type itself, so another one in its place would not reach them.
    ``vars()`` gives a read-only proxy of a plain dict. After a change of that dict the interpreter
    must drop what it cached of the type (CPython, ``PyType_Modified``).

    Raises:
        GuardError: this interpreter gives no access to the dict.
    """
    import gc

    try:
        from ctypes import py_object, pythonapi

        namespace: Any = next(
            found for found in gc.get_referents(vars(kind)) if isinstance(found, dict)
        )
        namespace[name] = gate
        pythonapi.PyType_Modified(py_object(kind))
    except (ImportError, AttributeError, StopIteration) as error:
        raise GuardError(f"{kind.__qualname__}.{name} cannot be replaced here: {error}") from error


def refuse(row: str, problem: str, hint: str) -> None:
    """Refuse a call that would begin TLS, unless the policy lets its stack pass.

    Raises:
        ProtocolRefused: the policy does not.
    """
    if not passes(row):
        current.counts["refused"] += 1
        raise refusal(
            problem, f"{hint}; or let this stack go below the floor: {policy.STACKS}={row}=warn"
        )
    # If the policy was changed after the import, nothing was reported yet.
    if not current.stacks.get(row, "").startswith("uncovered"):
        _report(
            row,
            f"uncovered: {problem}",
            f"error: {row} is not held, as the policy allows: {problem}",
        )


def plain(row: str) -> None:
    """Report that a stack connects in plain text, if it would follow a redirect to ``https``.

    No floor forbids plain text. But if the server redirects to ``https``, the stack follows with
    any version that it can negotiate, and no gate is on that way.
    """
    if row not in _plain and not passes(row):
        _plain.add(row)
        text = (
            f"uncovered: {_coverage.stack_of(row)} was given an address in plain text (http); "
            "if the server redirects to https, that connection is not held to the floor"
        )
        _report(row, text, f"warning: {row} is {text}")


def _report(row: str, text: str, line: str) -> None:
    current.stacks[row] = text
    floor = versions.floor_name(current.held)
    events.note("uncovered", stack=row, floor=floor, text=text)
    say(f"tlsfloor: {line}; the floor is {floor}, set by {current.set_by}")


def passes(row: str) -> bool:
    """Return whether the policy lets a stack go below the floor."""
    asked = _coverage.policy_for(row, current.uncovered_policies)
    if asked is None:  # then what TLSFLOOR_ON_ERROR says decides
        return (current.environment or {}).get(policy.ON_ERROR) == "warn"
    return asked == "warn"
