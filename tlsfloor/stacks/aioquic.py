"""aioquic, TLS for QUIC in Python: it speaks TLS 1.3 only (RFC 9001, section 4.2).

Nothing has to be done, and the row exists so that aioquic is reported as covered.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def guard(module: ModuleType) -> str:
    """Change nothing: there is no lower version."""
    del module
    return "inherent"
