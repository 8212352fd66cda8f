"""Runs one foreign program within bounds: of time, of what it prints, of what it leaves behind.

Nothing that it does can harm the caller: one that hangs, prints without end, or closes its output
comes to a reason. What it started is ended with it: its process group at once, and on Linux
whatever left the group too, which is known by a variable that it was born with.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
from typing import IO, Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.surroundings import User

#: Bytes that are kept of each of stdout and stderr: the facts of a probe are some 100 kB.
LIMIT = 16 * 2**20

# Seconds in which an ended program's pipes run dry, unless something else holds them.
_GRACE = 2.0

# Times that /proc is searched: a program can fork while it is looked for.
_PASSES = 10

_BIRTHMARK = "_TLSFLOOR_RUN"
_numbers = itertools.count()
_running: set[subprocess.Popen[bytes]] = set()


class _Capture(threading.Thread):
    """Keeps what a program prints, and ends it when that is too much."""

    def __init__(self, process: subprocess.Popen[bytes], stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.kept = bytearray()
        self.over = False
        self._process = process
        self._stream = stream
        self.start()

    def run(self) -> None:
        with self._stream:
            while True:
                chunk = self._stream.read(2**16)
                if not chunk:
                    return
                if len(self.kept) + len(chunk) > LIMIT:
                    self.over = True
                    _end(self._process)
                    return
                self.kept += chunk


def run(
    command: list[str],
    env: dict[str, str],
    stdin: str,
    timeout: float,
    *,
    folder: str | None = None,
    user: User | None = None,
) -> tuple[str, str]:
    """Run a command with a file as its stdin; return what it printed, and why it failed, if it did.

    It runs in a ``folder`` and as a ``user``, if they are not this process's.

    .. versionadded:: 0.1
    """
    mark = f"{os.getpid()}-{next(_numbers)}"
    # Not in Python 3.8's Popen, where nobody has a user for it.
    ids: Any = {"user": user.uid, "group": user.gid, "extra_groups": user.groups} if user else {}
    try:
        with open(stdin, "rb") as file:
            process = subprocess.Popen(  # noqa: S603 - to start what it is told is what it is for
                command,
                bufsize=0,
                cwd=folder,
                env={**env, _BIRTHMARK: mark},
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A group of its own, so that what it starts ends with it.
                start_new_session=True,
                **ids,
            )
    except (OSError, ValueError) as error:  # ValueError: a null in its name
        return "", f"it cannot be started: {error}"
    _running.add(process)
    assert process.stdout
    assert process.stderr
    output, errors = (_Capture(process, stream) for stream in (process.stdout, process.stderr))
    failure = ""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        failure = f"no answer within {timeout:g} s"
    finally:
        _end(process)
        _end_others(mark)
        process.wait()
        _running.discard(process)
    output.join(_GRACE)
    errors.join(_GRACE)
    if output.over or errors.over:
        return "", f"it printed more than {LIMIT // 2**20} MiB"
    if not failure and (output.is_alive() or errors.is_alive()):
        failure = "it left something running that holds its output open"
    if not failure and process.returncode:
        last = errors.kept.decode("utf-8", "replace").strip().splitlines()[-1:] or [
            "it said nothing"
        ]
        failure = f"{_how(process.returncode)}: {last[0][:500]}"
    return ("" if failure else output.kept.decode("utf-8", "replace")), failure


def stop() -> None:
    """End every program that is running, in whatever thread; each comes to its reason there.

    .. versionadded:: 0.1
    """
    for process in tuple(_running):
        _end(process)


def _how(status: int) -> str:
    if status > 0:
        return f"it ended with status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        # No such group: it is gone, which was wanted. No permission: macOS says so of a group of
        # zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _end_others(mark: str) -> None:
    """End what was born of a program and has left its group; without /proc nobody knows."""
    wanted = f"{_BIRTHMARK}={mark}".encode()
    for _ in range(_PASSES if os.path.isdir("/proc/self") else 0):
        ended = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            # It is gone, or somebody else's: then it was not born here.
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/environ", "rb") as file:
                    born_here = wanted in file.read().split(b"\0")
                if born_here:
                    os.kill(int(pid), signal.SIGKILL)
                    ended += 1
        if not ended:
            return
