"""What few processes ask of the guard of ``ssl``: mode observe, arming late, and ``status()``.

``_connections.Unproven`` takes the place of each TLS object that is older than the floor and whose
handshake is not complete. One that another thread is just creating can be found only when its
holder has it, so ``catch_up()`` waits for that.
"""

from __future__ import annotations

import sys
import time

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks import _contexts
from tlsfloor.stacks._gates import instances
from tlsfloor.stacks.stdlib import add_gates, describe_replaced, gated, gates_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

# The methods in which a TLS object is born: the caller of one of them keeps the object.
_BIRTHS = frozenset({"_wrap_socket", "_wrap_bio"})

# How often to look whether other threads have left these methods, which takes them microseconds,
# and how many seconds to wait in between.
_LOOKS = 200
_PAUSE = 0.001


def observe(module: ModuleType) -> str:
    """Report what the floor would raise and refuse, and which handshakes are below it.

    Raises:
        GuardError: this OpenSSL could not be held to the floor.
    """
    native = module if module.__name__ != "ssl" else sys.modules.get("_ssl")
    if native is not None:  # importing it here could block: the lock of arm is held
        _contexts.check(current.observed)
    missing = add_gates(module, native)
    return f"not observed: {missing}" if missing else "observed"


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard of this ``ssl``, as text; empty if all of it is."""
    native: Any = sys.modules.get("_ssl")
    if native is None or native._SSLContext not in gated.values():
        return "the class of contexts in _ssl was replaced"
    for ours in gated.values():
        for name, gate in gates_of[ours].items():
            if vars(ours).get(name) is not gate:
                return f"_ssl._SSLContext.{name} was replaced"
        for cls in ours.__subclasses__():
            for name in sorted(_BIRTHS & vars(cls).keys()):
                return f"{cls.__module__}.{cls.__name__}.{name} was replaced"
    missing = "" if native is module else describe_replaced(module)
    if not missing:
        try:
            _contexts.check(current.held if current.is_held() else current.observed)
        except GuardError as error:
            return error.problem
    return missing


def catch_up() -> None:
    """Hold the TLS objects that are older than the floor and not open yet."""
    if not any(ours.__subclasses__() for ours in gated.values()):  # then there are none
        return
    for _ in range(_LOOKS):
        if not any(map(_is_in_birth, _other_frames())):
            break
        time.sleep(_PAUSE)
    found = _tls_objects()
    if found:
        from tlsfloor.stacks._connections import Unproven, is_open

        for holder, native in found:
            if not (isinstance(native, Unproven) or is_open(native)) and holder._sslobj is native:
                holder._sslobj = Unproven(native)


def below() -> list[str]:
    """Describe the open connections that are below the floor, which nothing can raise any more."""
    found = [(holder, native.version()) for holder, native in _tls_objects()]
    return [
        f"{version} connection: {holder!r}"
        for holder, version in found
        if version is not None and versions.OPENSSL_NAMES.get(version, 0) < current.held
    ]


def _other_frames() -> list[FrameType]:
    """Return the frame that each other thread is executing."""
    mine = sys._getframe()
    return [frame for frame in sys._current_frames().values() if frame is not mine]


def _is_in_birth(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_name != "do_handshake":  # which comes after it
        code = frame.f_code
        if code.co_name in _BIRTHS or not _BIRTHS.isdisjoint(code.co_names):
            return True
        frame = frame.f_back
    return False


def _tls_objects() -> list[tuple[Any, Any]]:
    """Return every SSLSocket and SSLObject that is alive, and its object of the C type."""
    kinds = set()
    classes = list(gated.values())
    while classes:  # gevent's class of contexts has its own class of sockets
        cls = classes.pop()
        classes += cls.__subclasses__()
        kinds |= {vars(cls).get("sslsocket_class"), vars(cls).get("sslobject_class")}
    holders = instances(kinds - {None}) if kinds - {None} else []
    found = [(holder, getattr(holder, "_sslobj", None)) for holder in holders]
    return [(holder, native) for holder, native in found if native is not None]
