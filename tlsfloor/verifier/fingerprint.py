"""Tell whether anything has changed that decides about an interpreter since it was tried.

The fingerprint is over the names, owners, modes, sizes, inodes and times of files: of all in the
folders where the interpreter finds modules, of the TLS libraries that it had loaded, of OpenSSL's
configuration with what it includes, and of files that variables name; and over these variables.
Here the times are enough: the file is the same one, and each change of it also changes its ctime.
There is no fingerprint if something changed while the interpreter was tried.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import Any

from tlsfloor.verifier.environment import PASSED, PASSED_BY_NAME, environment_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.environment import User
    from tlsfloor.verifier.find import Interpreter
    from tlsfloor.verifier.judge import LaunchResult

# Nanoseconds between a change and the ctime that the kernel gives it: its clock has ticks.
_TICK = 10**8

# A line of a configuration of OpenSSL that includes a file or a folder.
_INCLUDE = re.compile(rb"^[ \t]*\.include(\s*=|[ \t])([^\n#]*)", re.MULTILINE)

# Where the dynamic linker looks first (ld.so(8)).
_LINKER = ("/etc/ld.so.cache", "/etc/ld.so.preload")


class _ChangedError(Exception):
    """A file changed after the interpreter was started."""


def fingerprint(
    interpreter: Interpreter, launches: list[LaunchResult], user: User | None, began: float
) -> str:
    """Return the fingerprint of an interpreter that was launched; empty if there is none.

    ``began`` is when its first launch began.
    """
    if len(launches) < 2 or interpreter.image:
        return ""
    started = launches[1]
    found = environment_for(interpreter, user).variables
    variables = sorted(
        (name, value)
        for name, value in found.items()
        if name.startswith(PASSED) or name.upper() in PASSED_BY_NAME
    )
    names = {part for _, value in variables for part in value.split(os.pathsep)}
    names.update(map(str, started.fact_list("loaded_libraries")))
    names.update((*_LINKER, interpreter.path))
    folders = {*map(str, started.fact_list("sys_path")), interpreter.venv}
    folders.update(map(str, started.fact_list("site_folders")))
    folders.add(str(started.facts.get("standard_library", "")))
    digest = hashlib.sha256()
    try:
        who = user and (user.uid, user.gid, user.groups)
        facts = variables, who, bool(interpreter.found_in)
        digest.update(repr(facts).encode("utf-8", "surrogateescape"))
        limit = began * 1e9 - _TICK
        for name in sorted(filter(os.path.isabs, names)):
            if os.path.isfile(name):
                digest.update(_state(name, limit))
        seen: set[str] = set()
        config = str(started.facts.get("openssl_config_file", ""))
        _add_config(config, limit, digest, seen)
        for folder in sorted(filter(os.path.isabs, folders)):
            _add_folder(folder, limit, digest, seen)
    except (OSError, ValueError, _ChangedError):  # it vanished, or is no name of a file
        return ""
    return digest.hexdigest()


def _add_config(name: str, limit: float, digest: Any, seen: set[str]) -> None:
    """Add a configuration of OpenSSL, and all that it includes (config(5)), as on RHEL."""
    if name and ("$" in name or not os.path.isabs(name)):
        raise _ChangedError  # it depends on variables, or on the current folder
    if name in seen or name == os.devnull or not os.path.exists(name):
        return
    if os.path.isdir(name):
        _add_folder(name, limit, digest, seen)
        for entry in sorted(os.listdir(name)):
            _add_config(os.path.join(name, entry), limit, digest, seen)
        return
    seen.add(name)
    digest.update(_state(name, limit))
    if not os.path.isfile(name):
        raise _ChangedError  # a device or a pipe, which has another content each time
    with open(name, "rb") as file:
        for _, included in _INCLUDE.findall(file.read()):
            path = os.fsdecode(included.strip(b" \t\r\"'"))
            digest.update(repr(path).encode("utf-8", "surrogateescape"))
            _add_config(path, limit, digest, seen)


def _add_folder(folder: str, limit: float, digest: Any, seen: set[str]) -> None:
    """Add a folder with all that is below it, or a file such as a zip."""
    if folder in seen or not os.path.lexists(folder):
        return
    seen.add(folder)
    digest.update(_state(folder, limit))
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _add_folder(entry.path, limit, digest, seen)
        else:
            digest.update(_state(entry.path, limit))


def _state(path: str, limit: float) -> bytes:
    """Return what changes if a file does: of a link, also of the file that it leads to."""
    found = [path]
    at = os.lstat(path)
    states = [at, os.stat(path)] if stat.S_ISLNK(at.st_mode) and os.path.exists(path) else [at]
    for each in states:
        # On Windows, ctime is the time of creation.
        if max(each.st_ctime_ns, each.st_mtime_ns) >= limit:
            raise _ChangedError
        facts = each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns
        found.append(repr((*facts, each.st_mode, each.st_uid, each.st_gid)))
    return "\n".join(found).encode("utf-8", "surrogateescape")
