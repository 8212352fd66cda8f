"""Connections of ``ssl`` that an exemption lets go below the floor, though their context is shared.

OpenSSL takes the bounds of a connection from its context (``SSL_new``), so that the context is
lowered for just that call. All connections of the process are born one after the other then: no
other thread can have one born in between.
"""

from __future__ import annotations

import contextlib
import sys

from tlsfloor import events, exemptions, versions
from tlsfloor import floor as current
from tlsfloor.stacks import stdlib
from tlsfloor.stacks._connections import EXEMPT
from tlsfloor.stacks._contexts import asked
from tlsfloor.stacks.stdlib import FIXED, FLEXIBLE, UNBOUNDED, put_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from tlsfloor.exemptions import Exemption


# Who wants a connection whose socket has no address yet, or that has no socket: module and function
# -> what it knows the address of. The last is asyncio's before Python 3.11.
_WHO_KNOWS = {
    ("ssl", "_real_connect"): "addr",
    ("gevent.ssl", "_real_connect"): "addr",
    ("asyncio.selector_events", "_make_ssl_transport"): "rawsock",
    ("asyncio.proactor_events", "_make_ssl_transport"): "rawsock",
    ("asyncio.base_events", "start_tls"): "transport",
    ("asyncio.sslproto", "_process_write_backlog"): "self",
}

# Linux, include/uapi/linux/tcp.h: struct tcp_info, and in it where tcpi_bytes_acked,
# tcpi_bytes_received and, since 4.6, tcpi_data_segs_out begin and end.
_TCP, _TCP_INFO, _SIZE = 6, 11, 160
_ACKNOWLEDGED, _RECEIVED, _SENT = slice(120, 128), slice(128, 136), slice(156, 160)

_PROXY = (
    "something was said before TLS began, as to a proxy, or it cannot be told; exempt the name of "
    "the host"
)

# The modules that may stand between it and a gate. Whoever is behind another has more connections
# than this one.
_BETWEEN = frozenset({"ssl", "gevent.ssl", "truststore._api", "asyncio.sslproto"})


def exempting(base: Any, wrap: Any, gate: Any) -> Any:
    """Return the gate of a use that lets what is exempted go below the floor."""

    def exempting(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Nobody hears of anything during the turn: a handler of logging, or a function that gets
        # events, may wait for a connection of another thread.
        found = find(args, kwargs, current.threshold)
        flexible = base.protocol.__get__(self) in FLEXIBLE  # else it is refused, and never lowered
        with stdlib.turn if flexible else contextlib.nullcontext():  # another one after a fork
            least = current.held if found is None else lowest(base, self, found)
            if least < current.held:
                with lowered(base, self, least, current.held):
                    made = wrap(self, *args, **kwargs)
                owner = kwargs.get("owner")
                if hasattr(owner, "__dict__"):
                    setattr(owner, EXEMPT, least)
                return made
            return gate(self, *args, **kwargs)

    exempting.__name__ = gate.__name__
    return exempting


def find(args: tuple[Any, ...], kwargs: dict[str, Any], floor: int) -> Exemption | None:
    """Return what exempts the connection that is asked for by these arguments, and tell of it.

    They are those of ``_wrap_socket(sock, server_side, server_hostname)``, or of ``_wrap_bio``,
    which begins with two buffers. Call it from the gate itself. Where no address is known, an
    exemption with a port, or of an address, is for nobody.
    """
    socket = args[0] if args else kwargs.get("sock")
    socket = socket if hasattr(socket, "getpeername") else None
    rest = args[1:] if socket is not None else args[2:]
    server_side = rest[0] if rest else kwargs.get("server_side", False)
    name = rest[1] if len(rest) > 1 else kwargs.get("server_hostname")
    if server_side:
        return None
    known = socket if _address(socket) else _known_to(sys._getframe(2))
    address, port = _address(known) or (None, None)
    direct = _is_direct(known)
    found = exemptions.find(name, address if direct else None, port)
    if found is None:
        other = None if direct else exemptions.find(name, address, port)
        if other is not None:
            text = f"the exemption of {other.host} is not for what is behind it: {_PROXY}"
            floor_name = versions.floor_name(floor)
            events.note("unexempted", floor=floor_name, text=text, server_name=name, stack="ssl")
        return None
    facts = {"server_name": name, "peer": address, "port": port, "stack": "ssl", "role": "client"}
    kind, text = "exempted", f"{found.reason}; until {found.expires}"
    if found.days_left() < 0:
        kind, text = "unexempted", f"expired on {found.expires}: {found.reason}"
    events.note(kind, floor=versions.floor_name(floor), text=text, **facts)
    return found if kind == "exempted" else None


def _known_to(frame: FrameType | None) -> Any:
    """Return what knows whom the connection is to that is wanted in a frame."""
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if (module, function) in _WHO_KNOWS:
            return frame.f_locals.get(_WHO_KNOWS[module, function])
        if module not in _BETWEEN:
            return None
        frame = frame.f_back
    return None


def _address(known: Any) -> tuple[Any, ...] | None:
    """Return host and port of a peer: of an address itself, a socket, or a transport of asyncio."""
    try:
        if hasattr(known, "getpeername"):
            known = known.getpeername()
        elif hasattr(known, "_get_extra_info"):
            known = known._get_extra_info("peername")
        elif hasattr(known, "get_extra_info"):
            known = known.get_extra_info("peername")
    except OSError:  # not connected yet
        return None
    return known[:2] if isinstance(known, tuple) else None


def _is_direct(known: Any) -> bool:
    """Tell whether a connection is to its address, and not through it to another host.

    Whoever asks a proxy to go on (CONNECT, SOCKS) says so on the connection before TLS begins.
    Linux counts what is said. Where nobody does it is not known, and that counts as no.
    """
    if isinstance(known, tuple):
        return True  # still to be connected
    try:
        for name in ("_get_extra_info", "get_extra_info"):
            if hasattr(known, name):
                known = getattr(known, name)("socket")
        told = known.getsockopt(_TCP, _TCP_INFO, _SIZE) if sys.platform == "linux" else b""
    except (AttributeError, OSError):  # nothing to ask, or not of TCP
        return False
    # The SYN is acknowledged, which shows that anything is counted at all.
    said = any(told[_RECEIVED]) or any(told[_SENT])
    return len(told) == _SIZE and any(told[_ACKNOWLEDGED]) and not said


def lowest(base: Any, context: Any, exemption: Exemption) -> int:
    """Return down to which version a context may go: not below what its program asked for."""
    protocol = base.protocol.__get__(context)
    if protocol not in FLEXIBLE:
        return max(FIXED.get(protocol, 0), exemption.minimum)
    current: int = base.minimum_version.__get__(context)
    return max(asked(context).get("minimum_version", current), exemption.minimum)


@contextlib.contextmanager
def lowered(base: Any, context: Any, minimum: int, floor: int) -> Iterator[None]:
    """Have the bounds of a context as low as that for a moment; call it in ``stdlib.turn``."""
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
            if now == bound or now < floor:  # else somebody has set it meanwhile
                put_quietly(getattr(base, name).__set__, context, before[name])
