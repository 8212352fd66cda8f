"""Connections of ``ssl`` that an exemption lets go below the floor.

Exempted and other connections may share a context. OpenSSL takes the bounds of a connection from
its context (``SSL_new``), so the context is lowered for just that call. With exemptions, all
connections of the process are born one after the other: no other thread can create one meanwhile.
"""

from __future__ import annotations

import contextlib
import sys

from tlsfloor import events, exemptions, versions
from tlsfloor import floor as current
from tlsfloor.stacks import stdlib
from tlsfloor.stacks._connections import EXEMPT, holder_of
from tlsfloor.stacks._contexts import asked
from tlsfloor.stacks.stdlib import FIXED, FLEXIBLE, UNBOUNDED, put_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from tlsfloor.exemptions import Exemption


# The callers that know the address of a connection whose socket has none yet, or that has no
# socket: module and function -> the variable to ask. The last is asyncio's before Python 3.11.
_CALLERS = {
    ("ssl", "_real_connect"): "addr",
    ("gevent.ssl", "_real_connect"): "addr",
    ("asyncio.selector_events", "_make_ssl_transport"): "rawsock",
    ("asyncio.proactor_events", "_make_ssl_transport"): "rawsock",
    ("asyncio.base_events", "start_tls"): "transport",
    ("asyncio.sslproto", "_process_write_backlog"): "self",
}

# Linux, include/uapi/linux/tcp.h: struct tcp_info, and in it the offsets of tcpi_bytes_acked,
# tcpi_bytes_received and, since 4.6, tcpi_data_segs_out.
_TCP, _TCP_INFO, _SIZE = 6, 11, 160
_ACKNOWLEDGED, _RECEIVED, _SENT = slice(120, 128), slice(128, 136), slice(156, 160)

_PROXY = (
    "data was sent before TLS began, as to a proxy, or the system cannot tell; exempt the name of "
    "the host"
)

# The modules that may be between such a caller and a gate. A caller behind any other module may
# have more connections than this one.
_BETWEEN = frozenset({"ssl", "gevent.ssl", "truststore._api", "asyncio.sslproto"})


