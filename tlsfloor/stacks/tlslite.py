"""The guard of tlslite-ng, TLS in Python: of the settings that every handshake validates.

``HandshakeSettings.validate()`` returns the copy that a handshake goes by, of client and server. It
is raised there; what a program set, and reads back, stays.
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Hold the floor on every handshake.

    Raises:
        GuardError: this tlslite has no settings that are validated.
    """
    kind = getattr(module, "HandshakeSettings", None)
    validate = getattr(kind, "validate", None)
    if kind is None or validate is None:
        raise GuardError("this tlslite has no HandshakeSettings.validate()")
    if not _gates.stands(kind, "validate"):

        @wraps(validate)
        def gated(settings: Any) -> Any:
            return _raised(validate(settings))

        _gates.put(kind, "validate", gated)
    return "guarded"


def below() -> list[str]:
    """Describe the open connections below the floor."""
    kind = getattr(sys.modules.get("tlslite.tlsconnection"), "TLSConnection", None)
    return [
        f"{versions.name(each.version[0] << 8 | each.version[1])} connection: {each!r}"
        for each in (instances([kind]) if kind is not None else [])
        if not each.closed and each.version < _pair(current.held)
    ]


def _pair(wire: int) -> tuple[int, int]:
    return wire >> 8, wire & 0xFF


def _raised(settings: Any) -> Any:
    floor = _pair(current.held)
    if current.held < 0:
        return settings
    if settings.minVersion < floor:
        current.counts["raised"] += 1
        settings.minVersion = floor
    if settings.maxVersion < floor:
        current.counts["clamped"] += 1
        settings.maxVersion = floor
    if floor == (3, 4) and hasattr(settings, "eccCurves"):
        # RFC 8446 has no such curves, and tlslite-ng offers them all the same.
        kept = [each for each in settings.eccCurves if not each.startswith("brainpool")]
        settings.eccCurves = kept or settings.eccCurves
    if hasattr(settings, "versions"):  # since 0.8
        settings.versions = [each for each in settings.versions if each >= floor] or [floor]
    return settings
