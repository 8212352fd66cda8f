"""Connections of ``ssl``: reports their handshakes, and replaces those older than the floor.

A handshake is seen at ``do_handshake()`` of the Python classes that hold a TLS object: SSLSocket,
SSLObject, and those of gevent and eventlet. Each class is changed in place when its first TLS
object is born under a floor. If a program never calls ``do_handshake()``, OpenSSL performs the
handshake in the first read or write, and it is not reported: nothing is placed on the data path.
(The floor holds in that case too, by the bounds of the context.)
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

# OpenSSL's reasons for a handshake without a common version (ssl/statem/statem_lib.c), and the
# alert of a peer that supports none of the offered versions (RFC 8446, section 6.2).
_REASONS = frozenset(
    {"UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "TLSV1_ALERT_PROTOCOL_VERSION"}
)

# At most so many frames are between a handshake and the transport of an event loop.
_MAX_FRAMES = 8

#: The attribute of an SSLSocket or SSLObject that is exempted: down to which version, and why.
EXEMPT = "_tlsfloor_exempt"


def note_ssl(
    kind: str,
    floor: int,
    mode: str,
    more: Callable[[], dict[str, object]] | None = None,
    /,
    **facts: object,
) -> None:
    """Report an event of ``ssl``; ``more()`` is called only if its facts are wanted."""
    events.note(kind, more, mode=mode, floor=versions.floor_name(floor), stack="ssl", **facts)


def note_low(kind: str, lowest: int, bound: str = "") -> None:
    """Report each floor that a context is below, the one that is held and the one observed."""
    if events.is_wanted(kind):
        for floor, mode in ((current.held, "enforce"), (current.observed, "observe")):
            if lowest < floor:
                note_ssl(kind, floor, mode, bound=bound, asked=versions.bound_name(lowest))


def holder_of(owner: Any) -> Any:
    """Return the SSLSocket or SSLObject that has the TLS object of this owner."""
    # gevent's SSLSocket is no socket. A socket of it owns the TLS object and refers to it.
    refer = getattr(owner, "_sslsock", None)
    return owner if refer is None else refer()


def see(owner: Any) -> None:
    """Report the handshakes of TLS objects of this class from now on."""
    for cls in type(holder_of(owner)).__mro__:
        original: Any = vars(cls).get("do_handshake")
        if original is not None:
            # Any other kind of attribute (a property, a partial method, a mock) is left alone.
            if type(original) is type(see) and not hasattr(original, "_tlsfloor"):
                cls.do_handshake = _reporting(original)  # type: ignore[attr-defined] # it has one
            return


def _reporting(original: Any) -> Any:
    """Return a ``do_handshake()`` that calls the original one, and reports the result."""
    from functools import wraps

    @wraps(original)
    def do_handshake(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Found out before the call, and from the object of the C type: a second call of
        # do_handshake() performs no second handshake.
        listening = events.has_sink() and (
            events.is_wanted("handshake") or events.is_wanted(events.BELOW_FLOOR)
        )
        was_open = listening and is_open(getattr(self, "_sslobj", None))
        try:
            result = original(self, *args, **kwargs)
        except OSError as error:
            if getattr(error, "reason", None) in _REASONS and _is_outer(self):
                events.call_safely("explain", _explain, error, self, sys._getframe(1))
            raise
        if listening and not was_open and _is_outer(self):
            _note_handshake(self, self._sslobj, sys._getframe(1))
        return result

    def _is_outer(self: Any) -> bool:
        # If a class calls the method of its base, only one of them reports. (eventlet's class is
        # not changed: a socket gets that class after its TLS object was born.)
        found = (vars(cls).get("do_handshake") for cls in type(self).__mro__)
        marks = filter(None, (getattr(method, "_tlsfloor", None) for method in found))
        return next(marks, None) is original

    do_handshake._tlsfloor = original  # type: ignore[attr-defined] # a mark
    return do_handshake


def is_open(native: Any) -> bool:
    """Tell whether the handshake of a TLS object of the C type is complete."""
    # On PyPy version() has a result from the start, and cipher() only after the handshake.
    return native is not None and native.version() is not None and native.cipher() is not None


def _note_handshake(holder: Any, native: Any, caller: FrameType) -> None:
    version = versions.OPENSSL_NAMES.get(native.version(), 0)

    def found() -> dict[str, object]:
        minimum, why = getattr(holder, EXEMPT, (0, ""))
        return {**endpoints(native, holder, caller), "exempted": why * (version >= minimum)}

    if events.count_handshake is not None:
        name, role = native.server_hostname, _role(native)
        if name is None and role == "client":  # it has connected to an address
            name = found().get("peer")
        events.call_safely("opentelemetry", events.count_handshake, version, role, name, found)
    kind = "handshake" if version >= current.observed else events.BELOW_FLOOR
    if events.is_delivered(kind):
        observes = current.observed > current.held
        floor, mode = (current.observed, "observe") if observes else (current.held, "enforce")
        facts = {"version": versions.name(version), "role": _role(native)}

        def more() -> dict[str, object]:
            return {"suite": (native.cipher() or ("",))[0], **found()}

        note_ssl(kind, floor, mode, more, **facts)


class Unproven:
    """Takes the place of a TLS object older than the floor, until its handshake is complete.

    The program may ask for the handshake, or OpenSSL performs it in the first read or write. After
    it, the TLS object gets its place back, so nothing is left on the data path.
    """

    __slots__ = ("_native",)

    def __init__(self, native: Any) -> None:
        object.__setattr__(self, "_native", native)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._native, name, value)

    def do_handshake(self, depth: int = 1) -> None:
        """Perform the handshake, and compare the version; the caller is ``depth`` frames away."""
        self._native.do_handshake()
        self._prove(depth + 1)

    def read(self, *args: Any) -> Any:
        """Read for the first time: OpenSSL would perform the handshake in it."""
        self.do_handshake(2)
        return self._native.read(*args)

    def write(self, data: Any) -> Any:
        """Write for the first time: as read()."""
        self.do_handshake(2)
        return self._native.write(data)

    def _write_with_length(self, data: Any, length: int) -> Any:
        """Write for the first time: PyPy's ``SSLSocket.sendall()`` calls this method."""
        self.do_handshake(2)
        return self._native._write_with_length(data, length)

    def _prove(self, depth: int) -> None:
        """Compare the negotiated version with the floor, and give the TLS object its place back."""
        native = self._native
        version = versions.OPENSSL_NAMES.get(native.version(), 0)
        if version < current.held:
            current.counts["discarded"] += 1
            facts = {"version": versions.name(version), "role": _role(native)}
            note_ssl("discarded", current.held, "enforce", **facts)
            raise refusal(
                f"{native.version()} was negotiated, for a connection that was begun before the "
                "floor was armed",
                "arm the floor before connecting",
            )
        # The holder is the owner, if the TLS object has one, or else the caller: an SSLSocket, an
        # SSLObject, or gevent's own socket.
        holder = native.owner
        if getattr(holder, "_sslobj", None) is not self:
            holder = sys._getframe(depth).f_locals.get("self")
        if getattr(holder, "_sslobj", None) is self:
            holder._sslobj = native


