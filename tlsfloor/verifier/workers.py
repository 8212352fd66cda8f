"""Call functions in other processes, several at a time, and survive the end of such a process.

Peers compute in Python, so threads would wait for one lock. Not ``multiprocessing``: it imports the
main module of the caller again, and ``concurrent.futures`` gives up all calls if one process ends.

A worker is a Python without start-up files, so it has no floor, and a session of its own, so Ctrl-C
does not reach it. It reads calls from stdin. When that ends, for whatever reason its caller is
gone, it kills what it has started and ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading

from tlsfloor.verifier import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Callable

# A bootstrap folder may be on the path: that it was not run is meant, and no problem to report.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; sys._tlsfloor = {{}}; "
    "from {module} import serve; serve()"
)

# Seconds for a worker to end after its stdin.
_GRACE = 10.0


class WorkerEndedError(Exception):
    """A worker ended before it answered. The text says how."""


class Workers:
    """Calls functions, up to ``count`` at a time: in processes, if there are several.

    The threads that call wait for the answer.
    """

    def __init__(self, count: int) -> None:
        self._idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        self._running: set[_Worker] = set()
        self._stopped = False
        self._in_process = count == 1 or not sys.executable or bool(getattr(sys, "frozen", False))
        for _ in range(count):
            self._idle.put(None)

    def call(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """Call a function, which is one of a module, and return its result.

        Raises:
            WorkerEndedError: the process ended before.
        """
        if self._in_process:
            return function(*args, **more)
        worker = self._idle.get()
        try:
            if worker is None:
                worker = _Worker()
                self._running.add(worker)
            if self._stopped:
                worker.stop()
            return worker.call(function, args, more)
        except WorkerEndedError:
            if worker:
                self._running.discard(worker)
            worker = None
            raise
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """End all that was started. Who waits for an answer gets an error."""
        self._stopped = True
        if self._in_process:
            child.stop_all()
        for worker in tuple(self._running):
            worker.stop()


class _Worker:
    """A process that answers one call after the other."""

    def __init__(self) -> None:
        path = [os.path.abspath(entry) for entry in sys.path]
        utf8 = ["-X", "utf8"] if sys.flags.utf8_mode else []
        command = [sys.executable, "-I", "-S", *utf8, "-c", _PROGRAM.format(module=__name__), *path]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this Python
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # on Windows
            )
        except OSError as error:
            raise WorkerEndedError(f"not started: {error.strerror}") from None

    def call(self, function: Callable[..., Any], args: Any, more: Any) -> Any:
        """Call a function in the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((function, args, more), self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)  # noqa: S301 - our own process
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):  # ValueError: it is closed
            self.stop()
            raise WorkerEndedError(child.end_of(self._process.returncode)) from None

    def stop(self) -> None:
        """End the process, and what it has started."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it does not read any more
            self._process.stdin.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        child.stop_started_by(self._process.pid)


def serve() -> None:
    """Answer calls from stdin on stdout, until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed by mistake is no answer
    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, calls), daemon=True).start()
    while True:
        function, args, more = calls.get()
        answer = function(*args, **more)
        # Nobody reads it if what asked was killed. Then _read() is about to end this process.
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(answer, answers)
            answers.flush()


def _read(requests: IO[bytes], calls: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            calls.put(pickle.load(requests))  # noqa: S301 - of the process that started this one
    child.stop_all()
    child.stop_started_by(os.getpid())  # also what left the group of its program
    os._exit(0)
