"""The guard of ``awscrt``, the AWS Common Runtime, which has a TLS of its own (s2n on Linux).

By default it accepts TLS 1.0. Its modules look up the functions of ``_awscrt``, which is C, at each
call, so the gates are there, and reach classes that a program imported earlier:

* **birth**: ``client_tls_ctx_new`` makes every context of Python code; its minimum is raised. If
  an ``S3Client`` of ``awscrt.s3`` has no TLS options, C code would make a context, so the client
  gets the options of a context made in Python;
* **use**: a context that is older than the floor cannot be raised, and does not report its minimum,
  so it is refused when it would begin a connection. So are objects that may hold such a context
  and do not show it, such as a provider of credentials;
* a provider of credentials that makes a context of its own in C is refused at all times.

awscrt has no TLS servers in Python. A connection that is older than the floor stays open, and an
MQTT client that was started before reconnects by itself: ``below()`` reports them.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from weakref import WeakSet

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.errors import say
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._stand_ins import misfit, row_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# awscrt/io.py, TlsVersion: the numbers in C, and its default.
_MINIMUM = {versions.TLS1_0: 1, versions.TLS1_1: 2, versions.TLS1_2: 3, versions.TLS1_3: 4}
_DEFAULT = 128

# The minimum of each cipher_pref, which overrides the minimum of the context (aws-c-io, enum
# aws_tls_cipher_pref and s2n_tls_channel_handler.c). PQ_DEFAULT is the eighth, and begins at TLS
# 1.2 only in versions that have the ninth, TLSv1_2_2025_07.
_PQ_DEFAULT, _NEWER = 8, 9
_LOWEST = {
    **dict.fromkeys((1, 2, 3, 4, 5, 6, 10, 11), versions.TLS1_0),
    **dict.fromkeys((7, _PQ_DEFAULT, _NEWER), versions.TLS1_2),
}

# The functions that make an object with TLS, or begin a connection with one.
_USES = (
    "tls_connections_options_new_from_ctx",
    "http_client_connection_new",
    "websocket_client_connect",
    "event_stream_rpc_client_connection_connect",
    "mqtt_client_new",
    "mqtt_client_connection_connect",
    "mqtt_client_connection_reconnect",
    "mqtt5_client_new",
    "mqtt5_client_start",
    "s3_client_new",
    "s3_client_make_meta_request",
    "credentials_provider_new_cognito",
    "credentials_provider_new_x509",
    "credentials_provider_new_chain",
    "credentials_provider_get_credentials",
    "signing_config_new",
    "sign_request_aws",
)

# Providers of credentials that make no TLS context. Others may: the default chain makes one for
# the metadata of a container, and the provider of a profile one to assume a role (AWS STS).
_PROVIDER = "credentials_provider_new_"
_PLAIN = tuple(_PROVIDER + kind for kind in ("static", "environment", "process", "delegate"))

# The classes whose objects hold a TLS context: module, name ...
_HOLDERS = (
    ("awscrt.io", "ClientTlsContext"),
    ("awscrt.io", "TlsConnectionOptions"),
    ("awscrt.auth", "AwsCredentialsProvider"),
    ("awscrt.auth", "AwsSigningConfig"),
)
# ... and those whose objects are, or have, connections.
_CONNECTED = (
    ("awscrt.mqtt", "Connection"),
    ("awscrt.mqtt5", "Client"),
    ("awscrt.s3", "S3Client"),
    ("awscrt.http", "HttpConnectionBase"),
    ("awscrt.websocket", "WebSocket"),
    ("awscrt.eventstream.rpc", "ClientConnection"),
)

_gates = Gates()

# The preferences that were replaced, with the floor: each is reported once.
_reported: set[tuple[int, int]] = set()

# The objects that are older than the floor, and the floor at which they were recorded.
_old: WeakSet[Any] = WeakSet()
_recorded = current.NO_FLOOR


def guard(module: ModuleType) -> str:
    """Hold the floor on every context that is made from now on, and refuse those made before.

    Raises:
        GuardError: this awscrt lacks something that the guard needs.
    """
    global _recorded
    if row_of(module) == "awscrt.s3":
        _guard_s3(module)
        return "guarded"
    if module not in _gates.owners():
        _put(module)
    if current.held > _recorded:  # after the gates are in place, so that no object is missed
        _recorded = current.held
        _old.update(instances(_classes(_HOLDERS + _CONNECTED)))
    return "guarded"


def below() -> list[str]:
    """Describe the connections, and clients that reconnect, that are older than the floor."""
    connected = _classes(_CONNECTED)
    # None of them reports its version, or whether it uses TLS at all.
    return [
        f"older than the floor, of an unknown version: {thing!r}"
        for thing in list(_old)
        if isinstance(thing, connected) and getattr(thing, "is_open", lambda: True)()
    ]


def _guard_s3(module: Any) -> None:
    """Make no S3 client without TLS options."""
    client = getattr(module, "S3Client", None)
    if client in _gates.owners():
        return
    init: Any = getattr(client, "__init__", None)
    if "tls_connection_options" not in (getattr(init, "__kwdefaults__", None) or ()):
        raise misfit("awscrt", "it has no S3Client with tls_connection_options")

    @wraps(init)
    def birth(self: Any, *args: Any, **kwargs: Any) -> None:
        # By name, because the order of arguments in C depends on the version.
        if kwargs.get("tls_connection_options") is None:
            io: Any = sys.modules["awscrt.io"]
            context = io.ClientTlsContext(io.TlsContextOptions())
            kwargs["tls_connection_options"] = context.new_connection_options()
        init(self, *args, **kwargs)

    _gates.put(client, "__init__", birth)


def _put(native: Any) -> None:
    """Put the gates of ``_awscrt``."""
    providers = [name for name in dir(native) if name.startswith(_PROVIDER)]
    needed = ("client_tls_ctx_new", "is_tls_cipher_supported", *_USES)
    lacking = [name for name in needed if not callable(getattr(native, name, None))]
    if lacking:
        raise misfit("awscrt", f"it has no {', '.join(lacking)}")
    make = native.client_tls_ctx_new

    @wraps(make)
    def birth(minimum: int, preference: int, *args: Any) -> Any:
        if type(minimum) is not int or type(preference) is not int:
            raise misfit("awscrt", "client_tls_ctx_new() has other arguments")
        lowest = _MINIMUM.get(current.held, 0)
        holds = lowest <= minimum < _DEFAULT
        if preference:
            begins = _LOWEST.get(preference, 0)
            if preference == _PQ_DEFAULT and not native.is_tls_cipher_supported(_NEWER):
                begins = versions.TLS1_0
            holds = begins >= current.held
            if not holds:
                _report_replaced(preference, begins)
        if not holds:
            asked = minimum != _DEFAULT or preference
            current.counts["clamped" if asked else "raised"] += 1
            minimum = minimum if lowest <= minimum < _DEFAULT else lowest
            preference = 0
        return make(minimum, preference, *args)

    _gates.put(native, "client_tls_ctx_new", birth)
    for name in _USES:
        _gates.put(native, name, _use(getattr(native, name), s3=name.startswith("s3_")))
    for name in set(providers).difference(_USES, _PLAIN):
        _gates.put(native, name, _own(getattr(native, name)))


def _report_replaced(preference: int, begins: int) -> None:
    """Report that a preference allows less than the floor, and the default replaces it."""
    known = getattr(sys.modules.get("awscrt.io"), "TlsCipherPref", None)
    names = {member.value: member.name for member in known or ()}
    name, floor = names.get(preference, str(preference)), versions.floor_name(current.held)
    asked = versions.name(begins) if begins else None
    text = f"cipher_pref {name} allows {asked or 'an unknown version'} and is not used"
    events.note("clamped", mode="enforce", floor=floor, stack="awscrt", asked=asked, text=text)
    if (preference, current.held) not in _reported:
        _reported.add((preference, current.held))
        say(f"tlsfloor: warning: awscrt: {text}; the floor is {floor}, set by {current.set_by}")


def _use(function: Any, *, s3: bool) -> Any:
    @wraps(function)
    def use(*args: Any, **kwargs: Any) -> Any:
        # An object, the options of a proxy, or the providers of a chain.
        for arg in (*args, *kwargs.values()) if _old else ():
            for thing in arg if isinstance(arg, (list, tuple)) else (arg,):
                _check(thing)
                _check(getattr(thing, "tls_connection_options", None))
        if s3:
            _check_proxy()
        return function(*args, **kwargs)

    return use


def _check(thing: Any) -> None:
    """Refuse an object that is older than the floor, or what the object is in C."""
    for old in list(_old):
        if thing is not None and (thing is old or thing is getattr(old, "_binding", None)):
            raise _refused(
                f"this {type(old).__name__} of awscrt was made before the floor was armed",
                "make it again, or arm the floor before it is made",
            )


def _check_proxy() -> None:
    """Refuse S3 through a proxy over TLS: C code reads the variable, and makes a context for it."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        if os.environ.get(name, "").lower().startswith("https:"):
            raise _refused(
                f"awscrt uses TLS to the proxy in {name}, with a context that cannot be raised",
                "use a proxy URL that begins with http:, which carries TLS connections too",
            )


def _own(function: Any) -> Any:
    @wraps(function)
    def own(*args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        raise _refused(
            "this provider of credentials makes a TLS context of its own, which cannot be raised",
            "use AwsCredentialsProvider.new_delegate() with the credentials of botocore",
        )

    return own


def _refused(problem: str, hint: str) -> Exception:
    current.counts["refused"] += 1
    return refusal(problem, hint)


def _classes(names: tuple[tuple[str, str], ...]) -> tuple[type, ...]:
    """Return these classes, without those of modules that are not imported."""
    found = [getattr(sys.modules.get(module), name, None) for module, name in names]
    return tuple(kind for kind in found if kind is not None)
