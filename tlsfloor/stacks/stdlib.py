"""The guard of ``ssl``: the heart of tlsfloor.

Theory of operation. ``ssl.SSLContext`` is a Python class above ``_ssl._SSLContext``, which is
written in C (CPython, Modules/_ssl.c and Lib/ssl.py). As soon as ``_ssl`` was executed, a Python
subclass of the C type takes that name, with the gates on it. Everything above inherits them:
``ssl.SSLContext``, each copy of ``ssl.py`` under any name, and what gevent, eventlet and truststore
reach by ``super(SSLContext, SSLContext)``. Nothing above is changed or replaced, so a program that
searches the process for copies of the class finds none of ours. Where ``_ssl`` was imported before
the floor was armed, the subclass becomes the base of the classes that are there already.

A context is gated at three points:

1. **birth**: ``__init__``, of which the C type has none of its own, raises the new context.
   ``__new__`` stays as it is: a frame around it would move CPython's DeprecationWarnings.
2. **change**: a bound below the floor is clamped to it, and reading a bound raises a context that
   is older than the floor: what a context shows is what it will do. CPython 3.10 and newer warn of
   old versions in C, for the frame two levels up (``PY_SSL_DEPRECATED`` in Modules/_ssl.c). A gate
   is one level more, so it warns by itself, one level higher, and sets the bound quietly.
3. **use**: ``_wrap_socket`` and ``_wrap_bio``. Every TLS object is born through one of them (those
   of asyncio, gevent, eventlet, truststore and uvloop too) and takes its bounds from the context
   there (OpenSSL, ``SSL_new``), so the context is raised here whatever was done to it.

A TLS object that is older than the floor has no gate: ``connections.Unproven`` stands in for it
until its handshake is complete, and compares the version that was negotiated with the floor.

A *fixed-version* context (``PROTOCOL_TLSv1`` and its kind) cannot be raised in OpenSSL. It may be
made, and is refused at its use. It is known by its protocol number: the names do not exist on every
OpenSSL.

The common case at each gate is one read of a C descriptor and one comparison of integers.

All that the gates need to hold the floor is in this one module. A program may confine itself after
it has armed the floor (``chroot()``, another user), so nothing that matters is loaded later; and a
second module would cost every process that uses TLS more than its lines do.
"""

import builtins
import sys
from _thread import RLock
from operator import index

from tlsfloor import floor as current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# CPython, Modules/_ssl.c, enum py_ssl_version. A context of these takes bounds:
FLEXIBLE = (2, 16, 17)  # PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER

#: The protocols that speak one version only: SSL 2.0, SSL 3.0, TLS 1.0, 1.1 and 1.2.
FIXED = {0: 0x200, 1: 0x300, 3: 0x301, 4: 0x302, 5: 0x303}

# CPython, Modules/_ssl.c: PY_PROTO_MAXIMUM_SUPPORTED. Its counterpart, -2, needs no care: as a
# number it is below every floor, which is just what it means.
UNBOUNDED = -1

#: The C type -> the class with gates that took its name.
gated = {}  # type: dict[Any, Any]

#: Held while a context is lowered, for a connection to be born that an exemption lets go below. A
#: forked child gets another one: ``arm`` renews it.
turn = RLock()

# CPython, Modules/_ssl.c, set_min_max_proto_version(): what it warns of since 3.10, and the other
# bounds that it knows.
_DEPRECATED = {0x300: "SSLv3", 0x301: "TLSv1", 0x302: "TLSv1_1"}
_BOUNDS = {-2, *_DEPRECATED, 0x303, 0x304}
# (PyPy warns from a line of its own _ssl, whatever code sets the bound.)
_WARNS = sys.version_info >= (3, 10) and sys.implementation.name == "cpython"
if _WARNS:  # what it calls itself; the module in Python may be gone as a program ends
    from _warnings import warn

