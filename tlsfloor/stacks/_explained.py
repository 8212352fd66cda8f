"""Explains in the error of a connection of ``ssl`` that it failed because of the floor.

The explanation is a part of the error's own text, after OpenSSL's. requests, urllib3, httpx,
aiohttp, botocore and redis-py copy the text of an error into their own (``str(error)``,
``error.strerror``, ``error.args``), and none of them copies notes. So a log shows only the text.
Class, ``errno``, ``reason``, ``library`` and the beginning of the text do not change, because
programs compare them. Programs also search the text ("timed out", "wrong version number",
"unexpected eof", "certificate verify failed"), so the explanation has no such words. It has no
quotation mark and no line end, which ``repr()`` would escape.

The floor is named only if it is the reason. Two conditions must hold: the floor has raised the
context; and there is no version at or above the floor that the peer may want and that the program
itself forbids, by a maximum or an option.
"""

from __future__ import annotations

import _ssl
import sys

from tlsfloor import errors, events, exemptions, versions
from tlsfloor import floor as current
from tlsfloor.stacks import _connections
from tlsfloor.stacks._contexts import asked
from tlsfloor.stacks.stdlib import UNBOUNDED
from tlsfloor.versions import TLS1_0, TLS1_1, TLS1_2, TLS1_3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

# The options that forbid a version, independently of the bounds.
_FORBIDS = {
    TLS1_0: _ssl.OP_NO_TLSv1,
    TLS1_1: _ssl.OP_NO_TLSv1_1,
    TLS1_2: _ssl.OP_NO_TLSv1_2,
    TLS1_3: getattr(_ssl, "OP_NO_TLSv1_3", 0),
}

# At most so many frames are between a handshake and the client that knows of a proxy.
_MAX_FRAMES = 12

# The ports of the servers that warn_of_server() has reported.
_reported: set[object] = set()


def explain(error: Any, holder: Any, caller: FrameType) -> None:
    """Add to the error of a handshake that the floor is the reason, if it is."""
    floor = min(current.held, getattr(holder, _connections.EXEMPT, (current.held,))[0])
    context = holder._sslobj.context
    bounds = asked(context)
    low = bounds.get("minimum_version", floor)
    if low >= floor:
        return
    facts = _connections.endpoints(holder._sslobj, holder, caller)
    host = facts["server_name"] or facts.get("peer")
    proxied_port = _proxied_port(host, caller)
    peer = _host_and_port(host, proxied_port or facts.get("port"))
    if facts["role"] == "server":
        peer = f"the client at {facts['peer']}" if facts.get("peer") else "the client"
    problem = _reason(error.reason, facts["role"], peer, context, bounds, floor)
    if not problem:
        return
    whose = f"the floor of this process, set by {current.set_by}"
    if floor < current.held:
        whose = f"as low as an exemption goes below {versions.name(current.held)}, {whose}"
    wanted = versions.bound_name(low)
    if "maximum_version" in bounds:
        wanted += f" to {versions.name(bounds['maximum_version'])}"
    hint = _hint(error.reason, facts, host, proxied_port)
    text = errors.printable(  # the name of a server is of unknown origin
        f"tlsfloor: {problem}, which is {whose}; the context asked for {wanted}{hint}"
    )
    if error.args == (error.errno, error.strerror):  # else it is no error of Python's ssl
        whole = f"{error.strerror}; {text}"
        error.args, error.strerror = (error.errno, whole), whole
    _connections.note_ssl("failed", floor, "enforce", text=text, asked=wanted, **facts)


def _reason(
    reason: str, role: object, peer: str, context: Any, bounds: dict[str, int], floor: int
) -> str:
    """Return why a handshake failed because of the floor; empty if it failed otherwise."""
    at_or_above = [version for version in _FORBIDS if version >= floor]
    allowed = [version for version in at_or_above if _allows(context, version)]
    name = versions.name(floor)
    if reason == "NO_PROTOCOLS_AVAILABLE":  # found before anything was sent
        low = bounds["minimum_version"]
        below = [version for version in _FORBIDS if low <= version < floor]
        lost = not allowed and any(_allows(context, version) for version in below)
        return f"the context allows nothing at or above {name}" if lost else ""
    if role == "client" and reason == "UNSUPPORTED_PROTOCOL":
        # The server chose a version. It is below the floor, or one that the program forbids.
        gap = at_or_above[: len(allowed)] != allowed
        return "" if gap else f"{peer} chose a version below {name}"
    if role == "server" and reason != "UNSUPPORTED_PROTOCOL":
        return ""  # the client refuses something else than the floor
    if allowed == at_or_above:
        return f"{peer} offers nothing at or above {name}"
    # If the floor has raised the maximum too, the floor is the only version that is allowed.
    return f"{peer} does not offer {name}" if "maximum_version" in bounds else ""


