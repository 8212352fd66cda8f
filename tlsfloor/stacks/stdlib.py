"""The guard of ``ssl``: the heart of tlsfloor.

``SSLContext`` is changed in place and never replaced. Whoever holds the class, subclassed it or
made a context before, gets the floor all the same, and whoever searches the process for copies of
the class finds none. There are four gates:

1. **birth**: ``__init__``, of which the class has none of its own, raises the new context.
   ``__new__`` stays as it is: a frame around it would move CPython's DeprecationWarnings to this
   file.
2. **change**: the properties are redefined over the C descriptors, as deep in frames as before. A
   bound below the floor is clamped to it, and reading a bound raises a context that is older than
   the floor: what a context shows is what it will do.
3. **use**: ``_wrap_socket`` and ``_wrap_bio``. Every TLS object is born through one of them (those
   of asyncio, gevent, eventlet, truststore and uvloop too) and takes its bounds from the context
   there (OpenSSL's ``SSL_new``), so the context is raised here whatever was done to it.
4. **completion**: the first handshake. CPython lets other threads run while ``SSL_new`` copies, and
   one of them may lower the context through the C descriptor in that moment; and a TLS object may
   be older than the floor. So ``connections.Unproven`` stands for it until its handshake is done,
   by whatever call, and compares the version that was really negotiated with the floor.

A *fixed-version* context (``PROTOCOL_TLSv1`` and its kind) cannot be raised in OpenSSL. It may be
made, and is refused at its use. It is told by its protocol number: the names do not exist on every
OpenSSL.

The common case at the first three gates is one read of a C descriptor and one comparison of
integers. No name of this module is ever bound to the class: gevent searches for modules that do,
and warns.
"""

from __future__ import annotations

import builtins
import sys
from functools import partial
from operator import index

from tlsfloor import events, versions
from tlsfloor.errors import GuardError
from tlsfloor.ledger import counts
from tlsfloor.stacks import contexts
from tlsfloor.stacks.connections import NO_FLOOR, Exempt, Unproven, tell
from tlsfloor.stacks.contexts import FLEXIBLE, UNBOUNDED, hold
from tlsfloor.stacks.gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# What the gates compare with; written by guard() and observe() only, and never lowered: the floor
# that is held, one above it that is observed, and the higher one of them.
_floor = NO_FLOOR
_set_by = ""
_observed = NO_FLOOR
_least = NO_FLOOR

_gates = Gates()


def guard(module: ModuleType, floor: int, set_by: str) -> str:
    """Hold the floor on every ``SSLContext`` of the process, and see that ``module`` obeys it.

    On every class below the C type, that is, and not on what ``module.SSLContext`` is just now:
    gevent and truststore put a subclass of theirs in its place.

    Raises:
        GuardError: this OpenSSL cannot be held to the floor, or ``module`` is not Python's ``ssl``.

    .. versionadded:: 0.1
    """
    global _floor, _set_by, _least, _observed
    base = contexts.promised(floor)
    if floor > _floor:
        Unproven.floor = _floor = floor
        Unproven.set_by = _set_by = set_by
        Unproven.observed = _observed = _observed if _observed > floor else NO_FLOOR
        _least = max(_floor, _observed)
    _install_all(base)
    missing = _replaced(module)
    if missing:
        raise GuardError(
            f"the floor cannot be held on {module!r}: {missing}",
            hint="find what replaced it with `python -v`, and arm the floor before that",
        )
    return "guarded"


def observe(module: ModuleType, floor: int, set_by: str) -> str:
    """Tell what the floor would raise and refuse, and which handshakes are below it.

    Raises:
        GuardError: this OpenSSL could not be held to the floor: there is nothing to look forward
            to.

    .. versionadded:: 0.1
    """
    global _least, _observed
    del set_by
    base = contexts.check(floor)
    if floor > _least:
        Unproven.observed = _observed = _least = floor
    _install_all(base)
    return _replaced(module) or "observed"


def _install_all(base: Any) -> None:
    for cls in base.__subclasses__():
        if cls not in _gates.owners() and cls.__module__ != contexts.__name__ and _is_ours(cls):
            _install(cls, base)


