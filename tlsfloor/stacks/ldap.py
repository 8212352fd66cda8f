"""The guard of libldap (OpenLDAP), which python-ldap and bonsai use.

Neither hands its minimum on reliably: built with GnuTLS, as on Debian, libldap ignores
``OPT_X_TLS_PROTOCOL_MIN`` and ``LDAPTLS_PROTOCOL_MIN`` and offers TLS 1.0 by default; and what is
set globally does not reach a handle that asks for a TLS context of its own, as bonsai's always do.

So the gate is in libldap itself: ``LDAP_OPT_X_TLS_CONNECT_CB`` (ldap.h), a global function that
every handle, those made before too, calls with its fresh TLS session just before the handshake.
Python can set it by no other way than this one. With GnuTLS it takes the versions below the floor
out of the priorities of that session, with OpenSSL it raises the bounds.

An exception in such a function cannot reach the program, only refuse: a signal may raise one where
the function begins, so what was not held to the end is refused afterwards.

Asking libldap for this makes it read its configuration and the ``LDAP*`` environment now, which it
does at its first use otherwise.
"""

from __future__ import annotations

import ctypes
import sys
import weakref

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import instances
from tlsfloor.stacks._libldap import Library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# What was found in this process, by the address of its ldap_set_option: modules may share one.
_libraries: dict[int, Library] = {}

# Open connections of bonsai, which does not tell versions, that are older than the floor: weakly.
_older: list[Any] = []

# ldap.h, LDAP_OPT_X_TLS_VERSION: the version that was negotiated.
_VERSION = 0x6013

# What GnuTLS calls the versions that it knows, in priorities and in answers.
_GNUTLS = {"TLS1.0": 0x301, "TLS1.1": 0x302, "TLS1.2": 0x303, "TLS1.3": 0x304}


def guard(module: ModuleType) -> str:
    """Hold the floor on every handle of the libldap that ``module`` was linked with.

    Raises:
        GuardError: this libldap, or its TLS library, is not one of which it is known how.
    """
    if sys.platform == "win32":
        return "uncovered: Windows' own LDAP library takes the versions from the system"
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
        weakref.ref(each)
        for each in _instances("bonsai._bonsai", "ldapconnection")
        if not each.closed and not any(each is one for one in known)
    )


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is."""
    return "" if _library(module).held() else "the function that libldap calls was replaced"


def below() -> list[str]:
    """Describe the open connections below the floor, and those of which nobody can tell."""
    found = []
    for each in _instances("ldap.ldapobject", "SimpleLDAPObject"):
        handle = getattr(each, "_l", None)
        version = None if handle is None else handle.get_option(_VERSION)
        if version and _wire(version) < current.held:
            found.append(f"{version} connection: {each!r}")
    older = [reference() for reference in _older]
    return found + [
        f"connection older than the floor, of an unknown version: {each!r}"
        for each in older
        if each is not None and not each.closed
    ]


def _wire(version: str) -> int:
    return _GNUTLS.get(version, versions.OPENSSL_NAMES.get(version, 0))


def _instances(module: str, name: str) -> list[Any]:
    cls = getattr(sys.modules.get(module), name, None)
    return [] if cls is None else instances([cls])


def _library(module: ModuleType) -> Library:
    """Return the library that a module was linked with, one for all modules that share it."""
    try:
        lib: Any = ctypes.CDLL(module.__file__)
        address = ctypes.cast(lib.ldap_set_option, ctypes.c_void_p).value or 0
        if address not in _libraries:
            _libraries[address] = Library(lib)
    except (AttributeError, OSError) as error:
        raise GuardError(
            f"the libldap of {module!r} is not known: {error}",
            hint="use one of OpenLDAP, linked dynamically with GnuTLS or OpenSSL 1.1 or newer",
        ) from error
    return _libraries[address]