# The classes of TLS objects whose handshakes are seen; filled by ``connections.see()``.
_seen = set()  # type: set[type]

# The ``__init__`` of each class with gates, and all the gates of each class.
_births = set()  # type: set[Any]
_gates = {}  # type: dict[Any, dict[str, Any]]

# What _later() has returned.
_loaded = {}  # type: dict[str, Any]

# The name of the class of contexts that nobody uses; for each C type the class, and one of them.
_SPARE = "Spare"
_kinds = {}  # type: dict[Any, Any]
_spares = {}  # type: dict[Any, Any]

_CONTEXTS, _CONNECTIONS = "tlsfloor.stacks._contexts", "tlsfloor.stacks._connections"


def guard(module: "ModuleType") -> str:
    """Hold the floor on every context of ``_ssl``, and see that a module named ``ssl`` obeys it.

    Raises:
        GuardError: this OpenSSL cannot be held to the floor, or ``module`` is not Python's ``ssl``.
    """
    native: Any = module if module.__name__ != "ssl" else sys.modules.get("_ssl")
    if native is not None:
        promised(native, current.held)
    missing = _guard(module, native)
    if missing:
        from tlsfloor.errors import GuardError

        raise GuardError(
            f"the floor cannot be held on {module!r}: {missing}",
            hint="find what replaced it with `python -v`, and arm the floor before that",
        )
    return "guarded"


def observe(module: "ModuleType") -> str:
    """Report what the floor would raise and refuse, and which handshakes are below it.

    Raises:
        GuardError: this OpenSSL could not be held to the floor.
    """
    from tlsfloor.stacks import _contexts

    native = module if module.__name__ != "ssl" else sys.modules.get("_ssl")
    if native is not None:  # it is not imported here: the lock of arm is held
        _contexts.check(current.observed)
    missing = _guard(module, native)
    return f"not observed: {missing}" if missing else "observed"


def _put(put: "Any", context: "Any", bound: int) -> None:
    put(context, bound)


def _put_quietly(put: "Any", context: "Any", bound: int) -> None:
    _put(put, context, bound)


# CPython drops a warning whose frame belongs to a module without a name (Python/_warnings.c,
# warn_explicit(): "module can be None if a warning is emitted late during Python shutdown"). The
# frame that it looks at is the second one above the C code, so there are two. A filter would be
# seen by the program and, with threads, lost by it (as the documentation of warnings says).
_function = type(_put)  # type: Any
_nameless = {"__name__": None, "_put": _put}

#: Set a bound by a descriptor's ``__set__``, without the DeprecationWarning of an old version.
put_quietly = _function(_put_quietly.__code__, _nameless)  # type: Any


def c_type() -> "Any":
    """Return the C type of contexts, also where a class with gates has its name.

    Raises:
        ImportError: this Python has no ``_ssl``.
    """
    import _ssl

    made: Any = _ssl._SSLContext
    return next((base for base, ours in gated.items() if ours is made), made)


def promised(native: "Any", floor: int) -> None:
    """See that contexts can be held to a floor, without making one where Python was built for it.

    The library that was loaded may be another one than Python was built for, and the first context
    of a process costs half as much as all else at ``import ssl``. So what is promised is proved on
    each context that is raised: ``raise_bounds()`` fails where the promise is not kept.

    Raises:
        GuardError: this Python was not built for the floor, and cannot be held to it.
    """
    built_for = getattr(
        native, f"HAS_TLSv1_{floor - 0x301}" if floor > 0x301 else "HAS_TLSv1", False
    )
    if not built_for or not hasattr(native._SSLContext, "minimum_version"):
        from tlsfloor.stacks import _contexts

        _contexts.check(floor)


