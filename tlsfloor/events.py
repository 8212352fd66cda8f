"""Hands what happened to whoever wants to know: logging, callbacks, a file, OpenTelemetry.

Like is counted with like, so that what is kept is bounded and what is written is little: the first
of a sort is told at once, and then its count each time that it has doubled, a minute later with
the next event, and as the program ends. ``docs/reference/events.md`` names the keys.

What a sink does never fails the program: ``failures`` has what went wrong, and of the file the
first failure is said on stderr. And nothing is imported for it: who uses logging or OpenTelemetry
has done so.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import _local, allocate_lock

from tlsfloor import floor as current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

SCHEMA = 1

#: So many sorts of events are told apart; of what comes then, only these facts.
MOST = 1024
_ALWAYS = ("mode", "floor", "stack", "role", "version")

#: Seconds after which all that was only counted is told, with the next event.
PATIENCE = 60

#: What went wrong with a sink, the last time: its name -> the error.
failures: dict[str, str] = {}

#: Called with each event, a dict of its own; what they raise is in ``failures``.
callbacks: list[Callable[[dict[str, Any]], object]] = []

#: A file for JSON lines, or ``-`` for stderr; empty where nobody wants one.
file = ""

#: Levels of logging: what the floor changed is worth less than what it ended, or would end; and
#: what nobody asked for, such as a default of Python below the floor, is for debugging.
_LEVELS = {"armed": 20, "raised": 10, "clamped": 20, "handshake": 10, "exempted": 20}
_DEBUG, _WARNING = 10, 30

#: What libraries ask for of their own accord (RFC 9325 section 3.1.1), so that it is no news that a
#: floor above it clamps it: for debugging.
_USUAL = "TLS 1.2"

#: A ``"handshake"`` that is below a floor which is only observed.
BELOW = "handshake below the floor"

# In this order they are written.
_ABOUT = ("schema", "time", "host", "pid", "program", "kind", "count")

# What was seen: kind and facts -> how often, how often it was told, the facts.
_seen: dict[tuple[Any, ...], list[Any]] = {}
_lock = allocate_lock()
_told_all = 0.0
# The logger, once the program uses logging, and what could not be logged yet.
_kept: Any = None
_unlogged: list[dict[str, Any]] = []
_own = _local()  # .busy: this thread is telling something, and what it does meanwhile is not told


def _forget() -> None:
    # What a parent has counted is its own to tell; and its lock may be held by nobody here.
    global _lock
    _lock = allocate_lock()
    _seen.clear()
    _unlogged.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def is_heard() -> bool:
    """Tell whether anybody may hear of any event at all, which is no in most programs."""
    loaded = sys.modules
    return bool("logging" in loaded or file or callbacks or "opentelemetry.metrics" in loaded)


def wanted(kind: str) -> bool:
    """Tell whether anybody would hear of an event of this kind.

    .. versionadded:: 0.1
    """
    return "opentelemetry.metrics" in sys.modules or _is_told(kind)


def _is_told(kind: str) -> bool:
    """Tell whether anybody would get the event itself, and not only have it counted."""
    if file or callbacks:
        return True
    if _kept is None and "logging" not in sys.modules:
        return False
    logger = _logger()
    return logger is not None and bool(logger.isEnabledFor(_LEVELS.get(kind, _WARNING)))


def note(
    kind: str, more: Callable[[], dict[str, object]] | None = None, /, **facts: object
) -> None:
    """Tell of an event, with the line that caused it, or count it.

    ``more`` returns facts that are dear to find, and that no counter has.

    .. versionadded:: 0.1
    """
    if current.is_internal() or getattr(_own, "busy", False) or not wanted(kind):
        return
    with Quiet():
        protected("events", _note, kind, more, facts, sys._getframe(1))


def _note(
    kind: str,
    more: Callable[[], dict[str, object]] | None,
    facts: dict[str, object],
    frame: FrameType,
) -> None:
    told = _is_told(kind)
    kind = "handshake" if kind == BELOW else kind
    protected("opentelemetry", _measure, kind, facts)
    if not told:
        return
    facts.update(more() if more else {})
    known = {name: value for name, value in facts.items() if value not in (None, "")}
    # A better word for it has what was armed; and a default of Python is the same at each line.
    if kind not in ("armed", "raised"):
        known.update(place(frame))
    for event in _counted(kind, known):
        _tell(event)


def protected(name: str, function: Callable[..., object], *args: Any) -> None:
    """Call a function whose failure is not the program's, and note it in ``failures``.

    .. versionadded:: 0.1
    """
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - it may fail in any way, and harms nobody
        if name == file != "-" and name not in failures:  # who set the variable waits for events
            why = getattr(error, "strerror", None) or error
            hint = "name a file in TLSFLOOR_EVENTS to which this process can append"
            from tlsfloor.errors import say

            say(f"tlsfloor: error: events cannot be written to {name}: {why}; hint: {hint}")
        failures[name] = f"{type(error).__name__}: {error}"


def flush() -> None:
    """Tell of all that was only counted until now.

    .. versionadded:: 0.1
    """
    with Quiet():
        for event in _uncounted():
            _tell(event)
        if _unlogged:
            protected("logging", _log_waiting)


class Quiet:
    """A context in which this thread's events are not told: what telling one does is our own."""

    def __enter__(self) -> None:
        self._before = getattr(_own, "busy", False)
        _own.busy = True

    def __exit__(self, *_error: object) -> None:
        _own.busy = self._before


