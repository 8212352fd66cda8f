"""Delivers what happened: to logging, callbacks, a file, OpenTelemetry.

Events with the same facts are counted together, so memory and output are bounded. The first of a
kind is delivered at once; then its count each time that it has doubled, with the first event after
a minute, and as the program ends. ``docs/reference/events.md`` explains the keys.

A sink that fails never fails the program: ``failures`` has the error, and the first failure of the
file is printed on stderr. Nothing is imported for a sink: a program that uses logging or
OpenTelemetry has imported it.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock, get_ident

from tlsfloor import floor as current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

    Sink = Callable[[dict[str, Any]], object]

SCHEMA = 1

#: So many different events are counted separately. Of any further ones, only these facts are kept.
MAX_COUNTERS = 1024
_ALWAYS = ("mode", "floor", "stack", "role", "version", "bound", "asked")

#: Seconds after which all counts are delivered, with the next event.
MAX_DELAY = 60

# The longest line that the report reads. It keeps 200 characters of a text.
_LONGEST = 64 * 1024

#: The last error of each sink: its name -> the error.
failures: dict[str, str] = {}

#: Called with each event, a dict of its own.
callbacks: list[Sink] = []

#: ``metrics`` sets these once the program has loaded OpenTelemetry's metrics: a function that
#: counts a handshake, and one that counts an event of another kind.
count_handshake: Callable[[int, str, object, Callable[[], dict[str, Any]]], None] | None = None
measure: Callable[[str, dict[str, Any]], None] | None = None

#: A file for JSON lines, or ``-`` for stderr; empty if there is none.
file = ""

#: Levels of logging. What the floor changed is less important than what it ended, or would end. A
#: default of Python that is below the floor is a detail, because nobody asked for it.
_LEVELS = {"armed": 20, "raised": 10, "clamped": 20, "handshake": 10, "exempted": 20}
_DEBUG, _WARNING = 10, 30

#: A ``"handshake"`` that is below a floor which is only observed.
BELOW_FLOOR = "handshake below the floor"

# The first keys of an event, in the order in which they are written.
_HEADER = ("schema", "time", "host", "pid", "program", "kind", "count")

# Kind and facts -> how often it happened, how often of that was delivered, kind, facts, last time.
_counts: dict[tuple[Any, ...], list[Any]] = {}
_lock = allocate_lock()
_last_delivery = 0.0
# The logger, once the program uses logging, and the events that could not be logged yet.
_cached_logger: Any = None
_waiting: list[dict[str, Any]] = []
# The threads, or greenlets, that are delivering an event: what they do meanwhile is no event.
_delivering: set[object] = set()


def _forget_parent() -> None:
    # The parent delivers what it has counted, and a lock may be held by a thread that is not here.
    global _lock
    _lock = allocate_lock()
    _counts.clear()
    _waiting.clear()
    _delivering.intersection_update({_actor()})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def has_sink() -> bool:
    """Tell whether any event may have a sink; in most programs none has."""
    loaded = sys.modules
    return bool("logging" in loaded or file or callbacks or measure is not None)


def is_wanted(kind: str) -> bool:
    """Tell whether an event of this kind would be delivered or counted in a metric."""
    return measure is not None or is_delivered(kind)


def is_delivered(kind: str) -> bool:
    """Tell whether an event of this kind would be delivered, and not only be counted."""
    if file or callbacks:
        return True
    if _cached_logger is None and "logging" not in sys.modules:
        return False
    logger = _logger()
    return logger is not None and bool(logger.isEnabledFor(_LEVELS.get(kind, _WARNING)))


def note(
    kind: str, more: Callable[[], dict[str, object]] | None = None, /, **facts: object
) -> None:
    """Deliver or count an event, with the line of the program that caused it.

    ``more`` returns facts that are expensive to find. No metric has them.
    """
    if current.is_internal() or _actor() in _delivering:
        return
    if measure is not None:
        call_safely("opentelemetry", measure, kind, facts)
    if not is_delivered(kind):
        return
    with Delivery():
        call_safely("events", _record, kind, more, facts, sys._getframe(1))


def _record(
    kind: str,
    more: Callable[[], dict[str, object]] | None,
    facts: dict[str, object],
    frame: FrameType,
) -> None:
    kind = "handshake" if kind == BELOW_FLOOR else kind
    facts.update(more() if more else {})
    plain = ((name, _plain(name, value)) for name, value in facts.items())
    known = {name: value for name, value in plain if value not in (None, "")}
    # "armed" has its own text for it, and a default of Python is the same at each line.
    if kind not in ("armed", "raised"):
        known.update(call_site(frame))
    for event in _count(kind, known):
        _deliver(event)


def _plain(name: str, value: object) -> object:
    # A program may hand over anything. An address of AF_VSOCK is two numbers of up to 32 bits.
    if name == "port":
        return value if isinstance(value, int) and 0 <= value < 2**16 else None
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None else str(value)


def call_safely(name: str, function: Callable[..., object], *args: Any) -> None:
    """Call a function whose errors must not reach the program; record an error in ``failures``."""
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - a sink can fail in any way
        if name == file != "-" and name not in failures:  # the operator expects events there
            why = getattr(error, "strerror", None) or error
            hint = "name a file in TLSFLOOR_EVENTS to which this process can append"
            from tlsfloor.errors import say

            say(f"tlsfloor: error: events cannot be written to {name}: {why}; hint: {hint}")
        failures[name] = f"{type(error).__name__}: {error}"


def flush() -> None:
    """Deliver all that was only counted until now."""
    with Delivery():
        with _lock:
            events = _undelivered()
        for event in events:
            _deliver(event)
        if _waiting:
            call_safely("logging", _log_waiting)


def _actor() -> object:
    """Return the greenlet that is running, or the thread: a callback may switch greenlets."""
    greenlet: Any = sys.modules.get("greenlet")
    return greenlet.getcurrent() if hasattr(greenlet, "getcurrent") else get_ident()


class Delivery:
    """A context in which what this thread does is no event, because tlsfloor itself does it."""

    def __enter__(self) -> None:
        actor = _actor()
        self._added = {actor} - _delivering
        _delivering.add(actor)

    def __exit__(self, *_error: object) -> None:
        _delivering.difference_update(self._added)


def call_site(frame: FrameType | None) -> dict[str, str]:
    """Return the lines of the program, and of an installed package, from which a frame was called.

    The keys are ``where`` and ``library``.
    """
    own, standard = os.path.dirname(__file__) + os.sep, os.path.dirname(os.__file__) + os.sep
    found: dict[str, str] = {}
    while frame is not None and "where" not in found:
        name = frame.f_code.co_filename
        packages = max(
            name.rfind(f"{os.sep}{folder}{os.sep}") for folder in ("site-packages", "dist-packages")
        )
        if name.startswith((own, "<frozen ")):
            pass
        elif packages >= 0:
            path = name[packages + len("/site-packages/") :]
            found.setdefault("library", f"{path}:{frame.f_lineno}")
        elif not name.startswith(standard):
            found["where"] = f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return found


def _count(kind: str, facts: dict[str, object]) -> list[dict[str, Any]]:
    """Count an event; return the events that are to be delivered now."""
    global _last_delivery
    now = time.time()
    key = (kind, *facts.items())
    with _lock:
        if key not in _counts and len(_counts) >= MAX_COUNTERS:
            facts = {name: facts[name] for name in _ALWAYS if name in facts}
            facts["text"] = f"one of more than {MAX_COUNTERS} different events"
            key = (kind, *facts.items())
        if not _counts and not _last_delivery:
            import atexit

            atexit.register(flush)
            _last_delivery = now
        counter = _counts.setdefault(key, [0, 0, kind, facts, now])
        counter[0] += 1
        counter[4] = now
        if now > _last_delivery + MAX_DELAY:
            _last_delivery = now
            return _undelivered()
        return [_event(counter)] if counter[0] >= 2 * counter[1] else []


def _undelivered() -> list[dict[str, Any]]:
    return [_event(counter) for counter in _counts.values() if counter[0] > counter[1]]


def _event(counter: list[Any]) -> dict[str, Any]:
    """Return what was counted as an event, and mark it as delivered."""
    count, delivered, kind, facts, last = counter
    counter[1] = count
    header = (SCHEMA, round(last, 3), _host(), os.getpid(), _program(), kind, count - delivered)
    return {**dict(zip(_HEADER, header)), **facts}


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _program() -> str:
    arguments = getattr(sys, "argv", None) or [""]  # there is none yet while start-up files run
    return str(arguments[0])


def _deliver(event: dict[str, Any]) -> None:
    sinks: list[tuple[str, Sink]] = [("logging", _log)]
    if file:
        sinks.append((file, _append))
    for name, sink in [*sinks, *((repr(callback), callback) for callback in callbacks)]:
        call_safely(name, sink, dict(event))


def _append(event: dict[str, Any]) -> None:
    """Append a line in one call, so that lines of many processes do not mix; never block."""
    import json

    from tlsfloor import _safe_open

    global _is_torn
    text = json.dumps(event)
    if len(text) >= _LONGEST:
        short = {key: fact[:200] if type(fact) is str else fact for key, fact in event.items()}
        text = json.dumps(short)
    line = (b"\n" if _is_torn else b"") + text.encode() + b"\n"
    if file == "-":
        if sys.__stderr__ is None:
            raise OSError("stderr is closed")
        # By its descriptor: another thread may hold the lock of the file object during a fork.
        written = _safe_open.write_nonblocking(sys.__stderr__.fileno(), line)
    else:
        # Opened for each event, because the file may be moved away, and a program may close
        # descriptors that it does not know. Few events are delivered.
        descriptor = _safe_open.open_nonblocking(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
    _is_torn = written < len(line)
    if _is_torn:
        raise OSError("only a part of a line could be written")


# Whether only a part of the last line was written: the next one must not continue it.
_is_torn = False


def _logger() -> Any:
    """Return the logger, or None if the program does not use logging."""
    global _cached_logger
    if _cached_logger is None:
        logging: Any = sys.modules.get("logging")
        if hasattr(logging, "getLogger"):  # else it is just being imported
            _cached_logger = logging.getLogger("tlsfloor")
    return _cached_logger


def _log(event: dict[str, Any]) -> None:
    """Log an event when no handler that gets it is busy; keep it until then.

    A handler that is busy may be waiting for the very connection that the event is about, as an
    HTTPHandler does: in this thread, where it would be called again, or in another one.
    """
    if _logger() is None:
        return
    with _lock:
        _waiting.append(event)
        del _waiting[:-MAX_COUNTERS]
    _log_waiting()


def _log_waiting() -> None:
    from tlsfloor.errors import printable

    logger = _logger()
    handlers = [*_handlers(logger)]
    if any(map(_is_busy, handlers)):
        return
    with _lock:
        # Without a handler, logging would write warnings to stderr (``logging.lastResort``), and a
        # handler of ours would change the logging of the program.
        events = _waiting[:] if handlers else []
        _waiting.clear()
    for event in events:
        facts = {name: value for name, value in event.items() if name not in _HEADER}
        # One line, whatever a server or a file is called.
        text = printable(", ".join(f"{name} {value}" for name, value in facts.items()))
        # These texts sort as the versions do: SSLv3, TLS 1.0, TLS 1.1 ...
        below = event.get("version", "TLS 9") < f"TLS {event.get('floor', '')}"
        level = _LEVELS.get(BELOW_FLOOR if below else event["kind"], _WARNING)
        if is_usual(event):
            level = _DEBUG
        extra: dict[str, Any] = {"tlsfloor": event}
        if any(type(handler).__module__.startswith("opentelemetry.") for handler in handlers):
            extra.update(_semantic(event))
        logger.log(level, "%s: %s (%d)", event["kind"], text, event["count"], extra=extra)


def is_usual(event: dict[str, Any]) -> bool:
    """Tell whether it is about the minimum of TLS 1.2 that libraries set (RFC 9325, 3.1.1)."""
    facts = (event["kind"], event.get("asked"), event.get("bound", "minimum"))
    return facts == ("clamped", "TLS 1.2", "minimum")


# The keys of an event -> the attributes of OpenTelemetry's semantic conventions that mean the same.
_SEMANTIC = {"server_name": "server.address", "port": "server.port", "peer": "network.peer.address"}


def _semantic(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as attributes for OpenTelemetry; its resource knows host and process."""
    from tlsfloor import versions

    known = {name: value for name, value in event.items() if name not in _HEADER[:5]}
    found = {_SEMANTIC.get(name, f"tlsfloor.{name}"): value for name, value in known.items()}
    if event["kind"] in ("refused", "failed", "discarded"):
        found["error.type"] = event["kind"]
    if event.get("role") == "client" and "peer" in event:
        found.setdefault("server.address", event["peer"])
    version = found.pop("tlsfloor.version", None)
    if version:
        names = ("tls.protocol.name", "tls.protocol.version")
        found.update(zip(names, versions.protocol(version)))
    return found


def _handlers(logger: Any) -> Iterator[Any]:
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _is_busy(handler: Any) -> bool:
    lock: Any = getattr(handler, "lock", None)
    if lock is None:
        return False
    if getattr(lock, "_is_owned", bool)():
        return True  # in this thread
    if not lock.acquire(blocking=False):
        return True
    lock.release()
    return False
