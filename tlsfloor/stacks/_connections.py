"""Connections of ``ssl``: seeing handshakes, and what stands in for those of before the floor.

A handshake is seen at ``do_handshake()`` of the Python classes that hold a TLS object: SSLSocket,
SSLObject, and those of gevent and eventlet. Each is changed in place when the first TLS object of
it is born under a floor. One that OpenSSL makes inside of the first read or write, since nobody
called ``do_handshake()``, is not seen: nothing is placed on the path of the data. (The floor holds
on it all the same: the bounds of its context do that.)
"""

from __future__ import annotations

import sys

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.stacks._contexts import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

# What OpenSSL says of a handshake without a version in common (ssl/statem/statem_lib.c), and the
# alert of a peer that speaks none of those that it was offered (RFC 8446, section 6.2).
_REASONS = frozenset(
    {"UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "TLSV1_ALERT_PROTOCOL_VERSION"}
)

# How many frames away from a handshake the transport of an event loop is.
_NEAR = 8

#: The attribute of an SSLSocket or SSLObject that an exemption lets go below the floor: how far.
EXEMPT = "_tlsfloor_exempt"


def tell(
    kind: str,
    floor: int,
    mode: str,
    more: Callable[[], dict[str, object]] | None = None,
    /,
    **facts: object,
) -> None:
    """Report an event of ``ssl``; nobody is asked for ``more`` facts unless they are wanted."""
    events.note(kind, more, mode=mode, floor=versions.floor_name(floor), stack="ssl", **facts)


def tell_low(kind: str, lowest: int) -> None:
    """Report each floor that a context is below, the one that is held and the one observed."""
    if events.wanted(kind):
        for floor, mode in ((current.held, "enforce"), (current.observed, "observe")):
            if lowest < floor:
                tell(kind, floor, mode, asked=versions.bound_name(lowest))


def see(owner: Any) -> None:
    """See the handshakes of TLS objects of this class from now on."""
    # gevent's SSLSocket is no socket: it has one, which owns the TLS object and refers to it.
    refer = getattr(owner, "_sslsock", None)
    holder = owner if refer is None else refer()
    for cls in type(holder).__mro__:
        before: Any = vars(cls).get("do_handshake")
        if before is not None:
            # Another kind of attribute (a property, a partial method, a mock) is left as it is.
            if type(before) is type(see) and not hasattr(before, "_tlsfloor"):
                cls.do_handshake = _seeing(before)  # type: ignore[attr-defined] # it has one
            return


def _seeing(before: Any) -> Any:
    """Return a ``do_handshake()`` that reports what happens in another one."""
    from functools import wraps

    @wraps(before)
    def do_handshake(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Asked before, and of the object of the C type: a second call makes no second handshake.
        listening = events.is_heard() and (
            events.wanted("handshake") or events.wanted(events.BELOW)
        )
        begun = listening and is_open(getattr(self, "_sslobj", None))
        try:
            done = before(self, *args, **kwargs)
        except OSError as error:
            if getattr(error, "reason", None) in _REASONS and _is_outer(self):
                events.protected("explain", _explain, error, self, sys._getframe(1))
            raise
        if listening and not begun and _is_outer(self):
            _report(self, self._sslobj, sys._getframe(1))
        return done

    def _is_outer(self: Any) -> bool:
        # Where a class calls that of its base, only one of them reports; eventlet's class is none
        # that we know of, since each socket becomes one of it after its TLS object was born.
        found = (vars(cls).get("do_handshake") for cls in type(self).__mro__)
        ours = [mark for mark in (getattr(each, "_tlsfloor", None) for each in found) if mark]
        return bool(ours) and ours[0] is before

    do_handshake._tlsfloor = before  # type: ignore[attr-defined] # a mark
    return do_handshake


def is_open(real: Any) -> bool:
    """Tell whether the handshake of a TLS object of the C type is complete."""
    # PyPy names a version from the start, and a cipher only when one was agreed on.
    return real is not None and real.version() is not None and real.cipher() is not None


def _report(holder: Any, real: Any, caller: FrameType) -> None:
    """Report the handshake of a TLS object."""
    version = versions.OPENSSL_NAMES.get(real.version(), 0)
    kind = "handshake" if version >= current.observed else events.BELOW
    if events.wanted(kind):
        observes = current.observed > current.held
        floor, mode = (current.observed, "observe") if observes else (current.held, "enforce")
        about = {"version": versions.name(version), "role": _role(real)}
        tell(kind, floor, mode, lambda: _agreed(real, holder, caller), **about)


def _forward(name: str) -> property:
    """Return a property that reads and sets an attribute of the real TLS object."""

    def read(self: Any) -> Any:
        return getattr(self._real, name)

    def write(self: Any, value: Any) -> None:
        setattr(self._real, name, value)

    return property(read, write)


class Unproven:
    """Stands in for a TLS object that is older than the floor, until its handshake is complete.

    The handshake may be asked for by name, or happen inside of the first read or write. Then this
    puts the real object in its own place, so that nothing is left on the path of the data.
    """

    __slots__ = ("_real",)

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    # All that can be set on the C type.
    context = _forward("context")
    owner = _forward("owner")
    session = _forward("session")

    def do_handshake(self, depth: int = 1) -> None:
        """Shake hands, and compare the version; the caller is so many frames away."""
        self._real.do_handshake()
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
        version = versions.OPENSSL_NAMES.get(real.version(), 0)
        if version < current.held:
            current.counts["discarded"] += 1
            about = {"version": versions.name(version), "role": _role(real)}
            tell("discarded", current.held, "enforce", **about)
            raise refusal(
                f"{real.version()} was negotiated, for a connection that was begun before the "
                "floor was armed",
                "arm the floor before connecting",
            )
        # Its owner holds this, where it knows one; the caller is sure to: an SSLSocket, an
        # SSLObject, or gevent's own socket.
        holder = real.owner
        if getattr(holder, "_sslobj", None) is not self:
            holder = sys._getframe(depth).f_locals.get("self")
        if getattr(holder, "_sslobj", None) is self:
            holder._sslobj = real


def ends(real: Any, holder: Any, caller: FrameType) -> dict[str, object]:
    """Return role, name and address of a connection, as far as they are known.

    Of a server that is its own port, and no port of its peer, which is another one each time.
    """
    found: dict[str, object] = {"role": _role(real), "server_name": real.server_hostname}
    peer, own = addresses(holder, caller)
    if peer:
        found["peer"] = peer[0]
        port = own if found["role"] == "server" else peer
        if port and len(port) > 1:
            found["port"] = port[1]
    return found


def _agreed(real: Any, holder: Any, caller: FrameType) -> dict[str, object]:
    """Return by which suite, and between whom."""
    return {"suite": (real.cipher() or ("",))[0], **ends(real, holder, caller)}


def _role(real: Any) -> str:
    return "server" if real.server_side else "client"


def addresses(owner: Any, caller: FrameType) -> tuple[Any, Any]:
    """Return the peer's address and our own: of a socket, or of what a caller reads from."""
    known: Any = owner
    frame: FrameType | None = caller
    for _ in range(_NEAR):
        try:
            if hasattr(known, "getpeername"):
                return _of_inet(known.getpeername()), _of_inet(known.getsockname())
            if hasattr(known, "get_extra_info"):
                told = known.get_extra_info
                return _of_inet(told("peername")), _of_inet(told("sockname"))
        except (OSError, TypeError):  # not connected any more; uvloop's stand-in for a socket
            break
        if frame is None:
            break
        known, frame = _beneath(frame.f_locals), frame.f_back
    return None, None


def _beneath(names: Any) -> Any:
    """Return what carries the bytes of TLS, if a frame with these variables is one that knows."""
    loop = names.get("self")
    stream = getattr(loop, "transport_stream", None)  # trio's and anyio's
    carriers = (
        names.get("rawsock"),  # asyncio's _make_ssl_transport(), before there is a transport
        getattr(loop, "_transport", None),
        getattr(stream, "socket", None),
        getattr(stream, "_raw_socket", None),
    )
    return next((each for each in carriers if each is not None), None)


def _of_inet(address: Any) -> Any:
    return address if isinstance(address, tuple) else None


def _explain(error: OSError, holder: Any, caller: FrameType) -> None:
    """Say in the error of a handshake that it failed because of the floor, if it did."""
    from tlsfloor.stacks import _explained  # few programs need it

    _explained.explain(error, holder, caller)
