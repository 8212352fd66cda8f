"""The guard of ``awscrt``, the AWS Common Runtime: TLS of its own (s2n on Linux).

Left alone it accepts TLS 1.0. A minimum is given to a context as it is made, in C, and to nothing
else, so there are three gates:

1. **birth**: the C function that makes a context gets at least the floor. A cipher preference
   replaces the minimum (aws-c-io, s2n_tls_channel_handler.c), so that one which may allow less
   gives way to the default one. An ``S3Client`` without TLS options gets some: in C it would make a
   context of its own;
2. **use**: every object of awscrt hands its ``_binding`` to C. What is older than the floor, and is
   not known to hold it, has none any more: nothing keeps what it could be made again from;
3. two providers of credentials are refused, since in C they make contexts that nothing can raise
   (aws-c-auth, credentials_provider_default_chain.c and credentials_provider_profile.c).

awscrt serves no TLS from Python. What is connected stays so, and an MQTT client that was started
before connects again by itself: ``below()`` names them.
"""

from __future__ import annotations

import sys
from weakref import WeakSet

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

_floor = 0
_set_by = ""

_gates = Gates()

_VERSIONS = {
    "TLSv1": versions.TLS1_0,
    "TLSv1_1": versions.TLS1_1,
    "TLSv1_2": versions.TLS1_2,
    "TLSv1_3": versions.TLS1_3,
}

_MAKES_A_CONTEXT = "client_tls_ctx_new"
_MAKES_ITS_OWN = ("credentials_provider_new_chain_default", "credentials_provider_new_profile")

# Whose objects hold a context, or make connections with one: (module, class).
_CONTEXTS = (("awscrt.io", "ClientTlsContext"), ("awscrt.io", "TlsConnectionOptions"))
_CLIENTS = (
    ("awscrt.auth", "AwsCredentialsProvider"),
    ("awscrt.mqtt", "Client"),
    ("awscrt.mqtt", "Connection"),
    ("awscrt.mqtt5", "Client"),
    ("awscrt.s3", "S3Client"),
)
# What is one connection, which was made when the object was.
_CONNECTIONS = (
    ("awscrt.eventstream.rpc", "ClientConnection"),
    ("awscrt.http", "HttpClientConnection"),
    ("awscrt.websocket", "WebSocket"),
)

# What is older than the floor: to be refused, and those of them that may be connected.
_old: WeakSet[Any] = WeakSet()
_connected: WeakSet[Any] = WeakSet()