def exempting(base: Any, wrap: Any, gate: Any) -> Any:
    """Return the gate of a use that lets exempted connections go below the floor."""

    def exempting(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Events are delivered before the lock is taken: a logging handler or a callback may wait
        # for a connection of another thread.
        found = find_exemption(args, kwargs, current.threshold)
        flexible = base.protocol.__get__(self) in FLEXIBLE  # else it is refused, and never lowered
        # Read from the module each time, because a fork replaces the lock.
        with stdlib.exemption_lock if flexible else contextlib.nullcontext():
            minimum = current.held if found is None else exempted_minimum(base, self, found)
            if minimum < current.held:
                stdlib.report_handshakes_of(kwargs.get("owner"))
                with lowered(base, self, minimum, current.held):
                    born = wrap(self, *args, **kwargs)
            else:
                born = gate(self, *args, **kwargs)
        holder = holder_of(kwargs.get("owner"))
        if found is not None and hasattr(holder, "__dict__"):
            setattr(holder, EXEMPT, (exempted_minimum(base, self, found), found.why()))
        return born

    exempting.__name__ = gate.__name__
    return exempting


def find_exemption(args: tuple[Any, ...], kwargs: dict[str, Any], floor: int) -> Exemption | None:
    """Return the exemption of the connection that these arguments ask for, and report it.

    They are those of ``_wrap_socket(sock, server_side, server_hostname)``, or of ``_wrap_bio``,
    which begins with two buffers. The gate itself calls this function. If the address is unknown,
    no exemption with a port, or of an address, applies.
    """
    socket = args[0] if args else kwargs.get("sock")
    socket = socket if hasattr(socket, "getpeername") else None
    rest = args[1:] if socket is not None else args[2:]
    server_side = rest[0] if rest else kwargs.get("server_side", False)
    name = rest[1] if len(rest) > 1 else kwargs.get("server_hostname")
    if server_side:
        return None
    peer = socket if _peer_address(socket) else _peer_of_caller(sys._getframe(2))
    address, port = _peer_address(peer) or (None, None)
    direct = _is_direct(peer)
    found = exemptions.exemption_for(name, address if direct else None, port)
    if found is None:
        other = None if direct else exemptions.exemption_for(name, address, port)
        if other is not None:
            text = f"the exemption of {other.host} is not for what is behind it: {_PROXY}"
            floor_name = versions.floor_name(floor)
            events.note("unexempted", floor=floor_name, text=text, server_name=name, stack="ssl")
        return None
    facts = {"server_name": name, "peer": address, "port": port, "stack": "ssl", "role": "client"}
    kind, text = "exempted", found.why()
    if found.days_left() < 0:
        kind, text = "unexempted", f"expired on {found.expires}: {found.reason}"
    events.note(kind, floor=versions.floor_name(floor), text=text, **facts)
    return found if kind == "exempted" else None


def _peer_of_caller(frame: FrameType | None) -> Any:
    """Return the address, socket or transport of the connection that a caller wants."""
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if (module, function) in _CALLERS:
            return frame.f_locals.get(_CALLERS[module, function])
        if module not in _BETWEEN:
            return None
        frame = frame.f_back
    return None


def _peer_address(peer: Any) -> tuple[Any, ...] | None:
    """Return host and port of a peer, which is an address, a socket, or a transport of asyncio."""
    try:
        if hasattr(peer, "getpeername"):
            peer = peer.getpeername()
        elif _extra_info(peer):
            peer = _extra_info(peer)("peername")
    except OSError:  # not connected yet
        return None
    return peer[:2] if isinstance(peer, tuple) else None


def _extra_info(transport: Any) -> Any:
    return getattr(transport, "_get_extra_info", getattr(transport, "get_extra_info", None))


def _is_direct(peer: Any) -> bool:
    """Tell whether a connection is to its address, and not through it to another host.

    A client of a proxy (CONNECT, SOCKS) sends data on the connection before TLS begins. Linux
    counts it. On a system that does not, the answer is no.
    """
    if isinstance(peer, tuple):
        return True  # still to be connected
    try:
        if _extra_info(peer):
            peer = _extra_info(peer)("socket")
        info = peer.getsockopt(_TCP, _TCP_INFO, _SIZE) if sys.platform == "linux" else b""
    except (AttributeError, OSError):  # no socket, or not of TCP
        return False
    # The acknowledged SYN proves that this kernel counts at all.
    has_data = any(info[_RECEIVED]) or any(info[_SENT])
    return len(info) == _SIZE and any(info[_ACKNOWLEDGED]) and not has_data


def exempted_minimum(base: Any, context: Any, exemption: Exemption) -> int:
    """Return down to which version a context may go: not below what its program asked for."""
    protocol = base.protocol.__get__(context)
    if protocol in FLEXIBLE:
        minimum = asked(context).get("minimum_version", base.minimum_version.__get__(context))
    else:
        minimum = FIXED.get(protocol, 0)
    return max(int(minimum), int(exemption.minimum))


@contextlib.contextmanager
def lowered(base: Any, context: Any, minimum: int, floor: int) -> Iterator[None]:
    """Lower the bounds of a context for a moment; the caller holds ``stdlib.exemption_lock``."""
    if base.protocol.__get__(context) not in FLEXIBLE:
        yield
        return
    bounds = {"minimum_version": minimum}
    highest = asked(context).get("maximum_version", UNBOUNDED)
    if highest != UNBOUNDED:
        bounds["maximum_version"] = max(highest, minimum)
    before = {name: getattr(base, name).__get__(context) for name in bounds}
    try:
        for name, bound in bounds.items():
            put_quietly(getattr(base, name).__set__, context, bound)
        yield
    finally:
        for name, bound in bounds.items():
            now = getattr(base, name).__get__(context)
            if now == bound or now < floor:  # else another thread has set it
                put_quietly(getattr(base, name).__set__, context, before[name])