def _allows(context: Any, version: int) -> bool:
    """Tell whether a context allows a version that is not below its minimum."""
    if version == TLS1_3 and not _ssl.HAS_TLSv1_3:
        return False
    return (
        not context.options & _FORBIDS[version]
        and not UNBOUNDED != context.maximum_version < version
    )


def _hint(reason: str, facts: dict[str, object], host: object, proxied_port: object) -> str:
    """Return which exemption has expired, if one has, and what to do."""
    if reason == "NO_PROTOCOLS_AVAILABLE":
        return "; hint: do not set its options OP_NO_TLSv1_2 and OP_NO_TLSv1_3"
    if facts["role"] == "server":
        what = "set TLSFLOOR_EVENTS and run tlsfloor report to list all such clients"
        return f"; hint: update that client; {what}"
    port = facts.get("port")
    check = f"tlsfloor check {_host_and_port(host, proxied_port or port or 'PORT')}"
    if not host or any(file["floor"] for file in current.files):  # no exemption applies to that
        return f"; hint: {check}"
    path = (current.environment or {}).get("TLSFLOOR_EXEMPTIONS")
    path = path or "the file that TLSFLOOR_EXEMPTIONS names"
    found = exemptions.exemption_for(
        facts["server_name"], facts.get("peer"), port if isinstance(port, int) else None
    )
    if found is not None and found.days_left() < 0:
        expired = f"; the exemption of {found.host} expired on {found.expires}"
        return f"{expired}; hint: {check}, or renew that exemption in {path}"
    # With a proxy, an exemption is compared with the port of the proxy.
    entry = f"host {host}" + (f", port {port}," if port and not proxied_port else "")
    return f"; hint: {check}, or exempt {entry} in {path}"


def _host_and_port(host: object, port: object) -> str:
    """Return a host and its port in the form that ``tlsfloor check`` accepts."""
    text = str(host or "HOST")
    text = f"[{text}]" if ":" in text else text
    return f"{text}:{port}" if port else text


def _proxied_port(host: object, frame: FrameType | None) -> object:
    """Return the port of a host that is reached through a proxy, if a client of HTTP knows it.

    These are ``http.client`` (for urllib3, requests, botocore) and httpcore (for httpx). Only their
    frames are read: on Python 3.12 and older ``f_locals`` keeps the objects of a frame alive, and
    some programs rely on the closing of a socket that nothing refers to.
    """
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        names = frame.f_code.co_names
        if "_tunnel_host" in names or "_remote_origin" in names:
            client = frame.f_locals.get("self")
            origin: Any = getattr(client, "_remote_origin", None)
            if origin is not None and origin.host.decode() == host:
                return origin.port
            if host and getattr(client, "_tunnel_host", None) == host:
                return getattr(client, "_tunnel_port", None)
        frame = frame.f_back
    return None


def warn_of_server(error: Exception, owner: Any) -> None:
    """Print once that a server refuses every client, because its context is refused.

    In a client the error is raised to the program. In a server it is raised at each accept, where
    ``socketserver`` and asyncio, and so most servers, treat it as a fault of the client.
    """
    if not current.is_internal():
        # asyncio closes a connection when nothing refers to it any more. So no frame may have the
        # error that is raised in a variable: a cycle would keep frame and connection alive.
        events.call_safely("stderr", _warn_of_server, str(error), owner, sys._getframe(2))


def _warn_of_server(text: str, owner: Any, caller: FrameType) -> None:
    _, own = _connections.socket_addresses(owner, caller)
    port = own[1] if own else None
    if port not in _reported:
        _reported.add(port)
        where = f"the server at {_host_and_port(*own[:2])}" if own else "a server"
        why = text.partition("tlsfloor: ")[2]
        errors.say(f"tlsfloor: error: {where} refuses every client: {why}")
