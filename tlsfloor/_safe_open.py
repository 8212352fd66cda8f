"""Opens the files that the operator names, in processes of any user: safely and without blocking.

In a folder that everyone may write, any user can place a link: ``/tmp/events.jsonl`` could lead to
a file of the user who runs the program. The same holds for a folder below it, and for each link in
that. Linux refuses most of them if ``fs.protected_symlinks`` is set; other systems and containers
may not. So the folders of a path are opened one after the other (openat(2)), and nobody can replace
one in between.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

# The kernel's own limit (Linux: MAXSYMLINKS).
_MAX_LINKS = 40

_SAFE = {"O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"}
_WALK = {"O_PATH", "O_SEARCH", "O_DIRECTORY", "O_CLOEXEC"}

# Constants that Python may lack: PyPy has no O_PATH (Linux, include/uapi/asm-generic/fcntl.h).
# Without it, the walk could only pass folders that the user may list.
_UNNAMED = {"O_PATH": 0o10000000} if sys.platform == "linux" else {}


def open_nonblocking(path: str, flags: int) -> int:
    """Return a descriptor of a file. A pipe without a reader is an error, and does not block.

    Raises:
        OSError: the file cannot be opened, or a link in a folder that everyone may write leads to
            it.
    """
    flags |= _flags(_SAFE)
    if os.open not in os.supports_dir_fd:  # Windows, where links need a privilege
        return os.open(path, flags, 0o644)
    try:
        return _walk(path, flags)
    except OSError as error:
        error.filename = path
        raise


def _walk(path: str, flags: int) -> int:
    if sys.platform == "win32":
        raise NotImplementedError  # it has no openat()
    names, links, untrusted = _parts(path), 0, False
    folder = os.open("/" if path.startswith("/") else ".", _flags(_WALK))
    try:
        while links < _MAX_LINKS:
            name = names.pop()
            follow = 0 if _is_proc(folder) else os.O_NOFOLLOW
            target = _link_target(name, folder) if follow else ""
            if target:
                if untrusted or everyone_may_write(folder):
                    text = "a link below a folder that everyone may write is not followed"
                    raise PermissionError(errno.EACCES, text)
                links += 1
                names += _parts(target)
                if not target.startswith("/"):
                    continue
                below = os.open("/", _flags(_WALK))
                untrusted = False
            elif names:
                below = os.open(name, _flags(_WALK) | follow, dir_fd=folder)
                untrusted = untrusted or everyone_may_replace(folder, os.fstat(below).st_uid)
            else:
                return os.open(name, flags | follow, 0o644, dir_fd=folder)
            os.close(folder)
            folder = below
    finally:
        os.close(folder)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _parts(path: str) -> list[str]:
    """Return the parts of a path, the last one first."""
    return [part for part in path.split("/") if part][::-1] or ["."]


def _link_target(name: str, folder: int) -> str:
    """Return the target of a link, or an empty text for anything else."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:  # it is another kind of file, or does not exist
        return ""


def _is_proc(folder: int) -> bool:
    # The links of /proc/self/fd, to which /dev/stdout leads, have no path that could be followed.
    try:
        return os.fstat(folder).st_dev == os.stat("/proc/self").st_dev
    except OSError:  # this system has no /proc
        return False


def everyone_may_write(folder: int | str) -> bool:
    """Tell whether every user may write to a file or folder."""
    # The folder that Kubernetes makes of a ConfigMap has such a mode, is full of links, and is
    # mounted read-only.
    return bool(
        sys.platform != "win32"
        and os.stat(folder).st_mode & stat.S_IWOTH
        and not os.statvfs(folder).f_flag & getattr(os, "ST_RDONLY", 1)  # PyPy lacks the name
    )


def everyone_may_replace(folder: int | str, owner: int) -> bool:
    """Tell whether every user may replace what is in a folder and belongs to ``owner``.

    In a sticky folder such as ``/tmp`` nobody else can replace what belongs to us, or to root.
    """
    return (
        sys.platform != "win32"
        and everyone_may_write(folder)
        and not (os.stat(folder).st_mode & stat.S_ISVTX and owner in (0, os.geteuid()))
    )


def write_nonblocking(descriptor: int, data: bytes) -> int:
    """Write as much as a file, pipe or socket takes without blocking; return how many bytes.

    The descriptor may be shared with other processes, so it is not set to non-blocking.

    Raises:
        OSError: it takes nothing.
    """
    if sys.platform == "win32" or stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.write(descriptor, data)
    import select

    size = select.PIPE_BUF  # what is ready takes so many bytes (POSIX: write(), {PIPE_BUF})
    if os.isatty(descriptor):
        try:
            return _write_to_terminal(descriptor, data)
        except BlockingIOError:
            raise
        except OSError:  # it cannot be opened again, for example after su
            size = 1  # it is ready for one byte (Linux, drivers/tty/n_tty.c, n_tty_poll())
    written = 0
    while written < len(data) and select.select((), (descriptor,), (), 0)[1]:
        written += os.write(descriptor, data[written : written + size])
    if not written:
        raise BlockingIOError(errno.EAGAIN, "it is full, and nobody reads it")
    return written


def _write_to_terminal(descriptor: int, data: bytes) -> int:
    """Write to a terminal that may be stopped: open it again, as non-blocking."""
    if sys.platform == "win32":
        raise NotImplementedError  # it has no such names
    name = f"/proc/self/fd/{descriptor}"  # also for a terminal that has no name in this container
    name = name if os.path.exists(name) else os.ttyname(descriptor)
    again = os.open(name, os.O_WRONLY | _flags(_SAFE))
    try:
        return os.write(again, data)
    finally:
        os.close(again)


def _flags(names: set[str]) -> int:
    """Return the flags of these names that this system has."""
    flags = 0
    for name in names:
        flags |= getattr(os, name, _UNNAMED.get(name, 0))
    return flags