def _is_ours(cls: type) -> bool:
    """Tell whether a class is of this interpreter: on 3.8 and 3.9 all of them share the C type.

    Gates of a sub-interpreter must not stay on a class of the main one when the former ends. Each
    has builtins of its own, and functions that refer to them.
    """
    own = vars(builtins)
    found = getattr(cls.__new__, "__globals__", {}).get("__builtins__", own)
    return found is own or found is builtins


def catch_up() -> None:
    """Put the last gate before the TLS objects that are older than the guard and not connected yet.

    .. versionadded:: 0.1
    """
    for holder, real in _tls_objects():
        # PyPy names a version from the start, and a cipher only when one was agreed on.
        begun = real.version() is not None and real.cipher() is not None
        if not begun and not isinstance(real, Unproven) and holder._sslobj is real:
            holder._sslobj = Unproven(real)


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard of this ``ssl``; empty when all of it is.

    .. versionadded:: 0.1
    """
    missing = _replaced(module)
    if missing:
        return missing
    try:
        contexts.check(_floor)
    except GuardError as error:
        return error.problem
    return ""


def _replaced(module: ModuleType) -> str:
    made = getattr(module, "SSLContext", None)
    if not isinstance(made, type) or _gates.owners().isdisjoint(made.__mro__):
        return f"its SSLContext is {made!r}"
    return _gates.undone()


def undo() -> None:
    """Put everything back exactly as it was. For tests, which compare before and after.

    .. versionadded:: 0.1
    """
    global _floor, _least, _observed
    Unproven.floor = Unproven.observed = _floor = _least = _observed = NO_FLOOR
    _gates.undo()


def below(floor: int) -> list[str]:
    """Describe the open connections that are below the floor, which nothing can raise any more.

    .. versionadded:: 0.1
    """
    found = [(holder, real.version()) for holder, real in _tls_objects()]
    return [
        f"{version} connection: {holder!r}"
        for holder, version in found
        if version is not None and versions.OPENSSL_NAMES.get(version, 0) < floor
    ]


def _tls_objects() -> list[tuple[Any, Any]]:
    """Return every SSLSocket and SSLObject that is alive, and the object of the C type in it."""
    kinds = {
        each.__dict__[kind]
        for cls in _gates.owners()
        for each in (cls, *cls.__subclasses__())  # gevent's has a class of sockets of its own
        for kind in ("sslsocket_class", "sslobject_class")
        if each.__dict__.get(kind) is not None
    }
    found = [(thing, getattr(thing, "_sslobj", None)) for thing in instances(kinds)]
    return [(holder, real) for holder, real in found if real is not None]


def _install(cls: type, base: Any) -> None:
    """Put the gates on one class of contexts."""
    get_minimum = base.minimum_version.__get__
    wrap_socket, wrap_bio = base._wrap_socket, base._wrap_bio
    new: Any = object.__new__

    # Written out as ssl calls them, which costs less than to pack and unpack whatever comes, even
    # where nothing comes; and without the frame of an __init__. What a later CPython adds passes
    # through.
    def _wrap_socket(
        self: Any,
        sock: Any,
        server_side: Any,
        server_hostname: Any = None,
        *,
        owner: Any = None,
        session: Any = None,
        **more: Any,
    ) -> Any:
        if get_minimum(self) < _least:
            _use_low(base, self)
        wrap = partial(wrap_socket, **more) if more else wrap_socket
        held = new(Unproven)
        held._real = wrap(self, sock, server_side, server_hostname, owner=owner, session=session)
        return held

    def _wrap_bio(
        self: Any,
        incoming: Any,
        outgoing: Any,
        server_side: Any,
        server_hostname: Any = None,
        *,
        owner: Any = None,
        session: Any = None,
        **more: Any,
    ) -> Any:
        if get_minimum(self) < _least:
            _use_low(base, self)
        wrap = partial(wrap_bio, **more) if more else wrap_bio
        held = new(Unproven)
        held._real = wrap(
            self, incoming, outgoing, server_side, server_hostname, owner=owner, session=session
        )
        return held

    uses = {_wrap_socket: wrap_socket, _wrap_bio: wrap_bio}
    # Where nothing is exempted, nobody pays for it: it is not even loaded.
    exempted = getattr(sys.modules.get("tlsfloor.exemptions"), "known", ())
    exempting = [_exempting(base, wrap, gate) for gate, wrap in uses.items() if exempted]
    for gate in (_birth(cls, base), *(exempting or uses)):
        _gates.put(cls, gate.__name__, gate)
    for name in ("minimum_version", "maximum_version"):
        _gates.put(cls, name, _bound(cls, base, name))


def _birth(cls: type, base: Any) -> Any:
    """Return the ``__init__`` that raises what is born below the floor."""
    get_minimum, get_protocol = base.minimum_version.__get__, base.protocol.__get__
    bounds = contexts.bounds(base)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes a method
        if type(self) is not cls:
            _init_next(cls, self, args, kwargs)
        born = get_minimum(self)
        if born < _least and get_protocol(self) in FLEXIBLE:
            if events.wanted("raised"):
                _tell_low("raised", born)
            if born < _floor:
                contexts.raise_bounds(bounds, self, _floor)

    return __init__


def _exempting(base: Any, wrap: Any, gate: Any) -> Any:
    """Return the gate of a use that lets what is exempted go below the floor."""
    from tlsfloor.stacks import exempt

    def exempting(self: Any, *args: Any, **kwargs: Any) -> Any:
        with contexts.turn:
            found = exempt.find(args, kwargs, _least)
            if found is not None:
                lowest = exempt.lowest(base, self, found)
                if lowest < _floor:
                    with exempt.lowered(base, self, lowest, _floor):
                        return Exempt(wrap(self, *args, **kwargs), lowest)
            return gate(self, *args, **kwargs)

    exempting.__name__ = gate.__name__
    return exempting


def _use_low(base: Any, context: Any) -> None:
    """Raise or refuse a context that is used below the floor, or tell that it would be refused."""
    protocol = base.protocol.__get__(context)
    if protocol not in FLEXIBLE and events.wanted("refused"):
        _tell_low("refused", contexts.FIXED.get(protocol, 0))
    if base.minimum_version.__get__(context) < _floor:
        hold(base, context, _floor, _set_by)


def _tell_low(kind: str, lowest: int) -> None:
    """Tell of each floor that a context is below, the one that is held and the one observed."""
    for floor, mode in ((_floor, "enforce"), (_observed, "observe")):
        if lowest < floor:
            tell(kind, floor, mode, asked=versions.bound_name(lowest))


def _init_next(cls: type, context: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Call the ``__init__`` that a subclass would have reached if ``cls`` still had none."""
    mro = type(context).__mro__
    owner = next(each for each in mro[mro.index(cls) + 1 :] if "__init__" in each.__dict__)
    if owner is not object:
        owner.__dict__["__init__"].__get__(context)(*args, **kwargs)


