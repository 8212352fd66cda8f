"""The guard of ``ssl``: the core of tlsfloor.

Theory of operation. ``ssl.SSLContext`` is a Python class derived from ``_ssl._SSLContext``, which
is written in C (CPython, Lib/ssl.py and Modules/_ssl.c). As soon as ``_ssl`` is executed, a Python
subclass of the C type that has the gates takes its name. Everything above inherits them:
``ssl.SSLContext``, each copy of ``ssl.py`` under any name, and what gevent, eventlet and truststore
reach by ``super(SSLContext, SSLContext)``. If ``_ssl`` was imported before the floor was armed, the
subclass becomes the base of the classes that exist already.

A context is gated at three points:

1. **birth**: ``__init__``, which the C type does not define, raises the new context. ``__new__``
   stays as it is: a Python frame around it would move CPython's DeprecationWarnings.
2. **change**: a bound below the floor is clamped to it. Reading a bound raises a context older than
   the floor, so a program reads the value in force. CPython 3.10 and newer warn of old versions for
   the frame two levels up (Modules/_ssl.c, ``PY_SSL_DEPRECATED``), so a gate issues the warning.
3. **use**: ``_wrap_socket`` and ``_wrap_bio``. Every TLS object is born in one of them (those of
   asyncio, gevent, eventlet, truststore and uvloop too) and takes its bounds from the context there
   (OpenSSL, ``SSL_new``). So the context is raised here, whatever was done to it before.

A TLS object that exists when the floor is armed is wrapped in ``_connections.Unproven``, which
compares the negotiated version with the floor after the handshake.

A *fixed-version* context (``PROTOCOL_TLSv1`` and similar) cannot be raised in OpenSSL. It may be
created, and is refused when it is used. It is recognized by the number of its protocol, because
some builds lack the constants.

The common case at each gate is one read of a C descriptor and one comparison of integers. All that
the gates need to hold the floor is in this module, because a program may confine itself afterwards
(``chroot()``, another user), and because a second module would cost every process with TLS.
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

#: The protocols of one version: SSL 2.0, SSL 3.0, TLS 1.0, 1.1 and 1.2.
FIXED = {0: 0x200, 1: 0x300, 3: 0x301, 4: 0x302, 5: 0x303}

# CPython, Modules/_ssl.c: PY_PROTO_MAXIMUM_SUPPORTED. (MINIMUM_SUPPORTED, -2, is below any floor.)
UNBOUNDED = -1

#: The C type -> the class with gates that took its name.
gated = {}  # type: dict[Any, Any]

#: Held while a context is lowered for an exempted connection; ``arm`` renews it in a forked child.
exemption_lock = RLock()

# CPython, Modules/_ssl.c, set_min_max_proto_version(): the bounds that 3.10 warns of, and all.
_DEPRECATED = {0x300: "SSLv3", 0x301: "TLSv1", 0x302: "TLSv1_1"}
_BOUNDS = {-2, *_DEPRECATED, 0x303, 0x304}
# PyPy attributes the warning to a line of its own _ssl, whatever code sets the bound.
_WARNS = sys.version_info >= (3, 10) and sys.implementation.name == "cpython"
if _WARNS:  # the function that C calls; the Python module may be gone as the program ends
    from _warnings import warn

# The classes of TLS objects whose handshakes are reported, see ``report_handshakes_of()``.
_seen = set()  # type: set[type]

# The ``__init__`` of each class with gates, and all the gates of each class.
_gated_inits = set()  # type: set[Any]
gates_of = {}  # type: dict[Any, dict[str, Any]]

# The modules that _load() has returned.
_loaded = {}  # type: dict[str, Any]

# For each C type: a subclass that only tlsfloor uses, and one context of it.
_UNUSED_CONTEXT = "UnusedContext"
_unused = {}  # type: dict[Any, Any]
_unused_contexts = {}  # type: dict[Any, Any]

_CONTEXTS, _CONNECTIONS = "tlsfloor.stacks._contexts", "tlsfloor.stacks._connections"


def _from_ssl_state(name: str) -> "Any":
    def call(*args: "Any") -> "Any":
        return getattr(_load("tlsfloor.stacks._ssl_state"), name)(*args)

    return call


# What few processes ask of this guard. (A __getattr__ would be called for other names, too.)
observe, undone, catch_up, below = map(_from_ssl_state, ("observe", "undone", "catch_up", "below"))


def guard(module: "ModuleType") -> str:
    """Hold the floor on every context of ``_ssl``, and check that a module named ``ssl`` uses it.

    Raises:
        GuardError: this OpenSSL cannot be held to the floor, or ``module`` is not Python's ``ssl``.
    """
    native: Any = module if module.__name__ != "ssl" else sys.modules.get("_ssl")
    if native is not None:
        _check_build(native, current.held)
    missing = add_gates(module, native)
    if missing:
        from tlsfloor.errors import GuardError

        raise GuardError(
            f"the floor cannot be held on {module!r}: {missing}",
            hint="find what replaced it with `python -v`, and arm the floor before that",
        )
    return "guarded"


def _set_bound(put: "Any", context: "Any", bound: int) -> None:
    put(context, bound)


def _put_quietly(put: "Any", context: "Any", bound: int) -> None:
    _set_bound(put, context, bound)


# CPython drops a warning whose frame belongs to a module without a name (Python/_warnings.c,
# warn_explicit(): "module can be None if a warning is emitted late during Python shutdown"). The
# frame that it looks at is the second one above the C code, so there are two functions. (Filters
# are the program's own, and catch_warnings() is not safe with threads.)
_function = type(_set_bound)  # type: Any

#: Set a bound by a descriptor's ``__set__``, without the DeprecationWarning of an old version.
put_quietly = _function(_put_quietly.__code__, {"__name__": None, "_set_bound": _set_bound})  # type: Any


def _check_build(native: "Any", floor: int) -> None:
    """Check that contexts can be held to a floor, without creating one if Python was built for it.

    The first context of a process costs half as much as the rest of ``import ssl``. If Python was
    built with another library than was loaded, ``raise_bounds()`` finds out.

    Raises:
        GuardError: this Python was not built for the floor, and cannot be held to it.
    """
    name = f"HAS_TLSv1_{floor - 0x301}" if floor > 0x301 else "HAS_TLSv1"
    if not getattr(native, name, False) or not hasattr(native._SSLContext, "minimum_version"):
        from tlsfloor.stacks import _contexts

        _contexts.check(floor)


def add_gates(module: "Any", native: "Any") -> str:
    """Put the gates into ``_ssl``; return why ``module`` does not have them, if so."""
    base = getattr(native, "_SSLContext", None)
    if base is not None and base not in gated.values():
        ours = gated.get(base) or gated.setdefault(base, _gated_subclass(base))
        for cls in base.__subclasses__():
            if cls is not ours and cls.__name__ != _UNUSED_CONTEXT and _is_of_this_interpreter(cls):
                cls.__bases__ = tuple(ours if each is base else each for each in cls.__bases__)
        native._SSLContext = ours
    return "" if native is module else describe_replaced(module)


def _is_of_this_interpreter(cls: type) -> bool:
    """Tell whether a class is of this interpreter: on 3.8 and 3.9 all of them share the C type.

    Gates of a sub-interpreter must not stay on a class of the main one when the sub-interpreter
    ends. Each interpreter has its own builtins, and its functions refer to them.
    """
    own = vars(builtins)
    found = getattr(cls.__new__, "__globals__", {}).get("__builtins__", own)
    return found is own or found is builtins


def describe_replaced(module: "Any") -> str:
    """Return what replaced the class of contexts of a module named ``ssl``, as text; else empty."""
    if not hasattr(module, "SSLContext"):  # it is still being executed
        return ""
    cls = module.SSLContext
    is_gated = isinstance(cls, type) and any(issubclass(cls, ours) for ours in gated.values())
    return "" if is_gated else f"its SSLContext is {cls!r}"


def _gated_subclass(base: "Any") -> "Any":
    """Return the class that takes the name of the C type."""
    gates = _gated_wraps(base)
    # Loaded only if something is exempted.
    if getattr(sys.modules.get("tlsfloor.exemptions"), "known", ()):
        from tlsfloor.stacks._exempted import exempting

        gates = {name: exempting(base, getattr(base, name), gates[name]) for name in gates}
    gates["__init__"] = _gated_init(base)
    for name in ("minimum_version", "maximum_version"):
        gates[name] = _bound_property(base, name)
    for name, gate in gates.items():
        if not isinstance(gate, property):
            gate.__qualname__ = f"{base.__name__}.{name}"
            gate.__doc__ = getattr(base, name).__doc__
    attributes = {"__slots__": (), "__module__": base.__module__, "__doc__": base.__doc__}
    ours = type(base.__name__, (base,), {**attributes, **gates})
    del ours.__slots__  # type: ignore[attr-defined] # the C type has none
    gates_of[ours] = gates
    return ours


def _gated_init(base: "Any") -> "Any":
    """Return the ``__init__`` that raises a context which is born below the floor."""
    get_minimum, get_protocol = base.minimum_version.__get__, base.protocol.__get__

    # The gates have type comments: a program may evaluate annotations, as those of any method.
    def __init__(self, *args, **kwargs):  # noqa: N807 - a method
        # type: (Any, *Any, **Any) -> None
        # Call the next __init__ in the MRO. object.__init__ decides by type(self).__init__ whether
        # it accepts arguments (CPython, Objects/typeobject.c).
        mro = type(self).__mro__
        owner: Any = object
        for owner in mro[mro.index(gated[base]) + 1 :]:
            if "__init__" in owner.__dict__:
                break
        if owner is not object:
            owner.__init__(self, *args, **kwargs)
        elif type(self).__init__ not in _gated_inits:
            object.__init__(self, *args, **kwargs)
        born = get_minimum(self)
        if born < current.threshold and get_protocol(self) in FLEXIBLE:
            _try_call(_CONNECTIONS, "note_low", "raised", born)
            if born < current.held:
                raise_bounds(base, self, current.held)

    _gated_inits.add(__init__)
    return __init__


def _gated_wraps(base: "Any") -> "dict[str, Any]":
    """Return the gates of the two methods that create a TLS object."""
    get_minimum = base.minimum_version.__get__
    wrap_socket, wrap_bio = base._wrap_socket, base._wrap_bio

    # With explicit parameters: *args and **kwargs would cost more.
    def _wrap_socket(self, sock, server_side, server_hostname=None, *, owner=None, session=None):
        # type: (Any, Any, Any, Any, Any, Any) -> Any
        if get_minimum(self) < current.threshold:
            _check_use(base, self, server_side, owner)
        if type(owner) not in _seen:
            report_handshakes_of(owner)
        return wrap_socket(self, sock, server_side, server_hostname, owner=owner, session=session)

    def _wrap_bio(
        self, incoming, outgoing, server_side, server_hostname=None, *, owner=None, session=None
    ):
        # type: (Any, Any, Any, Any, Any, Any, Any) -> Any
        if get_minimum(self) < current.threshold:
            _check_use(base, self, server_side, owner)
        if type(owner) not in _seen:
            report_handshakes_of(owner)
        return wrap_bio(
            self, incoming, outgoing, server_side, server_hostname, owner=owner, session=session
        )

    return {"_wrap_socket": _wrap_socket, "_wrap_bio": _wrap_bio}


def count(kind: str) -> None:
    """Count what a gate did, unless tlsfloor itself caused it."""
    if not current.is_internal():
        current.counts[kind] += 1


def raise_bounds(base: "Any", context: "Any", floor: int, *, by_gate: bool = True) -> None:
    """Raise the bounds of a context that is flexible.

    No module needs to be loaded for it: see ``_try_call()``.

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
                raise _load(_CONTEXTS).openssl_error(floor, error) from error
            if by_gate:
                count("raised")
                _try_call(_CONTEXTS, "note_asked", context, name, before)
            else:  # by raise_context(): the program asked for it
                _forget_asked(context, name)


