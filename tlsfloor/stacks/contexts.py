"""One context of ``ssl`` and its bounds: whether it can be raised, raising it, refusing it.

A *fixed-version* context (``PROTOCOL_TLSv1`` and its kind) cannot be raised in OpenSSL. It is told
by its protocol number: the names do not exist on every OpenSSL.
"""

from __future__ import annotations

from _thread import RLock

from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.ledger import counts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# CPython, Modules/_ssl.c, enum py_ssl_version. A context of these takes bounds ...
FLEXIBLE = (2, 16, 17)  # PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER
_PROTOCOL_TLS_CLIENT = 16
# ... and one of these speaks its one version.
FIXED = {
    0: versions.SSL2,
    1: versions.SSL3,
    3: versions.TLS1_0,
    4: versions.TLS1_1,
    5: versions.TLS1_2,
}

# CPython, Modules/_ssl.c: PY_PROTO_MAXIMUM_SUPPORTED. Its counterpart, -2, needs no care: as a
# number it is below every floor, which is just what it means.
UNBOUNDED = -1

# For each C type a class below it, and a context that nobody uses. A process has several C types
# where _ssl was imported again: ddtrace drops it for gevent's sake.
_kinds: dict[Any, Any] = {}
_spares: dict[Any, Any] = {}

# The floors that were shown to hold, and of which type. Asking once is enough, and asking again is
# not free of danger: OpenSSL has locks that a fork amid another thread's call leaves held in the
# child.
_holdable: set[tuple[Any, int]] = set()


#: Held while a context is lowered, for a connection to be born that an exemption lets go below.
turn = RLock()

# The bounds that a context asked for and did not get are attributes of it. Only where there is one
# can the floor be the reason of what fails.
_ASKED = {
    "minimum_version": "_tlsfloor_minimum_version",
    "maximum_version": "_tlsfloor_maximum_version",
}


def asked(context: Any) -> dict[str, int]:
    """Return the bounds that a context would have without the floor, where they are others.

    .. versionadded:: 0.1
    """
    held = getattr(context, "__dict__", {})
    return {name: held[key] for name, key in _ASKED.items() if key in held}


def note_asked(context: Any, name: str, bound: int) -> None:
    """Note that a context does not get a bound that it has, or was asked to have.

    .. versionadded:: 0.1
    """
    held = getattr(context, "__dict__", None)
    if held is not None:  # else one of the C type itself, which takes no attribute
        held[_ASKED[name]] = bound


def forget_asked(context: Any, name: str) -> None:
    """Note that a program has set a bound with which the floor is content.

    .. versionadded:: 0.1
    """
    getattr(context, "__dict__", {}).pop(_ASKED[name], None)


def promised(floor: int) -> Any:
    """Return the C type of contexts, where this Python was built for the floor; else ``check()``.

    The library that was loaded may be another one than it was built for, and the first context of a
    process costs half as much as all else at ``import ssl``. So what is promised is proved on each
    context that is raised: ``hold()`` fails where it is not kept.

    Raises:
        GuardError: this Python was not built for the floor, and cannot be held to it.
        ImportError: this Python has no ``_ssl``.

    .. versionadded:: 0.1
    """
    import _ssl

    base: Any = _ssl._SSLContext
    built_for = getattr(_ssl, f"HAS_TLSv{versions.floor_name(floor).replace('.', '_')}", False)
    return base if built_for and hasattr(base, "minimum_version") else check(floor)


def check(floor: int) -> Any:
    """Hold a context of the C type to the floor, to see whether it can be; return that type.

    Raises:
        GuardError: it cannot: this Python knows no minimum, or its OpenSSL no such version.
        ImportError: this Python has no ``_ssl``.

    .. versionadded:: 0.1
    """
    import _ssl

    base: Any = _ssl._SSLContext
    if (base, floor) not in _holdable:
        trial = _fresh(base)  # one of its own: the gates of other threads use the spare one
        try:
            base.minimum_version.__set__(trial, floor)
        except (AttributeError, ValueError) as error:
            raise _not_holdable(floor, error) from error
        if base.minimum_version.__get__(trial) != floor:
            raise _not_holdable(floor, "it does not keep the minimum that was set")
        _holdable.add((base, floor))
    return base


