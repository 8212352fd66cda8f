"""The guard of tlslite-ng, TLS in Python: of the settings that every handshake validates.

``HandshakeSettings.validate()`` returns a copy that the handshake then uses, in both roles. That
copy is raised; the settings that a program made and reads back stay as they are.
"""

from __future__ import annotations

from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._gates import Gates, instances_of
from tlsfloor.stacks._stand_ins import find

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
    kind, _ = find(module, "HandshakeSettings.validate")
    validate = kind.validate
    if not _gates.stands(kind, "validate"):

        @wraps(validate)
        def gated(settings: Any) -> Any:
            return _raised(validate(settings))

        _gates.put(kind, "validate", gated)
    return "guarded"


def below() -> list[str]:
    """Describe the open connections below the floor."""
    return [
        f"{versions.name(open_.version[0] << 8 | open_.version[1])} connection: {open_!r}"
        for open_ in instances_of("tlslite.tlsconnection", "TLSConnection")
        if not open_.closed and open_.version < _pair(current.held)
    ]


def _pair(wire: int) -> tuple[int, int]:
    return wire >> 8, wire & 0xFF


def _raised(settings: Any) -> Any:
    if not current.is_held():
        return settings
    floor = _pair(current.held)
    if settings.minVersion < floor:
        current.counts["raised"] += 1
        settings.minVersion = floor
    if settings.maxVersion < floor:
        current.counts["clamped"] += 1
        settings.maxVersion = floor
    if floor == (3, 4) and hasattr(settings, "eccCurves"):
        # RFC 8446 has no such curves, but tlslite-ng offers them.
        kept = [curve for curve in settings.eccCurves if not curve.startswith("brainpool")]
        settings.eccCurves = kept or settings.eccCurves
    if hasattr(settings, "versions"):  # since 0.8
        settings.versions = [pair for pair in settings.versions if pair >= floor] or [floor]
    return settings
