"""A connection of ``ssl``: what stands for it until it is proved, and what is told of it."""

from __future__ import annotations

import sys

from tlsfloor import events, versions
from tlsfloor.ledger import counts
from tlsfloor.stacks.contexts import UNBOUNDED, asked, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

# What OpenSSL says of a handshake without a version in common (ssl/statem/statem_lib.c), and the
# alert of a peer that speaks none of those that it was offered (RFC 8446, section 6.2).
_ALERT = "TLSV1_ALERT_PROTOCOL_VERSION"
_REASONS = frozenset({"UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", _ALERT})

# How far from a handshake the transport of an event loop is.
_NEAR = 8

#: Below all that a context or connection can say of itself.
NO_FLOOR = -9


def tell(
    kind: str,
    floor: int,
    mode: str,
    more: Callable[[], dict[str, object]] | None = None,
    /,
    **facts: object,
) -> None:
    """Tell of an event of ``ssl``; nobody is asked for ``more`` facts unless they are wanted.

    .. versionadded:: 0.1
    """
    events.note(kind, more, mode=mode, floor=versions.floor_name(floor), stack="ssl", **facts)


def _forward(name: str) -> property:
    """Return a property that reads and sets an attribute of the real TLS object."""

    def read(self: Any) -> Any:
        return getattr(self._real, name)

    def write(self: Any, value: Any) -> None:
        setattr(self._real, name, value)

    return property(read, write)


class Unproven:
    """Stands for a TLS object of the C type until its first handshake is done.

    That may be asked for by name, or happen inside of the first read or write. Afterwards it puts
    the real object in its own place, so that nothing is left on the data path.
    """

    __slots__ = ("_real",)

    #: The floor that the handshake is compared with, whose it is, and one that is only observed.
    floor = NO_FLOOR
    set_by = ""
    observed = NO_FLOOR

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    # All that can be set on the C type.
    context = _forward("context")
    owner = _forward("owner")
    session = _forward("session")

    def do_handshake(self, depth: int = 1) -> None:
        """Shake hands, and look at what came of it; the caller is so many frames away.

        Nothing stands between it and the real one: most calls in memory end in SSLWantReadError,
        and each frame that an error passes is dear.
        """
        try:
            self._real.do_handshake()
        except OSError as error:
            if getattr(error, "reason", None) in _REASONS:
                caller = sys._getframe(depth)
                events.protected(
                    "explain", _explain, error, self._real, caller, self.floor, self.set_by
                )
            raise
        self._prove(depth + 1)

    def read(self, *args: Any) -> Any:
        """Read for the first time: OpenSSL would shake hands in it."""
        self.do_handshake(2)
        return self._real.read(*args)

    def write(self, data: Any) -> Any:
        """Write for the first time: as read()."""
        self.do_handshake(2)
        return self._real.write(data)

    def _write_with_length(self, data: Any, length: int) -> Any:
        """Write for the first time, by what PyPy's ``SSLSocket.sendall()`` calls."""
        self.do_handshake(2)
        return self._real._write_with_length(data, length)

    def _prove(self, depth: int) -> None:
        """Compare what was negotiated with the floor, and step aside."""
        real = self._real
        version = real.version()
        wire = versions.OPENSSL_NAMES.get(version, 0)
        if wire < self.floor:
            counts["discarded"] += 1
            self._tell("discarded", "enforce", depth + 1)
            raise refusal(
                f"{version} was negotiated, for a context that another thread had lowered or a "
                "connection begun before the floor was armed",
                "set minimum_version once, and arm the floor before connecting",
                self.floor,
                self.set_by,
            )
        kind = "handshake" if wire >= self.observed else events.BELOW
        if events.wanted(kind):
            observes = self.observed > self.floor
            self._tell(kind, "observe" if observes else "enforce", depth + 1)
        # Its owner holds this, where it was told of one; the caller is sure to: an SSLSocket, an
        # SSLObject, or gevent's own socket.
        holder = real.owner
        if getattr(holder, "_sslobj", None) is not self:
            holder = sys._getframe(depth).f_locals.get("self")
        if getattr(holder, "_sslobj", None) is self:
            holder._sslobj = real

    def _tell(self, kind: str, mode: str, depth: int) -> None:
        # A function of its own: with these in _prove() each handshake would pay for the closure.
        real, caller = self._real, sys._getframe(depth)
        floor = self.observed if mode == "observe" else self.floor
        version = versions.name(versions.OPENSSL_NAMES.get(real.version(), 0))
        tell(kind, floor, mode, lambda: _agreed(real, caller), version=version, role=_role(real))


class Exempt(Unproven):
    """Stands for a TLS object that may go below the floor, though not below its exemption."""

    __slots__ = ("floor",)

    def __init__(self, real: Any, floor: int) -> None:
        super().__init__(real)
        self.floor = floor


def _ends(real: Any, caller: FrameType) -> dict[str, object]:
    """Return role, name and address of a connection, as far as they are known.

    A server tells its own port and no port of its peer, which is another one each time.
    """
    found: dict[str, object] = {"role": _role(real), "server_name": real.server_hostname}
    peer, own = _addresses(real.owner, caller)
    if peer:
        found["peer"] = peer[0]
        port = own if found["role"] == "server" else peer
        if port and len(port) > 1:
            found["port"] = port[1]
    return found


def _agreed(real: Any, caller: FrameType) -> dict[str, object]:
    """Return by which suite, and between whom."""
    return {"suite": (real.cipher() or ("",))[0], **_ends(real, caller)}


def _role(real: Any) -> str:
    return "server" if real.server_side else "client"


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


def _explain(error: OSError, real: Any, caller: FrameType, floor: int, set_by: str) -> None:
    """Add a note to the error of a handshake that failed because of the floor; to no other.

    The floor is the reason only where it raised what the program, or its Python, had asked for.

    .. versionadded:: 0.1
    """
    low = asked(real.context).get("minimum_version", floor)
    if low >= floor:
        return
    about = _ends(real, caller)
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
    from tlsfloor import exemptions

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
    tell("failed", floor, "enforce", text=text, asked=versions.bound_name(low), **about)