def endpoints(native: Any, holder: Any, caller: FrameType) -> dict[str, object]:
    """Return role, server name, peer and port of a connection, as far as they are known.

    The port of a server is its own: the port of its peer differs each time.
    """
    found: dict[str, object] = {"role": _role(native), "server_name": native.server_hostname}
    peer, own = socket_addresses(holder, caller)
    if peer:
        found["peer"] = peer[0]
        address = own if found["role"] == "server" else peer
        if address and len(address) > 1:
            found["port"] = address[1]
    return found


def _role(native: Any) -> str:
    return "server" if native.server_side else "client"


def socket_addresses(owner: Any, caller: FrameType) -> tuple[Any, Any]:
    """Return the peer's address and our own: of a socket, or of what a caller reads from."""
    carrier: Any = owner
    frame: FrameType | None = caller
    try:
        for _ in range(_MAX_FRAMES):
            if hasattr(carrier, "getpeername"):
                return _inet(carrier.getpeername()), _inet(carrier.getsockname())
            if hasattr(carrier, "get_extra_info"):
                info = carrier.get_extra_info
                return _inet(info("peername")), _inet(info("sockname"))
            if frame is None:
                return None, None
            carrier, frame = _carrier(frame.f_locals), frame.f_back
    # No longer connected; uvloop's replacement of a socket; a transport of the program.
    except Exception:  # noqa: BLE001 - which can raise anything, and is to see none of it
        return None, None
    return None, None


def _carrier(names: Any) -> Any:
    """Return what carries the bytes of TLS, if it is among the variables of a frame."""
    loop = names.get("self")
    stream = getattr(loop, "transport_stream", None)  # of trio and anyio
    carriers = (
        names.get("rawsock"),  # asyncio's _make_ssl_transport(), before there is a transport
        getattr(loop, "_transport", None),
        getattr(stream, "socket", None),
        getattr(stream, "_raw_socket", None),
    )
    return next((carrier for carrier in carriers if carrier is not None), None)


def _inet(address: Any) -> Any:
    return address if isinstance(address, tuple) else None


def _explain(error: OSError, holder: Any, caller: FrameType) -> None:
    from tlsfloor.stacks import _explained  # few programs need it

    _explained.explain(error, holder, caller)
