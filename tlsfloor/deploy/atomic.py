"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat


def write(path: str, text: str) -> None:
    """Write a file whole or not at all: what was there stays until the new one is on the disk.

    What is no regular file (a pipe, ``/dev/null``) is written to as it is.

    Raises:
        OSError: it cannot be written; nothing has changed.

    .. versionadded:: 0.1
    """
    path = os.path.realpath(path)  # of a link, what it points to
    mode = 0o666
    if os.path.exists(path):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return
    folder, name = os.path.split(path)
    fresh = os.path.join(folder, f".{name[:64]}.{secrets.token_hex(4)}")
    try:
        # The umask has its say.
        opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(opened, "w", encoding="utf-8") as file:
            if mode != 0o666:
                os.chmod(fresh, stat.S_IMODE(mode))
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        raise
    if os.name == "posix":  # the name is on the disk too
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