def _guard(module: "Any", native: "Any") -> str:
    base = getattr(native, "_SSLContext", None)
    if base is not None and base not in gated.values():
        ours = gated.get(base) or gated.setdefault(base, _subclass(base))
        for cls in base.__subclasses__():
            if cls is not ours and cls.__name__ != _SPARE and _is_of_this_interpreter(cls):
                cls.__bases__ = tuple(ours if each is base else each for each in cls.__bases__)
        native._SSLContext = ours
    return "" if native is module else _replaced(module)


def _is_of_this_interpreter(cls: type) -> bool:
    """Tell whether a class is of this interpreter: on 3.8 and 3.9 all of them share the C type.

    Gates of a sub-interpreter must not stay on a class of the main one when the former ends. Each
    has builtins of its own, and functions that refer to them.
    """
    own = vars(builtins)
    found = getattr(cls.__new__, "__globals__", {}).get("__builtins__", own)
    return found is own or found is builtins


def _replaced(module: "Any") -> str:
    if not hasattr(module, "SSLContext"):  # it is still being executed
        return ""
    made = module.SSLContext
    if not isinstance(made, type) or not any(issubclass(made, each) for each in gated.values()):
        return f"its SSLContext is {made!r}"
    return ""


def undone(module: "ModuleType") -> str:
    """Return what is not in place of the guard of this ``ssl``; empty when all of it is."""
    from tlsfloor.errors import GuardError
    from tlsfloor.stacks import _contexts

    native: Any = sys.modules.get("_ssl")
    if native is None or native._SSLContext not in gated.values():
        return "the class of contexts in _ssl was replaced"
    for ours in gated.values():
        for gate, put in _gates[ours].items():
            if vars(ours).get(gate) is not put:
                return f"_ssl._SSLContext.{gate} was replaced"
        for cls in ours.__subclasses__():
            for gate in ("_wrap_socket", "_wrap_bio"):
                if gate in vars(cls):
                    return f"{cls.__module__}.{cls.__name__}.{gate} was replaced"
    missing = "" if native is module else _replaced(module)
    if not missing:
        try:
            _contexts.check(current.held)
        except GuardError as error:
            return error.problem
    return missing


def catch_up() -> None:
    """Hold the TLS objects that are older than the floor and not open yet."""
    if any(ours.__subclasses__() for ours in gated.values()):  # else there can be none
        _later("tlsfloor.stacks._older").catch_up(list(gated.values()))


def below() -> "list[str]":
    """Describe the open connections that are below the floor, which nothing can raise any more."""
    found: list[str] = _later("tlsfloor.stacks._older").below(list(gated.values()))
    return found


def _subclass(base: "Any") -> "Any":
    """Return the class that takes the name of the C type."""
    gates = _uses(base)
    # Where nothing is exempted, nobody pays for it: it is not even loaded.
    if getattr(sys.modules.get("tlsfloor.exemptions"), "known", ()):
        from tlsfloor.stacks._exempted import exempting

        gates = {name: exempting(base, getattr(base, name), gates[name]) for name in gates}
    gates["__init__"] = _birth(base)
    for name in ("minimum_version", "maximum_version"):
        gates[name] = _bound(base, name)
    for name, gate in gates.items():
        if not isinstance(gate, property):  # nobody has to find the types of these
            gate.__annotations__ = {}
            gate.__qualname__ = f"{base.__name__}.{name}"
            gate.__doc__ = getattr(base, name).__doc__
    kind = {"__slots__": (), "__module__": base.__module__, "__doc__": base.__doc__}
    ours = type(base.__name__, (base,), {**kind, **gates})
    del ours.__slots__  # type: ignore[attr-defined] # the C type has none to show
    _gates[ours] = gates
    return ours


