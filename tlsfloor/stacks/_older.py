"""TLS objects of ``ssl`` that are older than the floor, where it is armed late or is raised.

``connections.Unproven`` stands in for each that is not open yet. One that is just being born in
another thread can be found only when its holder has it, so that thread gets the time for this.
"""

from __future__ import annotations

import sys
import time

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._gates import instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

# The methods in which a TLS object is born: what calls one of them is what keeps the object.
_BIRTHS = frozenset({"_wrap_socket", "_wrap_bio"})

# How often to look whether other threads are done with that, which takes them some microseconds,
# and how many seconds to wait in between.
_LOOKS = 200
_PAUSE = 0.001


def catch_up(contexts: list[Any]) -> None:
    """Let ``Unproven`` stand in for what is not open; the classes of contexts are those above."""
    for _ in range(_LOOKS):
        if not any(_in_a_birth(frame) for frame in _others()):
            break
        time.sleep(_PAUSE)
    found = _tls_objects(contexts)
    if found:
        from tlsfloor.stacks._connections import Unproven, is_open

        for holder, real in found:
            if not isinstance(real, Unproven) and not is_open(real) and holder._sslobj is real:
                holder._sslobj = Unproven(real)


def below(contexts: list[Any]) -> list[str]:
    """Describe the open connections that are below the floor."""
    found = [(holder, real.version()) for holder, real in _tls_objects(contexts)]
    return [
        f"{version} connection: {holder!r}"
        for holder, version in found
        if version is not None and versions.OPENSSL_NAMES.get(version, 0) < current.held
    ]


def _others() -> list[FrameType]:
    """Return what each other thread is just executing."""
    mine = sys._getframe()
    frames = sys._current_frames()
    return [frame for frame in frames.values() if frame is not mine]


def _in_a_birth(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_name != "do_handshake":  # which comes after it
        code = frame.f_code
        if code.co_name in _BIRTHS or not _BIRTHS.isdisjoint(code.co_names):
            return True
        frame = frame.f_back
    return False


def _tls_objects(contexts: list[Any]) -> list[tuple[Any, Any]]:
    """Return every SSLSocket and SSLObject that is alive, and the object of the C type in it."""
    kinds = set()
    classes = list(contexts)
    while classes:  # gevent's class of contexts has a class of sockets of its own
        cls = classes.pop()
        classes += cls.__subclasses__()
        kinds |= {vars(cls).get("sslsocket_class"), vars(cls).get("sslobject_class")}
    things = instances(kinds - {None}) if kinds - {None} else []
    found = [(thing, getattr(thing, "_sslobj", None)) for thing in things]
    return [(holder, real) for holder, real in found if real is not None]