def place(frame: FrameType | None) -> dict[str, str]:
    """Return the line of the program, and of an installed package, that a frame was called from."""
    own, standard = os.path.dirname(__file__) + os.sep, os.path.dirname(os.__file__) + os.sep
    found: dict[str, str] = {}
    while frame is not None and "where" not in found:
        name = frame.f_code.co_filename
        packages = max(
            name.rfind(f"{os.sep}{each}{os.sep}") for each in ("site-packages", "dist-packages")
        )
        if name.startswith((own, "<frozen ")):
            pass
        elif packages >= 0:
            found.setdefault(
                "library", f"{name[packages + len('/site-packages/') :]}:{frame.f_lineno}"
            )
        elif not name.startswith(standard):
            found["where"] = f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return found


def _counted(kind: str, facts: dict[str, object]) -> list[dict[str, Any]]:
    """Count an event; return what is to be told because of it."""
    global _told_all
    now = time.time()
    key = (kind, *facts.items())
    with _lock:
        if key not in _seen and len(_seen) >= MOST:
            facts = {name: facts[name] for name in _ALWAYS if name in facts}
            facts["text"] = f"of more than {MOST} sorts of events, which are not told apart"
            key = (kind, *facts.items())
        if not _seen and not _told_all:
            import atexit

            atexit.register(flush)
            _told_all = now
        seen = _seen.setdefault(key, [0, 0, kind, facts, now])
        seen[0] += 1
        seen[4] = now
        due = seen[0] >= 2 * seen[1]
        late = now > _told_all + PATIENCE
        if late:
            _told_all = now
        return [
            _event(each)
            for each in ([*_seen.values()] if late else [seen] if due else [])
            if each[0] > each[1]
        ]


def _uncounted() -> list[dict[str, Any]]:
    with _lock:
        return [_event(each) for each in _seen.values() if each[0] > each[1]]


def _event(seen: list[Any]) -> dict[str, Any]:
    """Return what was counted as an event, and count it as told."""
    count, told, kind, facts, last = seen
    seen[1] = count
    about = (SCHEMA, round(last, 3), _host(), os.getpid(), _program(), kind, count - told)
    return {**dict(zip(_ABOUT, about)), **facts}


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _program() -> str:
    words = getattr(sys, "argv", None) or [""]  # none yet, where a start-up file tells something
    return str(words[0])


def _tell(event: dict[str, Any]) -> None:
    sinks: list[tuple[str, Callable[[dict[str, Any]], object]]] = [("logging", _log)]
    if file:
        sinks.append((file, _write))
    for name, sink in [*sinks, *((repr(each), each) for each in callbacks)]:
        protected(name, sink, dict(event))