def fresh(base: "Any") -> "Any":
    """Return a new context that no program uses."""
    # PyPy creates no instance of the base itself. (And gevent warns of modules other than ssl that
    # refer to ssl.SSLContext.)
    cls: Any = _unused.get(base) or _unused.setdefault(base, type(_UNUSED_CONTEXT, (base,), {}))
    return cls.__new__(cls, FLEXIBLE[1])


def _load(name: str) -> "Any":
    # An import statement costs 1% of creating a context, and sys.modules may have a module that
    # another thread is still executing.
    module = _loaded.get(name)
    if module is None:
        module = _loaded[name] = __import__(name, fromlist=["*"])
    return module


def _try_call(module: str, function: str, *args: "Any") -> bool:
    """Call what explains or reports, and tell whether that worked: the floor holds without it.

    Its module is loaded when it is first needed. By then the program may have another root folder,
    no free file descriptor, or be ending, and must not lose a connection for that.
    """
    try:
        getattr(_load(module), function)(*args)
    except Exception as error:  # noqa: BLE001 - status().events shows any error
        current.handshakes_unseen = f"{type(error).__name__}: {error}"
        return False
    return True


def report_handshakes_of(owner: "Any") -> None:
    """Report the handshakes of TLS objects of this class from now on."""
    if _try_call(_CONNECTIONS, "see", owner):
        _seen.add(type(owner))


