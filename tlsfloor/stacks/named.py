"""The stacks that can only be named: nothing here changes them.

Each is inherent up to the lowest version that it was seen to speak when it was asked for as little
as it lets a program ask, by handshakes; and uncovered above that.
"""

from __future__ import annotations

from tlsfloor import floor as current
from tlsfloor import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_RUSTLS = ("rustls", versions.TLS1_2, "a program cannot forbid it")

#: Module -> the stack, the lowest version that it can be made to speak, and a remark.
NAMED = {
    "_polars_runtime_32._polars_runtime": _RUSTLS,
    "_polars_runtime_64._polars_runtime": _RUSTLS,
    "_polars_runtime_compat._polars_runtime": _RUSTLS,
    # QUIC has no other version (RFC 9001, section 4.2).
    "aioquic.tls": ("aioquic", versions.TLS1_3, "it has no other"),
    "deltalake._internal": _RUSTLS,
    "grpc._cython.cygrpc": ("gRPC's BoringSSL", versions.TLS1_2, "a program cannot forbid it"),
    "obstore._obstore": _RUSTLS,
    # TLS 1.1 was seen by default; freetds.conf(5) has an `enable tls v1`.
    "polars.polars": _RUSTLS,  # of Polars that brings one runtime only
    "pymssql._mssql": ("pymssql's FreeTDS", versions.TLS1_0, "a program cannot forbid it"),
}


def guard(module: ModuleType) -> str:
    """Return what is known of the stack; change nothing."""
    stack, lowest, remark = NAMED[getattr(module.__spec__, "name", module.__name__)]
    if lowest >= current.held:
        return "inherent"
    return f"uncovered: {stack} can be made to speak {versions.name(lowest)}, and {remark}"