def guard(module: ModuleType, floor: int, set_by: str) -> str:
    """Hold the floor on every context that is made from now on, and refuse those made before.

    Raises:
        GuardError: this awscrt does not have what that needs.

    .. versionadded:: 0.1
    """
    global _floor, _set_by
    raised = floor > _floor
    if raised:
        _floor, _set_by = floor, set_by
    io: Any = sys.modules["awscrt.io"]
    named: Any = module
    try:
        if named is io and (io._awscrt, _MAKES_A_CONTEXT) not in _gates:
            _install(io)
        elif named is not io and (named.S3Client, "__init__") not in _gates:
            _install_s3(io, named)
        if raised:
            _refuse_old(io)
    except (AttributeError, KeyError, TypeError) as error:
        raise GuardError(
            f"this awscrt cannot be held to {versions.name(floor)}: {error}",
            hint="use another version of awscrt, or of tlsfloor",
        ) from error
    return "guarded"


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is.

    .. versionadded:: 0.1
    """
    place = (getattr(module, "S3Client", None), "__init__")
    if module.__name__ == "awscrt.io":
        place = (getattr(module, "_awscrt", None), _MAKES_A_CONTEXT)
    return _gates.undone() if place in _gates else f"{place[0]!r} has no gates"


def below(floor: int) -> list[str]:
    """Describe what is older than the floor and may be connected: awscrt does not tell versions.

    .. versionadded:: 0.1
    """
    del floor
    return [f"older than the floor, of an unknown version: {each!r}" for each in set(_connected)]


def undo() -> None:
    """Put everything back exactly as it was. For tests.

    .. versionadded:: 0.1
    """
    global _floor
    _floor = 0
    _gates.undo()
    _old.clear()
    _connected.clear()


def _install(io: Any) -> None:
    """Put the gates on the module in C, through which all of awscrt goes."""
    native = io._awscrt
    for name in _VERSIONS:
        getattr(io.TlsVersion, name)

    def make(wrapped: Any, _native: Any, args: Any, kwargs: Any) -> Any:
        minimum, preference = io.TlsVersion(args[0]), io.TlsCipherPref(args[1])
        if not _holds(io, minimum, preference):
            if _VERSIONS.get(minimum.name, 0) < _floor:
                minimum = next(
                    io.TlsVersion[name] for name, each in _VERSIONS.items() if each >= _floor
                )
            counts["raised" if args[0] == io.TlsVersion.DEFAULT.value else "clamped"] += 1
            args = (minimum.value, io.TlsCipherPref.DEFAULT.value, *args[2:])
        return wrapped(*args, **kwargs)

    def refuse(_wrapped: Any, _native: Any, _args: Any, _kwargs: Any) -> Any:
        counts["refused"] += 1
        raise refusal(
            "this provider of credentials makes a TLS context of its own, which nothing can raise",
            "write AwsCredentialsProvider.new_delegate() around the credentials of botocore",
            _floor,
            _set_by,
        )

    for name in (_MAKES_A_CONTEXT, *_MAKES_ITS_OWN):
        gate = make if name == _MAKES_A_CONTEXT else refuse
        _gates.put(native, name, FunctionWrapper(getattr(native, name), gate))


def _install_s3(io: Any, module: Any) -> None:
    """Put the gate on the S3 client."""
    client = module.S3Client
    if "tls_connection_options" not in client.__init__.__kwdefaults__:
        raise AttributeError("S3Client takes no tls_connection_options")

    def born(wrapped: Any, _client: Any, args: Any, kwargs: Any) -> Any:
        if kwargs.get("tls_connection_options") is None:
            context = io.ClientTlsContext(io.TlsContextOptions())
            kwargs = {**kwargs, "tls_connection_options": context.new_connection_options()}
        return wrapped(*args, **kwargs)

    _gates.put(client, "__init__", FunctionWrapper(client.__init__, born))


def _holds(io: Any, minimum: Any, preference: Any) -> bool:
    """Tell whether a context of this minimum and this preference holds the floor by itself."""
    if preference is io.TlsCipherPref.DEFAULT:
        return _VERSIONS.get(minimum.name, 0) >= _floor
    # Preferences for TLS 1.2 and newer say so in their names.
    return _floor <= versions.TLS1_2 and "TLSv1_2" in preference.name


def _refuse_old(io: Any) -> None:
    """Take their bindings from the objects that may go below the floor."""
    contexts, clients = _classes(_CONTEXTS), _classes(_CLIENTS)
    _old.update(each for each in instances(contexts + clients) if not _is_held(io, each))
    _connected.update(each for each in instances(clients) if each in _old)
    _connected.update(each for each in instances(_classes(_CONNECTIONS)) if _is_open(each))
    for kind in contexts + clients:
        if (kind, "_binding") not in _gates:
            _gates.put(kind, "_binding", _binding(kind._binding))


def _classes(names: tuple[tuple[str, str], ...]) -> list[Any]:
    """Return the classes that there are by now: their modules may be imported just then."""
    found = [vars(sys.modules[each]).get(name) for each, name in names if each in sys.modules]
    return [each for each in found if each is not None]


def _is_open(connection: Any) -> bool:
    ask = getattr(connection, "is_open", None)  # a WebSocket does not tell
    return ask is None or ask()


def _is_held(io: Any, thing: Any) -> bool:
    """Tell whether something that is older than the floor is known to hold it."""
    if isinstance(thing, io.ClientTlsContext):
        # Not every version remembers what a context was made with.
        minimum = getattr(thing, "_min_tls_ver", None)
        preference = getattr(thing, "_cipher_pref", None)
        return None not in (minimum, preference) and _holds(io, minimum, preference)
    owner = getattr(thing, "client", thing)  # an MQTT connection has a client
    context = getattr(owner, "tls_ctx", thing)  # None is plain TCP
    return context is None or (context is not thing and _is_held(io, context))


def _binding(slot: Any) -> property:
    """Return the ``_binding`` that C does not get of what is older than the floor."""

    def read(self: Any) -> Any:
        if self in _old:
            counts["refused"] += 1
            # In C a TypeError takes its place, which tells the class: "Expected valid ...".
            raise refusal(
                f"this {type(self).__name__} of awscrt is older than the floor",
                "make it anew, or arm the floor before it is made",
                _floor,
                _set_by,
            )
        return slot.__get__(self)

    return property(read, slot.__set__)