def _bound(cls: type, base: Any, name: str) -> property:
    """Return the property ``minimum_version`` or ``maximum_version`` that knows of the floor."""
    shown = getattr(cls, name)
    get, put = getattr(base, name).__get__, getattr(base, name).__set__

    def read(self: Any) -> Any:
        if UNBOUNDED != get(self) < _floor and base.protocol.__get__(self) in FLEXIBLE:
            with contexts.turn:  # it may only be lowered for a moment
                hold(base, self, _floor, _set_by)
        return shown.__get__(self)

    def write(self: Any, value: Any) -> None:
        try:
            number = index(value)
        except TypeError:  # no integer: whatever this Python says to that, or makes of it
            put(self, value)
            number = get(self)
        if UNBOUNDED != number < _least:
            if number < _floor:
                put(contexts.spare(base), value)  # raises and warns as ever, and harms nobody
                value = _floor
                counts["clamped"] += 1
            _lowered(self, name, number)
        else:
            contexts.forget_asked(self, name)
        put(self, value)

    read.__name__ = name  # what CPython 3.13 and newer say of a property in an error
    return property(read, write, doc=shown.__doc__)


def _lowered(context: Any, name: str, number: int) -> None:
    """Note that a context was asked for less than a floor, which is clamped or only observed."""
    if number < _floor:
        contexts.note_asked(context, name, number)
    if events.wanted("clamped"):
        _tell_low("clamped", number)
