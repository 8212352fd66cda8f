"""The guard of pyOpenSSL: ``OpenSSL.SSL``, over the OpenSSL that cryptography brings.

The floor is held with OpenSSL's ``SSL_OP_NO_*`` options, on each TLS object: they only ever take
away, pyOpenSSL has no call to clear one, and OpenSSL looks at them when a version is chosen. A
minimum would have to be read first, not to lower a stricter one, and newer cryptography has no call
for that. Two gates:

1. **change**: ``Context.set_max_proto_version()``: a maximum below the floor is clamped to it, so
   that a context can do something. ``Context(TLSv1_METHOD)`` of pyOpenSSL 22 and newer goes through
   it, and then speaks the floor;
2. **use**: ``Connection.__init__``. Every TLS object is born there (those of Twisted, of
   ``urllib3.contrib.pyopenssl`` and those that ``accept()`` returns), from whatever context, of
   whatever age. ``Connection.set_context()`` swaps no options later (OpenSSL, SSL_set_SSL_CTX).

What is of one fixed version below the floor (``Context(TLSv1_METHOD)`` of pyOpenSSL 21 and older)
has no use for options, and is refused. A context that is older than the floor and has a maximum
below it comes to no handshake. DTLS is held as the TLS that it is made of (RFC 4347, RFC 6347).
"""

from __future__ import annotations

from wrapt import FunctionWrapper

from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.ledger import counts
from tlsfloor.stacks.contexts import refusal
from tlsfloor.stacks.gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# What the gates compare with; written by guard() only, and never lowered.
_floor = 0
_set_by = ""

# The options that switch off what is below the floor.
_options = 0

_gates = Gates()

# openssl/ssl.h. There are none for DTLS: its versions share those of the TLS that they are made of.
_OFF = {
    versions.SSL3: 0x02000000,
    versions.TLS1_0: 0x04000000,
    versions.TLS1_1: 0x10000000,
    versions.TLS1_2: 0x08000000,
}
_DTLS = {0xFEFF: versions.TLS1_1, 0xFEFD: versions.TLS1_2, 0xFEFC: versions.TLS1_3}


def guard(module: ModuleType, floor: int, set_by: str) -> str:
    """Hold the floor on every connection of pyOpenSSL that is yet to shake hands.

    Raises:
        GuardError: this pyOpenSSL, or the OpenSSL below it, does not have what that needs.

    .. versionadded:: 0.1
    """
    global _floor, _set_by, _options
    ssl: Any = module
    options = sum(option for version, option in _OFF.items() if version < floor)
    try:
        _check(ssl, floor, options)
        if floor > _floor:
            _floor, _set_by, _options = floor, set_by, options
        if ssl.Connection not in _gates.owners():
            _install(ssl)
    except (AttributeError, KeyError, TypeError) as error:
        raise GuardError(
            f"this pyOpenSSL cannot be held to {versions.name(floor)}: {error}",
            hint="use pyOpenSSL 20 or newer, with a cryptography that fits",
        ) from error
    for connection in instances([ssl.Connection]):
        if "_ssl" in vars(connection):
            ssl._lib.SSL_set_options(connection._ssl, _options)
    return "guarded"


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard of this pyOpenSSL; empty when all of it is.

    .. versionadded:: 0.1
    """
    if getattr(module, "Connection", None) not in _gates.owners():
        return f"its Connection is {getattr(module, 'Connection', None)!r}"
    return _gates.undone()


def below(floor: int) -> list[str]:
    """Describe the connections below the floor: open ones, and ones of a fixed version.

    .. versionadded:: 0.1
    """
    kinds = [each for each in _gates.owners() if "do_handshake" in vars(each)]
    return [
        f"{each.get_protocol_version_name()} connection: {each!r}"
        for each in instances(kinds)
        if "_ssl" in vars(each) and _wire(each.get_protocol_version()) < floor
    ]


def undo() -> None:
    """Put everything back exactly as it was. For tests.

    .. versionadded:: 0.1
    """
    global _floor, _options
    _floor = _options = 0
    _gates.undo()


def _wire(version: int) -> int:
    """Return the TLS that a version of SSL_version() comes to; one that is not known is none."""
    return version if version < 0x1000 else _DTLS.get(version, 0)


def _check(ssl: Any, floor: int, options: int) -> None:
    """Hold a TLS object that nobody uses to the floor."""
    context = ssl.Context(getattr(ssl, "TLS_METHOD", ssl.SSLv23_METHOD))
    trial = ssl.Connection(context, None)._ssl
    ssl._lib.SSL_set_options(trial, options)
    kept = ssl._lib.SSL_get_options(trial) & options == options
    if not kept or _wire(ssl._lib.SSL_version(trial)) < floor:
        raise GuardError(
            f"the OpenSSL of cryptography cannot be held to {versions.name(floor)}",
            hint="use a cryptography whose OpenSSL speaks it, or a lower floor",
        )


def _install(ssl: Any) -> None:
    """Put the gates on the two classes of this pyOpenSSL."""
    lib = ssl._lib

    def born(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        if lib.SSL_get_options(connection._ssl) & _options != _options:
            lib.SSL_set_options(connection._ssl, _options)
            counts["raised"] += 1
        # A flexible one names its highest version, until it has agreed on one.
        if _wire(connection.get_protocol_version()) < _floor:
            counts["refused"] += 1
            problem = f"this connection speaks {connection.get_protocol_version_name()} only"
            raise _refusal(ssl.Error, problem)

    def bounded(wrapped: Any, _context: Any, args: Any, kwargs: Any) -> Any:
        version = args[0] if args else kwargs.get("version")
        if isinstance(version, int) and 0 < version < _floor:
            counts["clamped"] += 1
            args, kwargs = (_floor, *args[1:]), {}
        return wrapped(*args, **kwargs)

    def put(cls: Any, name: str, gate: Any) -> None:
        _gates.put(cls, name, FunctionWrapper(vars(cls)[name], gate))

    if hasattr(ssl.Context, "set_max_proto_version"):  # since pyOpenSSL 20.1
        put(ssl.Context, "set_max_proto_version", bounded)
    put(ssl.Connection, "__init__", born)


def _refusal(base: Any, problem: str) -> Exception:
    """Return the error that a program expects of pyOpenSSL, and that tells it is the floor's."""
    plain = refusal(problem, "make the context with SSL.TLS_METHOD", _floor, _set_by)
    refused = type(plain)
    # To another process it goes as what every Python has.
    kind = type(refused.__name__, (refused, base), {"__reduce__": lambda _self: plain.__reduce__()})
    made: Exception = kind(*plain.args, **vars(plain))
    return made
