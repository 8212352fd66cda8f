"""Run one foreign program, usually a Python, with limits on its time, its output and its children.

Nothing that the program does can harm the caller. If it hangs, prints without end or closes its
output, the caller gets the reason as a text. When it ends, everything that it started is killed:
its process group on every POSIX system, and on Linux also the processes that left the group. These
are found by a variable that they inherited in their environment.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from typing import IO, Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.environment import User

#: Bytes that are kept of stdout and of stderr. The facts that a probe prints are about 100 kB.
LIMIT = 16 * 2**20

# Seconds that the pipes of an ended program have to run dry. Another process may hold them open.
_GRACE = 2.0

# How often /proc is searched: a process can fork during the search.
_PASSES = 10

_MARK = "_TLSFLOOR_RUN"
_numbers = itertools.count()
_running: set[subprocess.Popen[bytes]] = set()


def run_program(
    command: list[str],
    timeout: float,
    *,
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
    folder: str | None = None,
    user: User | None = None,
) -> tuple[str, str]:
    """Run a command; return its output and the reason why it failed, one of them empty.

    By default the command gets the environment, the current folder and the user of this process.
    """
    mark = f"{os.getpid()}-{next(_numbers)}-"
    # Popen of Python 3.8 has no such arguments, and as_user() refuses that version.
    ids: Any = {"user": user.uid, "group": user.gid, "extra_groups": user.groups} if user else {}
    try:
        process = subprocess.Popen(  # noqa: S603 - starting foreign programs is its purpose
            command,
            bufsize=0,
            cwd=folder,
            env={**(os.environ if env is None else env), _MARK: mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a process group of its own, which ends with it
            **ids,
        )
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        return "", f"not started: {getattr(error, 'strerror', None) or error}"
    _running.add(process)
    output, errors = bytearray(), bytearray()
    readers = [
        threading.Thread(target=_capture, args=(process, stream, kept), daemon=True)
        for stream, kept in ((process.stdout, output), (process.stderr, errors))
    ]
    failure = ""
    try:
        for thread in (*readers, threading.Thread(target=_feed, args=(process.stdin, stdin))):
            thread.start()
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        failure = f"no answer within {timeout:g} s"
    finally:
        _kill(process)
        _kill_others(mark)
        process.wait()
        _running.discard(process)
    for reader in readers:
        reader.join(_GRACE)
    if max(len(output), len(errors)) > LIMIT:
        failure = f"printed more than {LIMIT // 2**20} MiB"
    elif not failure and any(reader.is_alive() for reader in readers):
        failure = "left a process running that holds its output open"
    elif not failure and process.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        failure = f"{end_of(process.returncode)}: {lines[-1][:500]}"
    return ("" if failure else output.decode("utf-8", "replace")), failure


def stop_all() -> None:
    """Kill every program that runs, in all threads. Its caller gets a reason for the failure."""
    for process in tuple(_running):
        _kill(process)


def stop_started_by(pid: int) -> None:
    """Kill every program that another process, which has ended, started by this module."""
    _kill_others(f"{pid}-")


def _feed(stream: IO[bytes], data: bytes) -> None:
    """Write all of the data, or as much as the program reads before it ends."""
    with contextlib.suppress(OSError), stream:
        while data:
            data = data[stream.write(data) :]


def _capture(process: subprocess.Popen[bytes], stream: IO[bytes], kept: bytearray) -> None:
    """Keep what a program prints, and kill the program when that is too much."""
    with stream:
        while len(kept) <= LIMIT:
            chunk = stream.read(2**16)
            if not chunk:
                return
            kept += chunk
    _kill(process)


def end_of(status: int) -> str:
    """Return in words how a process ended."""
    signals = {-number: f"ended by {number.name}" for number in signal.Signals}
    return signals.get(status, f"ended with status {status}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "win32":
        # There is no such group any more; or it consists of zombies, for which macOS raises
        # PermissionError.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _kill_others(mark: str) -> None:
    """Kill the processes whose mark begins so: they left their group. This needs /proc."""
    if sys.platform == "win32":
        return
    wanted = f"\0{_MARK}={mark}".encode()
    for _ in range(_PASSES if os.path.isdir("/proc/self") else 0):
        killed = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            # The process has ended, or belongs to another user and so was not started here.
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
                    started_here = wanted in b"\0" + file.read()
                if started_here:
                    os.kill(int(pid), signal.SIGKILL)
                    killed += 1
        if not killed:
            return
