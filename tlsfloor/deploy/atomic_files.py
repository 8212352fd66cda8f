"""Write, copy, compare and remove what is deployed: files, and the package as a whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile

import tlsfloor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def write_atomically(path: str, text: str | Iterable[str]) -> None:
    """Write a file, from a text or its parts.

    Until it is completely on the disk, what was there before stays.

    A link stays a link. Something that is not a regular file, such as a pipe or ``/dev/null``, is
    written to directly.

    Raises:
        OSError: the file cannot be written; nothing has changed.
    """
    path = os.path.realpath(path)
    parts = (text,) if isinstance(text, str) else text
    mode = None
    if os.path.exists(path):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(parts)
            return
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:64]}.{secrets.token_hex(4)}")
    try:
        # Not by tempfile, which ignores the umask.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "w", encoding="utf-8") as file:
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if os.name == "posix":  # the new name has to reach the disk too
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(parent: str, prefix: str) -> str:
    """Return the path of a new folder that everybody can read, as mkdtemp's is not."""
    folder = tempfile.mkdtemp(prefix=prefix, dir=parent)
    os.chmod(folder, 0o755)  # noqa: S103 - see above
    return folder


def package_folder() -> str:
    """Return the folder of the package that is running."""
    return os.path.dirname(os.path.abspath(tlsfloor.__file__))


def copy_package(parent: str) -> str:
    """Copy the package that is running into a folder, without bytecode; return its new folder."""
    copy = os.path.join(parent, "tlsfloor")
    no_bytecode = shutil.ignore_patterns("__pycache__", "*.py[co]")
    return str(shutil.copytree(package_folder(), copy, ignore=no_bytecode))


def read_files(folder: str) -> dict[str, bytes]:
    """Return the files in a folder and below: relative path -> content."""
    files = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, folder)] = file.read()
    return files


def remove(path: str) -> None:
    """Remove a file, a link or a folder with all that is in it."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