def _birth(base: "Any") -> "Any":
    """Return the ``__init__`` that raises what is born below the floor."""
    get_minimum, get_protocol = base.minimum_version.__get__, base.protocol.__get__

    def __init__(self: "Any", *args: "Any", **kwargs: "Any") -> None:  # noqa: N807 - a method
        # Without this one, the next in line would be called; object's has its own opinion of
        # arguments where a class has an __init__ of its own (CPython, Objects/typeobject.c).
        mro = type(self).__mro__
        owner: Any = object
        for owner in mro[mro.index(gated[base]) + 1 :]:
            if "__init__" in owner.__dict__:
                break
        if owner is not object:
            owner.__init__(self, *args, **kwargs)
        elif type(self).__init__ not in _births:
            object.__init__(self, *args, **kwargs)
        born = get_minimum(self)
        if born < current.threshold and get_protocol(self) in FLEXIBLE:
            _tell_low("raised", born)
            if born < current.held:
                raise_bounds(base, self, current.held)

    _births.add(__init__)
    return __init__


def _uses(base: "Any") -> "dict[str, Any]":
    """Return the gates of the two methods that make a TLS object."""
    get_minimum = base.minimum_version.__get__
    wrap_socket, wrap_bio = base._wrap_socket, base._wrap_bio

    # Written out as ssl calls them, which costs less than to pack and unpack whatever comes.
    def _wrap_socket(
        self: "Any",
        sock: "Any",
        server_side: "Any",
        server_hostname: "Any" = None,
        *,
        owner: "Any" = None,
        session: "Any" = None,
    ) -> "Any":
        if get_minimum(self) < current.threshold:
            _use_low(base, self, server_side, owner)
        if type(owner) not in _seen:
            _see(owner)
        return wrap_socket(self, sock, server_side, server_hostname, owner=owner, session=session)

    def _wrap_bio(
        self: "Any",
        incoming: "Any",
        outgoing: "Any",
        server_side: "Any",
        server_hostname: "Any" = None,
        *,
        owner: "Any" = None,
        session: "Any" = None,
    ) -> "Any":
        if get_minimum(self) < current.threshold:
            _use_low(base, self, server_side, owner)
        if type(owner) not in _seen:
            _see(owner)
        return wrap_bio(
            self, incoming, outgoing, server_side, server_hostname, owner=owner, session=session
        )

    return {"_wrap_socket": _wrap_socket, "_wrap_bio": _wrap_bio}


def count(kind: str) -> None:
    """Count what a gate did, unless tlsfloor itself asked for it."""
    if not current.is_internal():
        current.counts[kind] += 1


def raise_bounds(base: "Any", context: "Any", floor: int, *, by_gate: bool = True) -> None:
    """Raise the bounds of a context that is flexible.

    Nothing is loaded for it: see ``_aside()``.

    Raises:
        GuardError: this OpenSSL knows no such version.
    """
    for name in ("minimum_version", "maximum_version"):
        bound = getattr(base, name)
        before = bound.__get__(context)
        if UNBOUNDED != before < floor:
            try:
                put_quietly(bound.__set__, context, floor)
            except ValueError as error:
                raise _later(_CONTEXTS).not_holdable(floor, error) from error
            if by_gate:
                count("raised")
                _aside(_CONTEXTS, "note_asked", context, name, before)
            else:  # it is what the program asks for
                _forget(context, name)


def fresh(base: "Any") -> "Any":
    """Return a context that nobody else has."""
    # PyPy makes no instance of the base itself. (Not an ssl.SSLContext, which no module but ssl may
    # hold: gevent searches for those that do, and warns.)
    kind: Any = _kinds.get(base) or _kinds.setdefault(base, type(_SPARE, (base,), {}))
    return kind.__new__(kind, FLEXIBLE[1])


def _later(name: str) -> "Any":
    # What few processes need. An import statement would cost a context that is raised a hundredth
    # of what making it does. And sys.modules has what another thread is just loading, as far as
    # that is.
    module = _loaded.get(name)
    if module is None:
        module = _loaded[name] = __import__(name, fromlist=["*"])
    return module


