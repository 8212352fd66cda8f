"""The guard of libldap (OpenLDAP), which python-ldap and bonsai use.

libldap has options for a minimum, and they do not hold. Built with GnuTLS, as on Debian, it ignores
``OPT_X_TLS_PROTOCOL_MIN`` and ``LDAPTLS_PROTOCOL_MIN`` and offers TLS 1.0 by default; and a global
option does not reach a handle that asks for a TLS context of its own, as those of bonsai always do.

So the gate is in libldap itself: ``LDAP_OPT_X_TLS_CONNECT_CB`` (ldap.h), a global callback that
every handle, also an older one, calls with its new TLS session just before the handshake. No Python
API sets it, so the guard uses ctypes (``_libldap``), and then lets libldap send a ClientHello to
see that the callback works.

An exception in the callback cannot reach the program. A session that was not held completely is
refused instead.

Setting the callback makes libldap read its configuration and the ``LDAP*`` environment now, and not
at its first use.
"""

from __future__ import annotations

import ctypes
import sys
import weakref

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import instances_of
from tlsfloor.stacks._libldap import LibLDAP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The libraries of this process, by the address of ldap_set_option: modules may share one.
_libraries: dict[int, LibLDAP] = {}

# Weak references to open connections of bonsai, which reports no versions, older than the floor.
_older: list[Any] = []

# ldap.h, LDAP_OPT_X_TLS_VERSION: the version that was negotiated.
_VERSION = 0x6013

# GnuTLS's names of versions.
_GNUTLS = {f"TLS{name}": wire for name, wire in versions.FLOORS.items()}


def guard(module: ModuleType) -> str:
    """Hold the floor on every handle of the libldap to which ``module`` is linked.

    Raises:
        GuardError: no way is known to hold it on this libldap or its TLS library.
    """
    if sys.platform == "win32":
        return "uncovered: the LDAP library of Windows takes the versions from the system"
    library = _library(module)
    was_held = library.held()
    library.hold()
    offered = library.offered()
    if offered < current.held:
        if not was_held:
            library.release()
        raise GuardError(
            f"{library.name} still offers {versions.name(offered)}",
            hint="use another OpenLDAP, or set `TLS_CIPHER_SUITE` of its ldap.conf",
        )
    return "guarded"


def catch_up() -> None:
    """Note the connections of bonsai that are open already."""
    known = [reference() for reference in _older]
    _older.extend(
        weakref.ref(connection)
        for connection in instances_of("bonsai._bonsai", "ldapconnection")
        if not connection.closed and not any(connection is other for other in known)
    )


def undone(module: ModuleType) -> str:
    """Return what of the guard is no longer in place; empty if all of it is."""
    return "" if _library(module).held() else "the callback of libldap was replaced"


def below() -> list[str]:
    """Describe the open connections below the floor, and those of an unknown version."""
    found = []
    for connection in instances_of("ldap.ldapobject", "SimpleLDAPObject"):
        handle = getattr(connection, "_l", None)
        version = None if handle is None else handle.get_option(_VERSION)
        if version and _wire(version) < current.held:
            found.append(f"{version} connection: {connection!r}")
    older = [reference() for reference in _older]
    return found + [
        f"connection older than the floor, of an unknown version: {connection!r}"
        for connection in older
        if connection is not None and not connection.closed
    ]


def _wire(version: str) -> int:
    return _GNUTLS.get(version, versions.OPENSSL_NAMES.get(version, 0))


def _library(module: ModuleType) -> LibLDAP:
    """Return the library to which a module is linked: one object for all modules that share it."""
    try:
        lib: Any = ctypes.CDLL(module.__file__)
        address = ctypes.cast(lib.ldap_set_option, ctypes.c_void_p).value or 0
        if address not in _libraries:
            _libraries[address] = LibLDAP(lib)
    except (AttributeError, OSError) as error:
        raise GuardError(
            f"the libldap of {module!r} cannot be used: {error}",
            hint="use one of OpenLDAP, linked dynamically with GnuTLS or OpenSSL 1.1 or newer",
        ) from error
    return _libraries[address]
