"""The guard of ``awscrt``, the AWS Common Runtime, which has a TLS of its own (s2n on Linux).

Left alone it accepts TLS 1.0. Its modules look up the functions of ``_awscrt``, which is in C, at
each call, so the gates stand there, and references to classes taken earlier obey too:

* **birth**: ``client_tls_ctx_new`` makes every context of Python's; its minimum is raised. See
  ``awscrt_s3`` for a client that would let C make one;
* **use**: what was made before the floor cannot be raised, nor asked what it allows, and is refused
  where it would begin a connection. That takes in what may hold a context and does not tell, such
  as a provider of credentials;
* providers of credentials that make a context of their own in C are refused at all times.

awscrt serves no TLS from Python. What was connected before stays so, and an MQTT client that was
started before connects again by itself: ``below()`` names them.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from weakref import WeakSet

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, say
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# awscrt/io.py, TlsVersion: what C calls them, and its default.
_MINIMUM = {versions.TLS1_0: 1, versions.TLS1_1: 2, versions.TLS1_2: 3, versions.TLS1_3: 4}
_DEFAULT = 128

# What each cipher_pref begins at, as its policy in aws-c-io has it (enum aws_tls_cipher_pref, and
# s2n_tls_channel_handler.c): a preference takes the place of the minimum. PQ_DEFAULT is the eighth,
# and begins at TLS 1.2 only in versions that have the ninth, TLSv1_2_2025_07.
_PQ_DEFAULT, _NEWER = 8, 9
_LOWEST = {
    **dict.fromkeys((1, 2, 3, 4, 5, 6, 10, 11), versions.TLS1_0),
    **dict.fromkeys((7, _PQ_DEFAULT, _NEWER), versions.TLS1_2),
}

# Through these every object that holds TLS, and whatever begins a connection with it, passes.
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

# Providers of credentials that make no TLS context. Any other may: that of the default chain does,
# for the metadata of a container, and that of a profile for a role to assume (AWS STS).
_PROVIDER = "credentials_provider_new_"
_PLAIN = tuple(_PROVIDER + each for each in ("static", "environment", "process", "delegate"))

# Classes whose objects hold TLS: module, name ...
_HOLDERS = (
    ("awscrt.io", "ClientTlsContext"),
    ("awscrt.io", "TlsConnectionOptions"),
    ("awscrt.auth", "AwsCredentialsProvider"),
    ("awscrt.auth", "AwsSigningConfig"),
)
# ... and those that are, or have, connections.
_CONNECTED = (
    ("awscrt.mqtt", "Connection"),
    ("awscrt.mqtt5", "Client"),
    ("awscrt.s3", "S3Client"),
    ("awscrt.http", "HttpConnectionBase"),
    ("awscrt.websocket", "WebSocket"),
    ("awscrt.eventstream.rpc", "ClientConnection"),
)

_gates = Gates()

# The preferences that gave way, which is said once of each, and the floor that they gave way to.
_said: set[tuple[int, int]] = set()

# What is older than the floor, and the floor for which that was noted.
_old: WeakSet[Any] = WeakSet()
_noted = current.NO_FLOOR


def guard(module: ModuleType) -> str:
    """Hold the floor on every context that is made from now on, and refuse those made before.

    Raises:
        GuardError: this awscrt has not what the guard needs.
    """
    global _noted
    if module not in _gates.owners():
        _put(module)
    if current.held > _noted:  # after the gates are there: nothing is born unseen in between
        _noted = current.held
        _old.update(instances(_classes(_HOLDERS + _CONNECTED)))
    return "guarded"


def below() -> list[str]:
    """Describe the connections, and what makes some by itself, that are older than the floor."""
    connected = _classes(_CONNECTED)
    # None of them says its version, or whether it speaks TLS at all.
    return [
        f"made before the floor, and its version is not known: {thing!r}"
        for thing in list(_old)
        if isinstance(thing, connected) and getattr(thing, "is_open", lambda: True)()
    ]


def _put(native: Any) -> None:
    """Put the gates of ``_awscrt``."""
    providers = [each for each in dir(native) if each.startswith(_PROVIDER)]
    needed = ("client_tls_ctx_new", "is_tls_cipher_supported", *_USES)
    lacking = [each for each in needed if not callable(getattr(native, each, None))]
    if lacking:
        raise GuardError(
            f"this awscrt has no {', '.join(lacking)}, and so cannot be held to a floor",
            hint="install another version of awscrt, or of tlsfloor",
        )
    make = native.client_tls_ctx_new

    @wraps(make)
    def birth(minimum: int, preference: int, *args: Any) -> Any:
        if type(minimum) is not int or type(preference) is not int:
            raise GuardError("this awscrt makes its contexts in a way that is not known here")
        lowest = _MINIMUM.get(current.held, 0)
        holds = lowest <= minimum < _DEFAULT
        if preference:
            begins = _LOWEST.get(preference, 0)
            if preference == _PQ_DEFAULT and not native.is_tls_cipher_supported(_NEWER):
                begins = versions.TLS1_0
            holds = begins >= current.held
            if not holds:
                _give_way(preference, begins)
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


def _give_way(preference: int, begins: int) -> None:
    """Report a preference that allows less than the floor, so that it is not taken."""
    known = getattr(sys.modules.get("awscrt.io"), "TlsCipherPref", None)
    names = {each.value: each.name for each in known or ()}
    name, floor = names.get(preference, str(preference)), versions.floor_name(current.held)
    allows = versions.name(begins) if begins else "what is not known"
    text = f"cipher_pref {name} allows {allows}: the default of {floor} takes its place"
    asked = versions.name(begins) if begins else None
    events.note("clamped", mode="enforce", floor=floor, stack="awscrt", asked=asked, text=text)
    if (preference, current.held) not in _said:
        _said.add((preference, current.held))
        say(f"tlsfloor: warning: awscrt: {text}, which is the floor, set by {current.set_by}")


def _use(function: Any, *, s3: bool) -> Any:
    @wraps(function)
    def use(*args: Any, **kwargs: Any) -> Any:
        # One thing, the options of a proxy, or the providers of a chain.
        for arg in (*args, *kwargs.values()) if _old else ():
            for thing in arg if isinstance(arg, (list, tuple)) else (arg,):
                _check(thing)
                _check(getattr(thing, "tls_connection_options", None))
        if s3:
            _check_proxy()
        return function(*args, **kwargs)

    return use


def _check(thing: Any) -> None:
    """Refuse what is older than the floor, be it the object or what it is in C."""
    for old in list(_old):
        if thing is not None and (thing is old or thing is getattr(old, "_binding", None)):
            raise _refused(
                f"this {type(old).__name__} of awscrt was made before the floor was armed",
                "make it again, or arm the floor before it is made",
            )


def _check_proxy() -> None:
    """Refuse S3 through a proxy over TLS: the C side finds it, and makes a context for it."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        if os.environ.get(name, "").lower().startswith("https:"):
            raise _refused(
                f"awscrt speaks TLS to the proxy in {name} with a context that nothing can raise",
                "name a proxy that begins with http:, which carries TLS just as well",
            )


def _own(function: Any) -> Any:
    @wraps(function)
    def own(*args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        raise _refused(
            "this provider of credentials makes a TLS context of its own, which nothing can raise",
            "write AwsCredentialsProvider.new_delegate() around the credentials of botocore",
        )

    return own


def _refused(problem: str, hint: str) -> Exception:
    current.counts["refused"] += 1
    return refusal(problem, hint)


def _classes(names: tuple[tuple[str, str], ...]) -> tuple[type, ...]:
    """Return the classes of the modules that are here."""
    found = [getattr(sys.modules.get(module), name, None) for module, name in names]
    return tuple(each for each in found if each is not None)
