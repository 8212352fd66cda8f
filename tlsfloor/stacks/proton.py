"""The guard of Qpid Proton: of SSL domains, as ``cproton``, its C library, makes and changes them.

A domain has a list of the versions that it may speak, and a connection copies that list when it
begins. So the list of a new domain begins at the floor, and a list that a program sets later loses
the versions below. ``proton`` copies the first function, so it is replaced there too.

A connection does not report its version: ``protocol_name()`` returns ``"SSLv3"`` for TLS 1.0, which
is the version that introduced its cipher suite.
"""

from __future__ import annotations

import sys
import weakref

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import Gates, instances_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# Proton, openssl.c, pn_ssl_domain_set_protocols: the names, in its order, and the separators.
_NAMES = {f"TLSv{name}".replace("v1.0", "v1"): wire for name, wire in versions.FLOORS.items()}
_SEPARATORS = str.maketrans(",;", "  ")

_gates = Gates()

# The original functions of cproton.
_make: Any = None
_change: Any = None

# Weak references to the SSL objects that are older than the floor.
_older: list[Any] = []


def guard(module: ModuleType) -> str:
    """Hold the floor on every SSL domain.

    Raises:
        GuardError: the TLS library of this Proton, as that of Windows, accepts no list of versions.
    """
    global _make, _change
    cproton: Any = module
    if not _gates.owners():
        _make, _change = cproton.pn_ssl_domain, cproton.pn_ssl_domain_set_protocols
        trial = pn_ssl_domain(cproton.PN_SSL_MODE_CLIENT)
        if trial is not None:
            cproton.pn_ssl_domain_free(trial)
    # Again each time: copies may have been made meanwhile.
    for ours, real in ((pn_ssl_domain, _make), (pn_ssl_domain_set_protocols, _change)):
        for name, holder in list(sys.modules.items()):
            theirs = name.partition(".")[0] in {"cproton", "proton"}
            if theirs and vars(holder).get(ours.__name__) is real:
                _gates.put(holder, ours.__name__, ours)
    return "guarded"


def catch_up() -> None:
    """Raise the domains that exist already, and record the connections."""
    for domain in instances_of("proton", "SSLDomain"):
        _raise(domain._domain)
    known = [reference() for reference in _older]
    _older.extend(
        weakref.ref(connection)
        for connection in instances_of("proton", "SSL")
        if not any(connection is other for other in known)
    )


def below() -> list[str]:
    """Describe the connections that are older than the floor."""
    older = [reference() for reference in _older]
    return [
        f"connection older than the floor, of an unknown version: {connection!r}"
        for connection in older
        if connection is not None
    ]


def pn_ssl_domain(mode: int) -> Any:
    """Make a domain, and raise its versions to the floor."""
    domain = _make(mode)
    if domain is not None:
        _raise(domain)
    return domain


def pn_ssl_domain_set_protocols(domain: Any, protocols: str) -> Any:
    """Set the versions of a domain, without those below the floor."""
    asked = protocols.translate(_SEPARATORS).split()
    kept = [token for token in asked if _wire(token) >= current.held]
    if len(kept) < len(asked):
        current.counts["clamped"] += 1
        # A domain without any version would fail late, with an error that does not explain it.
        kept = kept or [name for name, wire in _NAMES.items() if wire == current.held]
    return _change(domain, " ".join(kept))


def _wire(token: str) -> int:
    """Return the version of a name as Proton reads it: its first name with that beginning."""
    known = [wire for name, wire in _NAMES.items() if name.startswith(token)]
    return known[0] if known else current.held  # Proton itself rejects an unknown one


def _raise(domain: Any) -> None:
    if _change(domain, " ".join(name for name, wire in _NAMES.items() if wire >= current.held)):
        raise GuardError("the TLS library of this Proton accepts no list of versions")
    current.counts["raised"] += 1
