"""A connection of ``ssl``: who is at its ends, and whether it failed because of the floor."""

from __future__ import annotations

import sys

from tlsfloor import events, exemptions, versions
from tlsfloor.stacks.contexts import UNBOUNDED, asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

# What OpenSSL says of a handshake without a version in common (ssl/statem/statem_lib.c), and the
# alert of a peer that speaks none of those that it was offered (RFC 8446, section 6.2).
_ALERT = "TLSV1_ALERT_PROTOCOL_VERSION"
REASONS = frozenset({"UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", _ALERT})

# How far from a handshake the transport of an event loop is.
_NEAR = 8


def ends(real: Any, caller: FrameType) -> dict[str, object]:
    """Return role, name and address of a connection, as far as they are known.

    A server tells its own port and no port of its peer, which is another one each time.

    .. versionadded:: 0.1
    """
    server = bool(real.server_side)
    found: dict[str, object] = {"role": "server" if server else "client"}
    found["server_name"] = real.server_hostname
    peer, own = _addresses(real.owner, caller)
    if peer:
        found["peer"] = peer[0]
        port = own if server else peer
        if port and len(port) > 1:
            found["port"] = port[1]
    return found


def agreed(real: Any, caller: FrameType) -> dict[str, object]:
    """Return what was negotiated, and between whom.

    .. versionadded:: 0.1
    """
    version = versions.OPENSSL_NAMES.get(real.version(), 0)
    suite = (real.cipher() or ("",))[0]
    return {"version": versions.name(version), "suite": suite, **ends(real, caller)}


def _addresses(owner: Any, caller: FrameType) -> tuple[Any, Any]:
    """Return the peer's address and our own: of a socket, or of the transport of an event loop."""
    try:
        if hasattr(owner, "getpeername"):
            return _of_inet(owner.getpeername()), _of_inet(owner.getsockname())
        frame: FrameType | None = caller
        for _ in range(_NEAR):
            loop = frame.f_locals.get("self") if frame else None
            transport: Any = getattr(loop, "_transport", None)
            if hasattr(transport, "get_extra_info"):
                told = transport.get_extra_info
                return _of_inet(told("peername")), _of_inet(told("sockname"))
            frame = frame and frame.f_back
    except OSError:  # not connected any more
        pass
    return None, None


def _port(about: dict[str, object]) -> int | None:
    port = about.get("port")
    return port if isinstance(port, int) else None


def _of_inet(address: Any) -> Any:
    return address if isinstance(address, tuple) else None


def explain(error: OSError, real: Any, caller: FrameType, floor: int, set_by: str) -> None:
    """Add a note to the error of a handshake that failed because of the floor; to no other.

    The floor is the reason only where it raised what the program, or its Python, had asked for.

    .. versionadded:: 0.1
    """
    low = asked(real.context).get("minimum_version", floor)
    if low >= floor:
        return
    about = ends(real, caller)
    chosen = error.reason == "UNSUPPORTED_PROTOCOL" and about["role"] == "client"  # type: ignore[attr-defined] # it is one of REASONS
    if not chosen and UNBOUNDED != real.context.maximum_version < versions.TLS1_3:
        return  # the peer may want more than this side allows, by a maximum of its own
    if error.reason == _ALERT and about["role"] == "server":  # type: ignore[attr-defined] # see above
        return  # nor is it the floor that the client refuses
    name = versions.name(floor)
    host = about["server_name"] or about.get("peer", "HOST")
    where = f"{host}:{about['port']}" if "port" in about else str(host)
    who = "the client" if about["role"] == "server" else where
    hint = "" if about["role"] == "server" else f"; hint: tlsfloor check {where}"
    expired = exemptions.find(about["server_name"], about.get("peer"), _port(about))
    if expired is not None and expired.days_left() < 0:
        hint = f"; the exemption of {expired.host} expired on {expired.expires}{hint}"
    text = (
        f"tlsfloor: {who} offers nothing at or above {name}, which is the floor of this process, "
        f"set by {set_by}; the context asked for {versions.bound_name(low)}{hint}"
    )
    if sys.version_info >= (3, 11):
        error.add_note(text)
    else:  # where tracebacks of newer libraries look for it (PEP 678)
        error.__notes__ = [*getattr(error, "__notes__", ()), text]  # type: ignore[attr-defined]
    facts = {"asked": versions.bound_name(low), "floor": versions.floor_name(floor)}
    events.note("failed", mode="enforce", stack="ssl", text=text, **facts, **about)
