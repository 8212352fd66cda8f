"""The guard of pyOpenSSL: ``OpenSSL.SSL``, over the OpenSSL that cryptography brings.

Its classes are changed in place: whoever holds or subclassed one obeys. The floor is held with
``SSL_OP_NO_*`` options, which only ever take away and for which pyOpenSSL has no call to clear one;
a minimum could be lowered, and cannot be read. A connection copies options and bounds from its
context when it is born, and ``set_context()`` changes neither. Three gates:

1. **birth**: a connection gets the options, whatever its context. One that heeds none, since it
   speaks a single version (``Context(TLSv1_METHOD)`` of pyOpenSSL 21 and older), is refused at its
   use and not yet here: ``set_cipher_list()`` makes one, and Twisted 21 where it is imported;
2. **change**: a minimum or a maximum below the floor is clamped. So since pyOpenSSL 22, where
   ``Context(TLSv1_METHOD)`` sets both, such a context speaks the floor;
3. **completion**: ``do_handshake()`` looks at the version that was agreed on. OpenSSL shakes hands
   in the first read or write too: there the options are enough for a connection born after the
   guard, and one that is older, or heeds none, gets gates of its own, which go once it is proven.
   The class keeps its ``send()`` and ``recv()``, so nothing is left on the data path.

A maximum below the floor that was set before that was armed is not clamped but refused, by OpenSSL
("no protocols available"): no call reads it. DTLS counts as the TLS it is made of: DTLS 1.0 as TLS
1.1 (RFC 4347), DTLS 1.2 as TLS 1.2 (RFC 6347). Out of reach is who calls OpenSSL himself.
"""

from __future__ import annotations

# Here, and not in guard(): it imports ssl, whose guard waits for the lock that guard() is under.
from wrapt import FunctionWrapper

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks.contexts import refusal
from tlsfloor.stacks.gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The options that switch off what is below the floor, and OpenSSL.SSL itself.
_options = 0
_ssl: Any = None

_gates = Gates()

# Whatever makes OpenSSL shake hands.
_HANDSHAKES = ("do_handshake", "send", "write", "sendall", "recv", "read", "recv_into")