def _check_use(base: "Any", context: "Any", server_side: "Any", owner: "Any") -> None:
    """Raise or refuse a context that is used below the floor; if observing, only report it."""
    protocol = base.protocol.__get__(context)
    if protocol in FLEXIBLE:
        raise_bounds(base, context, current.held)
        return
    version = FIXED.get(protocol, current.NO_FLOOR)
    _try_call(_CONNECTIONS, "note_low", "refused", version)
    if version < current.held:
        count("refused")
        if server_side:
            _try_call("tlsfloor.stacks._explained", "warn_of_server", _refusal(protocol), owner)
        # Not from a variable: a cycle of error, traceback and frame would keep the connection open.
        raise _refusal(protocol)


def _refusal(protocol: int) -> Exception:
    """Return the error for a context of a fixed version; a simple one if nothing can be loaded."""
    try:
        error: Exception = _load(_CONTEXTS).fixed_version(protocol, current.held, current.set_by)
    except Exception:  # noqa: BLE001 - as in _try_call()
        text = "unsupported protocol; tlsfloor: it is below the floor, set by"
        text = f"[SSL: UNSUPPORTED_PROTOCOL] {text} {current.set_by}"
        error = sys.modules["_ssl"].SSLError(1, text)
        error.reason, error.library = "UNSUPPORTED_PROTOCOL", "SSL"  # type: ignore[attr-defined]
    return error


