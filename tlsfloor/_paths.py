"""Opens the files that the operator names, in processes of any user: without waiting, and safely.

Where everyone may write, a link may be anybody's: ``/tmp/events.jsonl`` that leads to a file of
whoever runs the program. So may a folder there, and each link in it. Linux refuses most of them
where ``fs.protected_symlinks`` is set; other systems and containers may not. So the folders of a
path are opened one after the other (openat(2)), and nobody can change one in between.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

# As in the kernels (Linux: MAXSYMLINKS).
_MOST_LINKS = 40

_SAFE = {"O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"}
_WALK = {"O_PATH", "O_SEARCH", "O_DIRECTORY", "O_CLOEXEC"}

# What Python has no name for: PyPy has none for that of Linux (include/uapi/asm-generic/fcntl.h).
# Without it a folder could only be passed by who may also list it.
_UNNAMED = {"O_PATH": 0o10000000} if sys.platform == "linux" else {}


def open_now(path: str, flags: int) -> int:
    """Return a descriptor of a file; a pipe that nobody reads is an error, and not waited for.

    Raises:
        OSError: it cannot be opened, or a link leads to it from a folder that everyone may write.

    .. versionadded:: 0.2
    """
    flags |= _flags(_SAFE)
    if os.open not in os.supports_dir_fd:  # Windows, where nobody makes links without a privilege
        return os.open(path, flags, 0o644)
    try:
        return _walk(path, flags)
    except OSError as error:
        error.filename = path
        raise


def _walk(path: str, flags: int) -> int:
    names, links, anybodys = _names(path), 0, False
    folder = os.open("/" if path.startswith("/") else ".", _flags(_WALK))
    try:
        while links < _MOST_LINKS:
            name = names.pop()
            follow = 0 if _is_proc(folder) else os.O_NOFOLLOW
            target = _target(name, folder) if follow else ""
            if target:
                if anybodys or everyone_may_write(folder):
                    text = "a link below a folder that everyone may write is not followed"
                    raise PermissionError(errno.EACCES, text)
                links += 1
                names += _names(target)
                if not target.startswith("/"):
                    continue
                below = os.open("/", _flags(_WALK))
                anybodys = False
            elif names:
                below = os.open(name, _flags(_WALK) | follow, dir_fd=folder)
                anybodys = anybodys or everyone_may_replace(folder, os.fstat(below).st_uid)
            else:
                return os.open(name, flags | follow, 0o644, dir_fd=folder)
            os.close(folder)
            folder = below
    finally:
        os.close(folder)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _names(path: str) -> list[str]:
    """Return the parts of a path, the last one first."""
    return [each for each in path.split("/") if each][::-1] or ["."]


def _target(name: str, folder: int) -> str:
    """Return what a link leads to, empty where there is none."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:  # it is another kind of file, or is not there
        return ""


def _is_proc(folder: int) -> bool:
    # The links of /proc/self/fd, to which /dev/stdout leads, have no path to follow.
    try:
        return os.fstat(folder).st_dev == os.stat("/proc/self").st_dev
    except OSError:  # no such thing on this system
        return False


def everyone_may_write(folder: int | str) -> bool:
    """Tell whether everyone may write to a file or folder, or what is in it.

    .. versionadded:: 0.2
    """
    # What Kubernetes makes of a ConfigMap is open to everyone, full of links, and read-only.
    return bool(
        os.name == "posix"
        and os.stat(folder).st_mode & stat.S_IWOTH
        and not os.statvfs(folder).f_flag & getattr(os, "ST_RDONLY", 1)  # PyPy has no name for it
    )


def everyone_may_replace(folder: int | str, owner: int) -> bool:
    """Tell whether everyone may put something else in the place of what is in a folder.

    Where the folder is sticky, as ``/tmp`` is, nobody can do so with what is ours, or root's.

    .. versionadded:: 0.2
    """
    return everyone_may_write(folder) and not (
        os.stat(folder).st_mode & stat.S_ISVTX and owner in (0, os.geteuid())
    )


def write_now(descriptor: int, data: bytes) -> int:
    """Write what a file, pipe or socket takes without waiting; return how much that was.

    For one that is shared with others, so that it cannot be set to wait for nobody.

    Raises:
        OSError: it takes nothing.

    .. versionadded:: 0.2
    """
    if os.name != "posix" or stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.write(descriptor, data)
    import select

    most = select.PIPE_BUF  # what is ready takes so much (POSIX: write(), {PIPE_BUF})
    if os.isatty(descriptor):
        try:
            return _write_to_terminal(descriptor, data)
        except BlockingIOError:
            raise
        except OSError:  # it cannot be opened again, as after su
            most = 1  # it is ready for that (Linux, drivers/tty/n_tty.c, n_tty_poll())
    written = 0
    while written < len(data) and select.select((), (descriptor,), (), 0)[1]:
        written += os.write(descriptor, data[written : written + most])
    if not written:
        raise BlockingIOError(errno.EAGAIN, "it is full, and nobody reads it")
    return written


def _write_to_terminal(descriptor: int, data: bytes) -> int:
    """Write to a terminal that may be stopped: opened again, it can be set to wait for nobody."""
    name = f"/proc/self/fd/{descriptor}"  # also of a terminal that has no name in this container
    name = name if os.path.exists(name) else os.ttyname(descriptor)
    again = os.open(name, os.O_WRONLY | _flags(_SAFE))
    try:
        return os.write(again, data)
    finally:
        os.close(again)


def _flags(names: set[str]) -> int:
    """Return flags, as far as this system has them."""
    flags = 0
    for each in names:
        flags |= getattr(os, each, _UNNAMED.get(each, 0))
    return flags
