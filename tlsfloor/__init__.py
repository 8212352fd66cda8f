"""tlsfloor: no TLS connection of this process below the version that you set.

    import tlsfloor

    tlsfloor.enforce("1.2")

Importing it changes nothing, and imports nothing: each name is loaded when it is first used (PEP
562).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.arm import enforce, raise_context
    from tlsfloor.errors import (
        FloorNotHeldError,
        GuardError,
        InstallError,
        PolicyError,
        ProtocolRefused,
        TLSFloorError,
        VerifyError,
    )
    from tlsfloor.facts import require, status
    from tlsfloor.ledger import Status
    from tlsfloor.verify.hello import verify

__version__ = "0.1.0"

__all__ = [
    "FloorNotHeldError",
    "GuardError",
    "InstallError",
    "PolicyError",
    "ProtocolRefused",
    "Status",
    "TLSFloorError",
    "VerifyError",
    "enforce",
    "raise_context",
    "require",
    "status",
    "verify",
]

_MODULES = {
    "enforce": "arm",
    "raise_context": "arm",
    "require": "arm",
    "status": "arm",
    "Status": "ledger",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "verify":  # a package that can be called
        return __import__(f"{__name__}.verify", fromlist=["hello"])
    module = f"{__name__}.{_MODULES.get(name, 'errors')}"
    return getattr(__import__(module, fromlist=[name]), name)


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