def _forget_asked(context: "Any", name: str) -> None:
    """Record that a program has set a bound at or above the floor, if a lower one was noted."""
    if _CONTEXTS in _loaded:
        _loaded[_CONTEXTS].forget_asked(context, name)


def _bound_property(base: "Any", name: str) -> property:
    """Return the property ``minimum_version`` or ``maximum_version`` that clamps to the floor."""
    descriptor = getattr(base, name)
    get, put = descriptor.__get__, descriptor.__set__

    def read(self: "Any") -> "Any":
        if UNBOUNDED != get(self) < current.held and base.protocol.__get__(self) in FLEXIBLE:
            with exemption_lock:  # it may be lowered at this moment, for an exempted connection
                raise_bounds(base, self, current.held)
        return get(self)

    def write(self: "Any", value: "Any") -> None:
        try:
            number = index(value)
        except TypeError:  # not an integer: this Python's own error, if any
            put(self, value)
            read(self)
            return
        if number not in _BOUNDS or base.protocol.__get__(self) not in FLEXIBLE:
            put(self, value)  # an error, or MAXIMUM_SUPPORTED, which is no bound
            _forget_asked(self, name)
            return
        if number < current.held:
            unused = _unused_contexts.get(base) or _unused_contexts.setdefault(base, fresh(base))
            put_quietly(put, unused, number)  # an error if OpenSSL lacks the version
        if _WARNS and number in _DEPRECATED:
            text = f"ssl.TLSVersion.{_DEPRECATED[number]} is deprecated"
            warn(text, DeprecationWarning, stacklevel=3)
        if number < current.held:
            count("clamped")
            _try_call(_CONTEXTS, "note_asked", self, name, number)
        else:
            _forget_asked(self, name)
        if number < current.threshold:
            _try_call(_CONNECTIONS, "note_low", "clamped", number, name[:7])
        put_quietly(put, self, max(number, current.held))

    read.__name__ = name  # CPython 3.13 and newer print it in the error of a property
    return property(read, write, doc=descriptor.__doc__)
