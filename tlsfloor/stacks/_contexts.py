"""One context of ``ssl`` and its bounds: whether it can be raised, raising it, refusing it."""

from tlsfloor import floor as current
from tlsfloor.stacks.stdlib import (
    FIXED,
    FLEXIBLE,
    UNBOUNDED,
    fresh,
    gated,
    put_quietly,
    raise_bounds,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.errors import GuardError

# The C types and floors that were proved to work. One proof is enough, and each one has a risk:
# OpenSSL has locks, which a fork during another thread's call leaves held in the child.
_proved: "set[tuple[Any, int]]" = set()

# The bounds that contexts asked for and did not get, by id. The floor can be the reason of a
# failure only if there is one. (An attribute of the context would show in vars(), and a
# WeakKeyDictionary calls the __eq__ and __hash__ of a subclass.)
_asked: "dict[int, tuple[Any, dict[str, int]]]" = {}


def asked(context: "Any") -> "dict[str, int]":
    """Return the bounds that a context would have without the floor, if they differ."""
    ref, bounds = _asked.get(id(context), (None, {}))
    return dict(bounds) if ref is not None and ref() is context else {}


def note_asked(context: "Any", name: str, bound: int) -> None:
    """Record a bound that a context had, or was asked to have, and does not get."""
    if hasattr(type(context), "__weakref__"):  # else it is of the C type itself
        from _weakref import ReferenceType  # rarely needed

        key = id(context)
        bounds = {**asked(context), name: bound}
        _asked[key] = ReferenceType(context, lambda _: _asked.pop(key, None)), bounds


def forget_asked(context: "Any", name: str) -> None:
    """Record that a program has set a bound at or above the floor."""
    if name in asked(context):
        _asked[id(context)][1].pop(name, None)


def c_type() -> "Any":
    """Return the C type of contexts, also if a class with gates has taken its name.

    Raises:
        ImportError: this Python has no ``_ssl``.
    """
    import _ssl

    named: Any = _ssl._SSLContext
    return next((base for base, ours in gated.items() if ours is named), named)


def check(floor: int) -> None:
    """Raise a context of the C type to the floor, to prove that this works.

    Raises:
        GuardError: it does not: this Python has no minimum, or its OpenSSL no such version.
        ImportError: this Python has no ``_ssl``.
    """
    base = c_type()
    if (base, floor) in _proved:
        return
    trial = fresh(base)  # a new one: the gates of other threads use the spare context
    try:
        put_quietly(base.minimum_version.__set__, trial, floor)
    except (AttributeError, ValueError) as error:
        raise openssl_error(floor, error) from error
    if base.minimum_version.__get__(trial) != floor:
        raise openssl_error(floor, "it does not keep the minimum that was set")
    _proved.add((base, floor))


def _can_hold(floor: int) -> bool:
    from tlsfloor.errors import GuardError

    try:
        check(floor)
    except GuardError:
        return False
    return True


def openssl_error(floor: int, problem: object) -> "GuardError":
    """Return the error for an OpenSSL that cannot be held to a floor."""
    from _ssl import OPENSSL_VERSION

    from tlsfloor import versions
    from tlsfloor.errors import GuardError

    hint = "use a Python that was built with OpenSSL 1.1.1 or newer"
    # Before OpenSSL 1.1.0 no context has a minimum, so no floor can be held at all.
    lower = [wire for wire in versions.FLOORS.values() if wire < floor and _can_hold(wire)]
    if lower:
        hint += f", or floor {versions.floor_name(lower[-1])}"
    return GuardError(
        f"{OPENSSL_VERSION} cannot be held to {versions.name(floor)}: {problem}", hint=hint
    )


def raise_one(context: "Any", floor: int, set_by: str) -> None:
    """Raise one context to the floor, and change nothing else.

    Raises:
        ProtocolRefused: the context has a fixed version below the floor.
        TypeError: it is not a context of ``ssl``.
    """
    check(floor)
    base = c_type()
    cls = type(context)
    protocol = getattr(context, "protocol", None)
    # By isinstance(): on PyPy, truststore's context is an ssl.SSLContext by its __class__ alone.
    if not isinstance(context, base) or not isinstance(protocol, int):
        raise TypeError(f"an ssl.SSLContext is needed, not {cls.__module__}.{cls.__qualname__}")
    if protocol not in FLEXIBLE:
        if FIXED.get(protocol, current.NO_FLOOR) < floor:
            raise fixed_version(protocol, floor, set_by)
        return
    plain = {base, gated.get(base)}
    owner: Any = next((kind for kind in cls.__mro__ if "minimum_version" in kind.__dict__), object)
    if owner in plain or not plain.isdisjoint(owner.__bases__):
        raise_bounds(base, context, floor, by_gate=False)
        return
    # A class with its own properties may be a proxy, as truststore's is. Only its properties reach
    # the context that is used.
    if context.minimum_version < floor:  # noqa: PLR1730 - no write without need
        context.minimum_version = floor
    if UNBOUNDED != context.maximum_version < floor:
        context.maximum_version = floor


def fixed_version(protocol: int, floor: int, set_by: str) -> "Exception":
    """Return the error for a context of a fixed version; an unknown one counts as below all."""
    from tlsfloor import versions

    return refusal(
        f"this context speaks {versions.name(FIXED.get(protocol, 0))} only",
        "write ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), or PROTOCOL_TLS_SERVER for a server",
        floor,
        set_by,
    )


def refusal(problem: str, hint: str, floor: "int | None" = None, set_by: str = "") -> "Exception":
    """Return the error that OpenSSL itself raises for a version that it does not support.

    It names the floor of this process, unless another one is given.
    """
    from tlsfloor import versions
    from tlsfloor.errors import ProtocolRefused

    floor_name = versions.floor_name(current.held if floor is None else floor)
    set_by = set_by or current.set_by
    return ProtocolRefused(
        1,  # SSL_ERROR_SSL, as in every refusal of OpenSSL
        f"[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: {problem}, and the floor is "
        f"{floor_name}, set by {set_by}",
        hint=hint,
        floor=floor_name,
        set_by=set_by,
    )