_OFF = {
    versions.SSL3: "SSL_OP_NO_SSLv3",
    versions.TLS1_0: "SSL_OP_NO_TLSv1",
    versions.TLS1_1: "SSL_OP_NO_TLSv1_1",
    versions.TLS1_2: "SSL_OP_NO_TLSv1_2",
}
_DTLS = {0xFEFF: versions.TLS1_1, 0xFEFD: versions.TLS1_2, 0xFEFC: versions.TLS1_3}


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection of pyOpenSSL.

    Raises:
        GuardError: this pyOpenSSL, or the OpenSSL below it, does not have what that needs.
    """
    global _options, _ssl
    ssl: Any = module
    try:
        options = _check(ssl, current.held)
        # pyOpenSSL 20 has no bounds. Nothing depends on those two: the options hold without.
        wanted = [(ssl.Context, name, _bounded) for name in _BOUNDS if hasattr(ssl.Context, name)]
        wanted += [(ssl.Connection, name, gate) for name, gate in _NEEDED.items()]
        found = [(owner, name, vars(owner)[name], gate) for owner, name, gate in wanted]
    except (AttributeError, KeyError) as error:
        raise GuardError(
            f"this pyOpenSSL cannot be held to {versions.name(current.held)}: it lacks {error}",
            hint="use a pyOpenSSL from 20 on, with the cryptography that it asks for",
        ) from error
    _options, _ssl = options, ssl
    if ssl.Connection not in _gates.owners():
        for owner, name, before, gate in found:
            _gates.put(owner, name, FunctionWrapper(before, gate))
    missing = undone(module)
    if missing:
        raise GuardError(f"the floor cannot be held on {module!r}: {missing}")
    return "guarded"


def _check(ssl: Any, floor: int) -> int:
    """Hold a connection that nobody uses to the floor; return the options that it takes."""
    lib = ssl._lib
    options = 0
    for wire, name in _OFF.items():
        if wire < floor:
            options |= getattr(lib, name)
    trial = ssl.Connection(ssl.Context(ssl.SSLv23_METHOD), None)._ssl
    lib.SSL_set_options(trial, options)
    kept = lib.SSL_get_options(trial) & options == options
    if not kept or _wire(lib.SSL_version(trial)) < floor:
        raise GuardError(
            f"the OpenSSL of cryptography cannot be held to {versions.name(floor)}",
            hint="use a cryptography whose OpenSSL speaks it, or a lower floor",
        )
    return options


def _wire(version: int) -> int:
    """Return the TLS that a version of SSL_version() comes to; one that is not known is none."""
    return version if version < 0x1000 else _DTLS.get(version, 0)


def _born(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    if not _heeds(connection):
        _watch(connection)
    return result


def _bounded(wrapped: Any, _context: Any, args: Any, kwargs: Any) -> Any:
    version = args[0] if args else kwargs.get("version")
    if isinstance(version, int) and versions.SSL3 <= version < current.held:
        current.counts["clamped"] += 1
        args, kwargs = (current.held, *args[1:]), {}
    return wrapped(*args, **kwargs)


def _shaken(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    _hold(connection)
    result = wrapped(*args, **kwargs)
    if _wire(_ssl._lib.SSL_version(connection._ssl)) < current.held:
        raise _refusal("discarded", f"{connection.get_protocol_version_name()} was negotiated")
    return result


# set_session() makes a connection anew after its context, which set_context() may have changed to
# one of a single version, that heeds no options (OpenSSL 1.1.1, SSL_set_session).
_NEEDED: dict[str, Any] = {"__init__": _born, "set_session": _born, "do_handshake": _shaken}
_BOUNDS = ("set_min_proto_version", "set_max_proto_version")


def _heeds(connection: Any) -> bool:
    """Give a connection the options; tell whether it heeds them."""
    lib, handle = _ssl._lib, connection._ssl
    if lib.SSL_get_options(handle) & _options != _options:
        lib.SSL_set_options(handle, _options)
        current.counts["raised"] += 1
    # Until it has agreed on a version, a connection that is flexible names the highest here.
    return _wire(lib.SSL_version(handle)) >= current.held


def _hold(connection: Any) -> None:
    if not _heeds(connection):
        name = connection.get_protocol_version_name()
        raise _refusal("refused", f"this connection speaks {name} only")


def catch_up() -> None:
    """Hold the connections that are older than the guard and not open yet."""
    for connection in _connections():
        if not _is_open(connection):
            _watch(connection)
            if "_ssl" in vars(connection):  # or another thread is just making it
                _heeds(connection)


def _watch(connection: Any) -> None:
    for name in _HANDSHAKES:
        vars(connection)[name] = _first(connection, name)


def _first(connection: Any, name: str) -> Any:
    """Return what stands for a method on one connection until its handshake is done."""

    def first(*args: Any, **kwargs: Any) -> Any:
        by_name = name == "do_handshake"
        # Only who calls it by name reaches what a subclass makes of it: maybe past the class above.
        cls = type(connection) if by_name else _ssl.Connection
        _hold(connection)
        result = cls.do_handshake(connection)
        _hold(connection)
        for each in _HANDSHAKES:
            vars(connection).pop(each, None)
        return result if by_name else getattr(connection, name)(*args, **kwargs)

    return first


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard of this pyOpenSSL; empty when all of it is."""
    made = getattr(module, "Connection", None)
    if not isinstance(made, type) or _gates.owners().isdisjoint(made.__mro__):
        return f"its Connection is {made!r}"
    return _gates.undone()


def below() -> list[str]:
    """Describe the open connections that are below the floor, which nothing can raise any more."""
    return [
        f"{connection.get_protocol_version_name()} connection: {connection!r}"
        for connection in _connections()
        if _is_open(connection) and _wire(connection.get_protocol_version()) < current.held
    ]


def _connections() -> list[Any]:
    return instances(cls for cls in _gates.owners() if hasattr(cls, "do_handshake"))


def _is_open(connection: Any) -> bool:
    """Tell whether both sides have said Finished, the last message (RFC 5246 section 7.4.9)."""
    begun = "_ssl" in vars(connection) and connection.get_finished() is not None
    return begun and connection.get_peer_finished() is not None


def _refusal(count: str, problem: str) -> Exception:
    """Return the error that a program expects of pyOpenSSL, and that tells it is the floor's."""
    current.counts[count] += 1
    plain = refusal(problem, "make the context with SSL.SSLv23_METHOD")
    # To another process it goes as what every Python has.
    parts = {"__reduce__": lambda _self: plain.__reduce__()}
    kind = type(type(plain).__name__, (type(plain), _ssl.Error), parts)
    made: Exception = kind(*plain.args, **vars(plain))
    return made
