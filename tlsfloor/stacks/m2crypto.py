"""The guard of M2Crypto: of the functions of its C module, which all of its TLS uses.

M2Crypto has no setting for a minimum, but options that forbid a version, and no call that clears
them. So the options are set on a context each time that a TLS object is made of it. For an object
that is older than the floor, the version is checked after its handshake. A pin to TLS 1.0 is
dropped; a context that was pinned before a late floor can speak no version, and OpenSSL raises.
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances_of
from tlsfloor.stacks._stand_ins import misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

# The first has copied every name from the second, and the second from the third.
_HOLDERS = ("M2Crypto.m2", "M2Crypto.m2crypto", "M2Crypto._m2crypto")

# openssl/ssl.h: the options that forbid SSL 3.0, TLS 1.0, 1.1 and 1.2, since OpenSSL 1.1.1.
_FORBID = {0x300: 1 << 25, 0x301: 1 << 26, 0x302: 1 << 28, 0x303: 1 << 27}

_gates = Gates()

# M2Crypto.m2 itself.
_m2: Any = None


def guard(module: ModuleType) -> str:
    """Hold the floor on every TLS object that is made from now on, and on every handshake.

    Raises:
        GuardError: this M2Crypto lacks a function.
    """
    global _m2
    _m2 = module
    if not _gates.owners():
        try:
            flexible = getattr(_m2, "tls_method", None) or _m2.sslv23_method
            _replace("ssl_new", _forbidding(_m2.ssl_new, _m2.ssl_ctx_set_options))
            for name in ("ssl_connect", "ssl_accept"):
                _replace(name, _checking_version(getattr(_m2, name), _m2.ssl_get_version))
        except AttributeError as error:
            raise misfit("M2Crypto", error) from error
        for name, instead in (("tlsv1_method", flexible), ("ssl_ctx_set_tls1", lambda _context: 1)):
            if hasattr(module, name):  # not in every version
                _replace(name, _dropping_pin(getattr(module, name), instead))
    return "guarded"


def below() -> list[str]:
    """Describe the open connections below the floor."""
    found = [
        (connection, connection.get_version())
        for connection in instances_of("M2Crypto.SSL.Connection", "Connection")
        if getattr(connection, "ssl", None) is not None
        and _m2.ssl_get_current_cipher(connection.ssl)
    ]
    return [
        f"{version} connection: {connection!r}"
        for connection, version in found
        if versions.OPENSSL_NAMES.get(version, 0) < current.held
    ]


def _replace(name: str, gate: Any) -> None:
    for holder in _HOLDERS:
        module = sys.modules.get(holder)
        if module is not None and hasattr(module, name):
            _gates.put(module, name, gate)


def _forbidding(make: Callable[..., Any], set_options: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(make)
    def gate(context: Any) -> Any:
        set_options(context, sum(bit for version, bit in _FORBID.items() if version < current.held))
        return make(context)

    return gate


def _checking_version(
    shake: Callable[..., Any], get_version: Callable[..., Any]
) -> Callable[..., Any]:
    @wraps(shake)
    def gate(real: Any, *args: Any) -> Any:
        done = shake(real, *args)
        if done == 1:
            version = get_version(real)
            if versions.OPENSSL_NAMES.get(version, 0) < current.held:
                current.counts["discarded"] += 1
                raise refusal(
                    f"{version} was negotiated by a connection that is older than the floor",
                    "arm the floor before connecting",
                )
        return done

    return gate


def _dropping_pin(pin: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(pin)
    def gate(*args: Any) -> Any:
        if current.held <= versions.TLS1_0:
            return pin(*args)
        current.counts["clamped"] += 1
        return instead(*args)

    return gate
