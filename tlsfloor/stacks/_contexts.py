"""One context of ``ssl`` and its bounds: whether it can be raised, raising it, refusing it.

A *fixed-version* context (``PROTOCOL_TLSv1`` and its kind) cannot be raised in OpenSSL. It is known
by its protocol number: the names do not exist on every OpenSSL.
"""

from tlsfloor import floor as current
from tlsfloor.stacks.stdlib import (
    FIXED,
    FLEXIBLE,
    UNBOUNDED,
    c_type,
    fresh,
    gated,
    put_quietly,
    raise_bounds,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.errors import GuardError

# The floors that were shown to hold, and of which type. Asking once is enough, and asking again is
# not free of danger: OpenSSL has locks that a fork amid another thread's call leaves held in the
# child.
_holdable: "set[tuple[Any, int]]" = set()

# The bounds that contexts asked for and did not get, by id. Only where there is one can the floor
# be the reason of what fails. (An attribute of the context would show in vars(); a
# WeakKeyDictionary asks a subclass for its own __eq__ and __hash__.)
_asked: "dict[int, tuple[Any, dict[str, int]]]" = {}


def asked(context: "Any") -> "dict[str, int]":
    """Return the bounds that a context would have without the floor, where they are others."""
    ref, bounds = _asked.get(id(context), (None, {}))
    return dict(bounds) if ref is not None and ref() is context else {}


def note_asked(context: "Any", name: str, bound: int) -> None:
    """Record that a context does not get a bound that it has, or was asked to have."""
    if hasattr(type(context), "__weakref__"):  # else one of the C type itself
        from _weakref import ReferenceType  # where nothing is raised it would only cost

        key = id(context)
        bounds = {**asked(context), name: bound}
        _asked[key] = ReferenceType(context, lambda _: _asked.pop(key, None)), bounds


def forget_asked(context: "Any", name: str) -> None:
    """Record that a program has set a bound at or above the floor."""
    if name in asked(context):
        _asked[id(context)][1].pop(name, None)


def check(floor: int) -> None:
    """Hold a context of the C type to the floor, to see whether it can be.

    Raises:
        GuardError: it cannot: this Python knows no minimum, or its OpenSSL no such version.
        ImportError: this Python has no ``_ssl``.
    """
    base = c_type()
    if (base, floor) in _holdable:
        return
    trial = fresh(base)  # one of its own: the gates of other threads use the spare one
    try:
        put_quietly(base.minimum_version.__set__, trial, floor)
    except (AttributeError, ValueError) as error:
        raise not_holdable(floor, error) from error
    if base.minimum_version.__get__(trial) != floor:
        raise not_holdable(floor, "it does not keep the minimum that was set")
    _holdable.add((base, floor))


def _holds(floor: int) -> bool:
    from tlsfloor.errors import GuardError

    try:
        check(floor)
    except GuardError:
        return False
    return True


def not_holdable(floor: int, problem: object) -> "GuardError":
    """Return the error for an OpenSSL that cannot be held to a floor."""
    from _ssl import OPENSSL_VERSION

    from tlsfloor import versions
    from tlsfloor.errors import GuardError

    hint = "use a Python that was built with OpenSSL 1.1.1 or newer"
    # Before OpenSSL 1.1.0 no context has a minimum, so that no floor can be held at all.
    lower = [each for each in versions.FLOORS.values() if each < floor and _holds(each)]
    if lower:
        hint += f", or floor {versions.floor_name(lower[-1])}"
    return GuardError(
        f"{OPENSSL_VERSION} cannot be held to {versions.name(floor)}: {problem}", hint=hint
    )


def raise_context(context: "Any", floor: int, set_by: str) -> None:
    """Raise one context to the floor, and nothing else.

    Raises:
        ProtocolRefused: the context is of a fixed version below the floor.
        TypeError: it is not a context of ``ssl``.
    """
    check(floor)
    base = c_type()
    cls = type(context)
    protocol = getattr(context, "protocol", None)
    # As isinstance() has it: on PyPy, truststore's is an ssl.SSLContext by its __class__ alone.
    if not isinstance(context, base) or not isinstance(protocol, int):
        raise TypeError(f"an ssl.SSLContext is needed, not {cls.__module__}.{cls.__qualname__}")
    if protocol not in FLEXIBLE:
        if FIXED.get(protocol, 0) < floor:
            raise fixed_version(protocol, floor, set_by)
        return
    plain = {base, gated.get(base)}
    owner: Any = next((each for each in cls.__mro__ if "minimum_version" in each.__dict__), object)
    if owner in plain or not plain.isdisjoint(owner.__bases__):
        raise_bounds(base, context, floor, by_gate=False)
        return
    # A class with properties of its own may be a proxy of the context that is really used
    # (truststore's is), and only they reach that one.
    if context.minimum_version < floor:  # noqa: PLR1730 - a write that is not needed is not made
        context.minimum_version = floor
    if UNBOUNDED != context.maximum_version < floor:
        context.maximum_version = floor


def fixed_version(protocol: int, floor: int, set_by: str) -> "Exception":
    """Return the error for a context of a fixed version; one that is not known counts as none."""
    from tlsfloor import versions

    return refusal(
        f"this context speaks {versions.name(FIXED.get(protocol, 0))} only",
        "write ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), or PROTOCOL_TLS_SERVER for a server",
        floor,
        set_by,
    )


def refusal(problem: str, hint: str, floor: "int | None" = None, set_by: str = "") -> "Exception":
    """Return the error that OpenSSL itself would give for a version that it does not support.

    Of the floor of this process, unless another one is named.
    """
    from tlsfloor import versions
    from tlsfloor.errors import ProtocolRefused

    floor_name = versions.floor_name(current.held if floor is None else floor)
    set_by = set_by or current.set_by
    return ProtocolRefused(
        1,  # SSL_ERROR_SSL, as in every refusal of OpenSSL's own
        f"[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: {problem}, and the floor is "
        f"{floor_name}, set by {set_by}",
        hint=hint,
        floor=floor_name,
        set_by=set_by,
    )
