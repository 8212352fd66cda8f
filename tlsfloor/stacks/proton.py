"""The guard of Qpid Proton: of SSL domains, as ``cproton``, its C library, makes and changes them.

A domain has a list of the versions that it may speak, and a connection takes it over as it begins.
So a domain gets the floor at its birth, and a list that is asked for later loses what is below.
``proton`` copies the former function, so it is replaced there too.

A connection does not tell its version: ``protocol_name()`` says ``"SSLv3"`` for one of TLS 1.0, and
means its cipher suite.
"""

from __future__ import annotations

import sys
import weakref

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# Proton, openssl.c, pn_ssl_domain_set_protocols: the names that it takes, in its order, ...
_NAMES = {
    "TLSv1": versions.TLS1_0,
    "TLSv1.1": versions.TLS1_1,
    "TLSv1.2": versions.TLS1_2,
    "TLSv1.3": versions.TLS1_3,
}
# ... and what may stand between them.
_BETWEEN = str.maketrans(",;", "  ")

_gates = Gates()

# cproton's own functions.
_make: Any = None
_change: Any = None

# The SSL objects that are older than the floor, weakly.
_older: list[Any] = []


def guard(module: ModuleType) -> str:
    """Hold the floor on every SSL domain.

    Raises:
        GuardError: this Proton's TLS library, as Windows', takes no list of versions.
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
    """Raise the domains that exist already, and note the connections."""
    for domain in _alive("SSLDomain"):
        _raise(domain._domain)
    known = [reference() for reference in _older]
    _older.extend(
        weakref.ref(each) for each in _alive("SSL") if not any(each is one for one in known)
    )


def below() -> list[str]:
    """Describe the connections that are older than the floor."""
    older = [reference() for reference in _older]
    return [
        f"connection older than the floor, of an unknown version: {each!r}"
        for each in older
        if each is not None
    ]


def _alive(name: str) -> list[Any]:
    cls = getattr(sys.modules.get("proton"), name, None)
    return [] if cls is None else instances([cls])


def pn_ssl_domain(mode: int) -> Any:
    """Make a domain, and raise it."""
    domain = _make(mode)
    if domain is not None:
        _raise(domain)
    return domain


def pn_ssl_domain_set_protocols(domain: Any, protocols: str) -> Any:
    """Change the versions of a domain, to none below the floor."""
    asked = protocols.translate(_BETWEEN).split()
    kept = [token for token in asked if _wire(token) >= current.held]
    if len(kept) < len(asked):
        current.counts["clamped"] += 1
        # A domain that could speak nothing would fail late, and nobody would understand it.
        kept = kept or [name for name, wire in _NAMES.items() if wire == current.held]
    return _change(domain, " ".join(kept))


def _wire(token: str) -> int:
    """Return the version of a name as Proton reads it: its first that begins so."""
    known = [wire for name, wire in _NAMES.items() if name.startswith(token)]
    return known[0] if known else current.held  # of an unknown one it complains itself


def _raise(domain: Any) -> None:
    if _change(domain, " ".join(name for name, wire in _NAMES.items() if wire >= current.held)):
        raise GuardError("this Proton's TLS library takes no list of versions")
    current.counts["raised"] += 1
