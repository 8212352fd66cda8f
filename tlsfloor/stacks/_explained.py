"""What is said of a connection of ``ssl`` that fails because of the floor.

The sentence is a part of the error's own text, behind what OpenSSL says. requests, urllib3, httpx,
aiohttp, botocore and redis-py copy the text of an error into one of theirs (``str(error)``,
``error.strerror``, ``error.args``), and none of them its notes: a log shows the text and no note.
Class, ``errno``, ``reason``, ``library`` and the beginning of the text stay what they are, since
programs compare these. They also search the text ("timed out", "wrong version number", "unexpected
eof", "certificate verify failed"), so the sentence has no such words. And it has no quotation
mark and no end of line, which would be escaped where an error is shown by its ``repr()``.

The floor is named only where it is the reason, which needs two things: the floor has raised the
context; and no version at or above the floor is left that the peer may want and the program itself
forbids, by a maximum or an option.
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

# The options that forbid a version, whatever the bounds are.
_FORBIDS = {
    TLS1_0: _ssl.OP_NO_TLSv1,
    TLS1_1: _ssl.OP_NO_TLSv1_1,
    TLS1_2: _ssl.OP_NO_TLSv1_2,
    TLS1_3: getattr(_ssl, "OP_NO_TLSv1_3", 0),
}

# How many frames away from a handshake the client is that knows of a proxy.
_NEAR = 12

# The ports whose servers refuse everybody, which was said.
_refusing: set[object] = set()


def explain(error: Any, holder: Any, caller: FrameType) -> None:
    """Say in the error of a handshake that the floor is the reason, if it is."""
    floor = getattr(holder, _connections.EXEMPT, current.held)
    context = holder._sslobj.context
    bounds = asked(context)
    low = bounds.get("minimum_version", floor)
    if low >= floor:
        return
    about = _connections.ends(holder._sslobj, holder, caller)
    host = about["server_name"] or about.get("peer")
    tunnel = _tunnelled(host, caller)
    who = _where(host, tunnel or about.get("port"))
    if about["role"] == "server":
        who = f"the client at {about['peer']}" if about.get("peer") else "the client"
    problem = _problem(error.reason, about["role"], who, context, bounds, floor)
    if not problem:
        return
    whose = f"the floor of this process, set by {current.set_by}"
    if floor < current.held:
        whose = f"as low as an exemption goes below {versions.name(current.held)}, {whose}"
    wanted = versions.bound_name(low)
    if "maximum_version" in bounds:
        wanted += f" to {versions.name(bounds['maximum_version'])}"
    hint = _hint(error.reason, about, host, tunnel)
    text = errors.printable(  # a server may have any name
        f"tlsfloor: {problem}, which is {whose}; the context asked for {wanted}{hint}"
    )
    if error.args == (error.errno, error.strerror):  # else it is no error of Python's ssl
        said = f"{error.strerror}; {text}"
        error.args, error.strerror = (error.errno, said), said
    _connections.tell("failed", floor, "enforce", text=text, asked=wanted, **about)


def _problem(
    reason: str, role: object, who: str, context: Any, bounds: dict[str, int], floor: int
) -> str:
    """Return why a handshake failed, if it is because of the floor; else nothing."""
    at_or_above = [version for version in _FORBIDS if version >= floor]
    allowed = [version for version in at_or_above if _allows(context, version)]
    name = versions.name(floor)
    if reason == "NO_PROTOCOLS_AVAILABLE":  # found before anything was sent
        low = bounds["minimum_version"]
        below = [version for version in _FORBIDS if low <= version < floor]
        lost = not allowed and any(_allows(context, version) for version in below)
        return f"the context allows nothing at or above {name}" if lost else ""
    if role == "client" and reason == "UNSUPPORTED_PROTOCOL":
        # The server answers with a version. It is below the floor, or in a gap of what is allowed.
        gap = at_or_above[: len(allowed)] != allowed
        return "" if gap else f"{who} chose a version below {name}"
    if role == "server" and reason != "UNSUPPORTED_PROTOCOL":
        return ""  # it is not the floor that the client refuses
    if allowed == at_or_above:
        return f"{who} offers nothing at or above {name}"
    # The floor is all that is left where it has raised a maximum, too.
    return f"{who} does not offer {name}" if "maximum_version" in bounds else ""


def _allows(context: Any, version: int) -> bool:
    """Tell whether a context lets a version be spoken that its minimum allows."""
    if version == TLS1_3 and not _ssl.HAS_TLSv1_3:
        return False
    return (
        not context.options & _FORBIDS[version]
        and not UNBOUNDED != context.maximum_version < version
    )


def _hint(reason: str, about: dict[str, object], host: object, tunnel: object) -> str:
    """Return what to do about it, and before that which exemption has expired."""
    if reason == "NO_PROTOCOLS_AVAILABLE":
        return "; hint: do not set its options OP_NO_TLSv1_2 and OP_NO_TLSv1_3"
    if about["role"] == "server":
        return "; hint: update that client; TLSFLOOR_EVENTS and tlsfloor report list them all"
    port = about.get("port")
    check = f"tlsfloor check {_where(host, tunnel or port or 'PORT')}"
    if not host or any(file["floor"] for file in current.files):  # nothing is exempted from that
        return f"; hint: {check}"
    path = (current.environment or {}).get("TLSFLOOR_EXEMPTIONS")
    path = path or "the file that TLSFLOOR_EXEMPTIONS names"
    found = exemptions.find(
        about["server_name"], about.get("peer"), port if isinstance(port, int) else None
    )
    if found is not None and found.days_left() < 0:
        expired = f"; the exemption of {found.host} expired on {found.expires}"
        return f"{expired}; hint: {check}, or renew that exemption in {path}"
    # Behind a proxy the port that an exemption is compared with is the proxy's.
    entry = f"host {host}" + (f", port {port}," if port and not tunnel else "")
    return f"; hint: {check}, or exempt {entry} in {path}"


def _where(host: object, port: object) -> str:
    """Return a host and its port as ``tlsfloor check`` takes them."""
    text = str(host or "HOST")
    text = f"[{text}]" if ":" in text else text
    return f"{text}:{port}" if port else text


def _tunnelled(host: object, frame: FrameType | None) -> object:
    """Return the port of a host that is reached through a proxy, where that is known.

    ``http.client``, and so urllib3, requests and botocore, knows it, and httpcore, and so httpx.
    Only their frames are looked into: on Python 3.12 and older a frame keeps alive what was seen in
    it (``f_locals``), and some programs rely on it that a socket is closed when they let it go.
    """
    for _ in range(_NEAR):
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
    """Say once that a server refuses every client, for its context is refused.

    A client gets the error. A server gets it at each accept, where ``socketserver`` and asyncio,
    and with them most servers, take it for a fault of the client, which they drop.
    """
    if not current.is_internal():
        # asyncio closes the connection only when nobody refers to it any more. So no frame may have
        # the error that is raised in a variable: they would keep each other, and the connection.
        events.protected("stderr", _warn_of_server, str(error), owner, sys._getframe(2))


def _warn_of_server(text: str, owner: Any, caller: FrameType) -> None:
    _, own = _connections.addresses(owner, caller)
    port = own[1] if own else None
    if port not in _refusing:
        _refusing.add(port)
        where = f"the server at {_where(*own[:2])}" if own else "a server"
        why = text.partition("tlsfloor: ")[2]
        errors.say(f"tlsfloor: error: {where} refuses every client: {why}")