def spare(base: Any) -> Any:
    """Return a context that nobody uses, to see on it what this OpenSSL takes.

    .. versionadded:: 0.1
    """
    return _spares.get(base) or _spares.setdefault(base, _fresh(base))


def _fresh(base: Any) -> Any:
    # PyPy makes no instance of the base itself. (Not an ssl.SSLContext, which no module but ssl may
    # hold: gevent searches for those that do, and warns.)
    kind: Any = _kinds.get(base) or _kinds.setdefault(base, type("Spare", (base,), {}))
    return kind.__new__(kind, _PROTOCOL_TLS_CLIENT)


def bounds(base: Any) -> Any:
    """Return the name of each bound, and what reads and sets it on a context of the C type.

    .. versionadded:: 0.1
    """
    return [(name, getattr(base, name).__get__, getattr(base, name).__set__) for name in _ASKED]


def _not_holdable(floor: int, problem: object) -> GuardError:
    from _ssl import OPENSSL_VERSION

    return GuardError(
        f"{OPENSSL_VERSION} cannot be held to {versions.name(floor)}: {problem}",
        hint="use a Python whose OpenSSL speaks it, or a lower floor",
    )


def raise_context(context: Any, floor: int, set_by: str) -> None:
    """Raise one context to the floor, and nothing else.

    Raises:
        ProtocolRefused: the context is of a fixed version below the floor.
        TypeError: it is not a context of ``ssl``.

    .. versionadded:: 0.1
    """
    base = check(floor)
    cls = type(context)
    if not issubclass(cls, base):
        raise TypeError(f"an ssl.SSLContext is needed, not {cls.__module__}.{cls.__qualname__}")
    owner = next(each for each in cls.__mro__ if "minimum_version" in each.__dict__)
    if owner is base or base in owner.__bases__:
        hold(base, context, floor, set_by)
        return
    # A class with properties of its own may stand for the context that is really used (truststore's
    # does), and only they reach that one.
    if context.protocol not in FLEXIBLE:
        check_fixed(context.protocol, floor, set_by)
        return
    if context.minimum_version < floor:  # noqa: PLR1730 - a write that is not needed is not made
        context.minimum_version = floor
    if UNBOUNDED != context.maximum_version < floor:
        context.maximum_version = floor


def hold(base: Any, context: Any, floor: int, set_by: str) -> None:
    """Raise the bounds of a context that are below the floor, or refuse what cannot be raised.

    Raises:
        GuardError: this OpenSSL cannot be held to the floor.
        ProtocolRefused: the context is of a fixed version below the floor.
    """
    protocol = base.protocol.__get__(context)
    if protocol in FLEXIBLE:
        raise_bounds(bounds(base), context, floor)
    else:
        check_fixed(protocol, floor, set_by)


def raise_bounds(of_base: Any, context: Any, floor: int) -> None:
    """Raise what ``bounds()`` returns, of a context that is flexible.

    Raises:
        GuardError: this OpenSSL knows no such version.

    .. versionadded:: 0.1
    """
    for name, get, put in of_base:
        before = get(context)
        if UNBOUNDED != before < floor:
            try:
                put(context, floor)
            except ValueError as error:
                raise _not_holdable(floor, error) from error
            note_asked(context, name, before)
            counts["raised"] += 1


def check_fixed(protocol: int, floor: int, set_by: str) -> None:
    """Refuse a fixed version below the floor; one that is not known counts as that."""
    wire = FIXED.get(protocol, 0)
    if wire < floor:
        counts["refused"] += 1
        raise refusal(
            f"this context speaks {versions.name(wire)} only",
            "write ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), or PROTOCOL_TLS_SERVER for a server",
            floor,
            set_by,
        )


def refusal(problem: str, hint: str, floor: int, set_by: str) -> Exception:
    """Return the error that OpenSSL itself would give for a version that it does not support."""
    from tlsfloor.errors import ProtocolRefused

    floor_name = versions.floor_name(floor)
    return ProtocolRefused(
        1,  # SSL_ERROR_SSL, as in every refusal of OpenSSL's own
        f"[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol: {problem}, and the floor is "
        f"{floor_name}, set by {set_by}",
        hint=hint,
        floor=floor_name,
        set_by=set_by,
    )