def _aside(module: str, function: str, *args: "Any") -> bool:
    """Call what explains and reports; the floor holds without it. Tell whether it could be called.

    It is loaded when it is first needed. By then a program may have another root or another user,
    no file descriptor left, or be at its end; it must not lose a connection for that.
    """
    try:
        getattr(_later(module), function)(*args)
    except Exception as error:  # noqa: BLE001 - whatever it was, status().events names it
        current.handshakes_unseen = f"{type(error).__name__}: {error}"
        return False
    return True


def _see(owner: "Any") -> None:
    """See the handshakes of TLS objects of this class from now on."""
    if _aside(_CONNECTIONS, "see", owner):
        _seen.add(type(owner))


def _use_low(base: "Any", context: "Any", server_side: "Any", owner: "Any") -> None:
    """Raise or refuse a context that is used below the floor, or report that it would be."""
    protocol = base.protocol.__get__(context)
    if protocol in FLEXIBLE:
        raise_bounds(base, context, current.held)
        return
    version = FIXED.get(protocol, 0)
    _tell_low("refused", version)
    if version < current.held:
        count("refused")
        if server_side:
            _aside("tlsfloor.stacks._explained", "warn_of_server", _refusal(protocol), owner)
        raise _refusal(protocol)  # in no variable: see warn_of_server()


def _refusal(protocol: int) -> Exception:
    """Return the error for a context of a fixed version; a plain one if nothing can be loaded."""
    try:
        made: Exception = _later(_CONTEXTS).fixed_version(protocol, current.held, current.set_by)
    except Exception:  # noqa: BLE001 - as in _aside()
        text = "unsupported protocol; tlsfloor: it is below the floor, set by"
        text = f"[SSL: UNSUPPORTED_PROTOCOL] {text} {current.set_by}"
        made = sys.modules["_ssl"].SSLError(1, text)
        made.reason, made.library = "UNSUPPORTED_PROTOCOL", "SSL"  # type: ignore[attr-defined]
    return made


def _tell_low(kind: str, lowest: int) -> None:
    """Report each floor that a context is below, the one that is held and the one observed."""
    _aside(_CONNECTIONS, "tell_low", kind, lowest)


def _forget(context: "Any", name: str) -> None:
    """Record that a program has set a bound itself: where one was noted, its module is loaded."""
    if _CONTEXTS in _loaded:
        _loaded[_CONTEXTS].forget_asked(context, name)


def _bound(base: "Any", name: str) -> property:
    """Return the property ``minimum_version`` or ``maximum_version`` that knows of the floor."""
    descriptor = getattr(base, name)
    get, put = descriptor.__get__, descriptor.__set__

    def read(self: "Any") -> "Any":
        if UNBOUNDED != get(self) < current.held and base.protocol.__get__(self) in FLEXIBLE:
            with turn:  # it may only be lowered for a moment
                raise_bounds(base, self, current.held)
        return get(self)

    def write(self: "Any", value: "Any") -> None:
        try:
            number = index(value)
        except TypeError:  # not an integer: whatever this Python says to that
            put(self, value)
            read(self)
            return
        if number not in _BOUNDS or base.protocol.__get__(self) not in FLEXIBLE:
            put(self, value)  # an error, or no bound at all
            _forget(self, name)
            return
        if number < current.held:
            spare = _spares.get(base) or _spares.setdefault(base, fresh(base))
            put_quietly(put, spare, number)  # an error where OpenSSL lacks it
        if _WARNS and number in _DEPRECATED:
            text = f"ssl.TLSVersion.{_DEPRECATED[number]} is deprecated"
            warn(text, DeprecationWarning, stacklevel=3)
        if number >= current.threshold:
            _forget(self, name)
        else:
            if number < current.held:
                count("clamped")
                _aside(_CONTEXTS, "note_asked", self, name, number)
            _tell_low("clamped", number)
        put_quietly(put, self, max(number, current.held))

    read.__name__ = name  # what CPython 3.13 and newer say of a property in an error
    return property(read, write, doc=descriptor.__doc__)
