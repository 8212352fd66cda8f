"""The stacks that can only be named: nothing here changes them.

Each is inherent up to the lowest version that it was seen to speak when it was asked for as little
as it lets a program ask, by handshakes. Above that it is refused before its module is executed, as
there is no other place: see ``_tls_calls`` for stacks in which there is one.
"""

from __future__ import annotations

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks import _tls_calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

#: Module -> the stack, the lowest version that it can be made to speak, and a remark.
NAMED = {
    # QUIC has no other version (RFC 9001, section 4.2).
    "aioquic.tls": ("aioquic", versions.TLS1_3, "it has no other"),
}


def before_import(name: str) -> None:
    """Refuse a stack that can be made to speak less than the floor.

    Raises:
        GuardError: it can, and the policy does not let it pass.
    """
    state = _state(name)
    if state != "inherent" and not _tls_calls.passes(name):
        current.stacks[name] = state
        raise GuardError(
            f"{name} is {state}",
            hint=f"do without it, or let it go below the floor: TLSFLOOR_STACKS={name}=warn",
        )


def guard(module: ModuleType) -> str:
    """Return what is known of the stack; change nothing."""
    return _state(_tls_calls.row_of(module))


def _state(name: str) -> str:
    stack, lowest, remark = NAMED[name]
    if lowest >= current.held:
        return "inherent"
    return f"uncovered: {stack} can be made to speak {versions.name(lowest)}, and {remark}"