def _write(event: dict[str, Any]) -> None:
    """Append a line in one call, so that lines of many processes do not mix; wait for nobody."""
    import json

    from tlsfloor import _paths

    global _torn
    line = (b"\n" if _torn else b"") + json.dumps(event).encode() + b"\n"
    if file == "-":
        if sys.__stderr__ is None:
            raise OSError("stderr is closed")
        # Its descriptor: a thread may hold the lock of the file object as another one forks.
        written = _paths.write_now(sys.__stderr__.fileno(), line)
    else:
        # Opened anew for each: the file may be moved away, and a program may close what it does not
        # know. The few events that come at once are worth it.
        descriptor = _paths.open_now(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
    _torn = written < len(line)
    if _torn:
        raise OSError("only a part of a line could be written")


# The last line was written in part, so that the next one must not follow it directly.
_torn = False


def _logger() -> Any:
    """Return the logger, None where the program does not use logging."""
    global _kept
    if _kept is None:
        logging: Any = sys.modules.get("logging")
        if hasattr(logging, "getLogger"):  # else it is not there, or just being imported
            _kept = logging.getLogger("tlsfloor")
    return _kept


def _log(event: dict[str, Any]) -> None:
    """Log an event once all handlers that would get it are at rest, and until then let it wait.

    One that is at work may be waiting for the very connection that the event is about, as an
    HTTPHandler does: in this thread, where it would be called again, or in another one.
    """
    if _logger() is None:
        return
    with _lock:
        _unlogged.append(event)
        del _unlogged[:-MOST]
    _log_waiting()


def _log_waiting() -> None:
    from tlsfloor.errors import printable

    logger = _logger()
    handlers = [*_handlers(logger)]
    if any(map(_is_at_work, handlers)):
        return
    with _lock:
        # Without a handler logging would write warnings to stderr (``logging.lastResort``). And a
        # handler of our own would be a change of the program's logging.
        waiting = _unlogged[:] if handlers else []
        _unlogged.clear()
    for event in waiting:
        facts = {name: value for name, value in event.items() if name not in _ABOUT}
        # One line, whatever a server or a file is called.
        words = printable(", ".join(f"{name} {value}" for name, value in facts.items()))
        # In this order: SSLv3, TLS 1.0, TLS 1.1 ...
        below = event.get("version", "TLS 9") < f"TLS {event.get('floor', '')}"
        level = _LEVELS.get(BELOW if below else event["kind"], _WARNING)
        if event["kind"] == "clamped" and event.get("asked") == _USUAL:
            level = _DEBUG
        logger.log(
            level, "%s: %s (%d)", event["kind"], words, event["count"], extra={"tlsfloor": event}
        )


def _handlers(logger: Any) -> Iterator[Any]:
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _is_at_work(handler: Any) -> bool:
    lock: Any = getattr(handler, "lock", None)
    if lock is None:
        return False
    if getattr(lock, "_is_owned", bool)():
        return True  # by this thread
    if not lock.acquire(blocking=False):
        return True
    lock.release()
    return False


# OpenTelemetry's counters: kind of event -> the name of its counter.
_COUNTERS = {
    "handshake": "tlsfloor.handshakes",
    "raised": "tlsfloor.raises",
    "clamped": "tlsfloor.raises",
    "refused": "tlsfloor.refusals",
    "failed": "tlsfloor.refusals",
    "discarded": "tlsfloor.refusals",
}
_counters: dict[str, Any] = {}
_ATTRIBUTES = {"version": "tls.protocol.version", "role": "role", "stack": "stack", "mode": "mode"}


def _measure(kind: str, facts: dict[str, object]) -> None:
    """Count in OpenTelemetry's metrics, where the program or its agent has loaded them."""
    metrics: Any = sys.modules.get("opentelemetry.metrics")
    if kind not in _COUNTERS or not hasattr(metrics, "get_meter"):
        return
    name = _COUNTERS[kind]
    if name not in _counters:
        _counters[name] = metrics.get_meter("tlsfloor").create_counter(name, "1")
    attributes = {key: facts[fact] for fact, key in _ATTRIBUTES.items() if fact in facts}
    _counters[name].add(1, attributes)
