"""Finds the interpreters at or below a path, and starts none of them.

A file is an interpreter by its name *and* by what it is: a program of this machine whose bytes hold
a name that only Python's own ``main`` has. What has the name and is no such thing is named with the
reason:

* a script or a text is *skipped*: it is no interpreter, whatever it may start;
* a program that cannot be tried here (unreadable, not executable, of another architecture, without
  any sign of Python) is an interpreter with a *problem*, and so inconclusive.

Names of one file are one interpreter: links, hard links and copies in the same folder. A virtual
environment is its own, whatever it links to: it has its own packages and start-up files, so it
deploys differently.
"""

from __future__ import annotations

import errno
import filecmp
import os
import re
import shlex
import stat
from dataclasses import dataclass, field, replace

from tlsfloor.errors import VerifyError
from tlsfloor.inventory.binary import nature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What interpreters are called: python3.13t (free-threaded), python3.7m, platform-python3.6 (RHEL),
#: pypy3.10.
NAMES = re.compile(
    r"(?:(?:platform-)?python(?:\d+(?:\.\d+)?[a-z]*)?(?:-dbg|-debug)?|pypy(?:\d+(?:\.\d+)?)?(?:-c)?)"
    r"(?:\.exe)?"
)

# Not files, whatever they look like.
_KERNEL = frozenset({"/proc", "/sys", "/dev"})

# What the root of every distribution has, and no application's folder.
_ROOTS = ("etc/os-release", "usr/lib/os-release", "etc/alpine-release", "etc/debian_version")

# As Linux: so many links, then ELOOP.
_LINKS = 40


@dataclass(frozen=True)
class Interpreter:
    """An interpreter: where it is, its other names, and the environment and image it lies in.

    ``problem`` says why it cannot be tried, if so. ``below`` is the folder that it was found below,
    empty where the user named it.

    .. versionadded:: 0.1
    """

    path: str
    also: tuple[str, ...] = ()
    venv: str = ""
    image: str = ""
    problem: str = ""
    below: str = ""


@dataclass
class Found:
    """What a search found.

    ``skipped`` tells path -> why it is no interpreter, ``unread`` folder -> why nobody looked into
    it, and ``empty`` the targets below which there is no interpreter.

    .. versionadded:: 0.1
    """

    interpreters: list[Interpreter] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)


def search(targets: Sequence[str]) -> Found:
    """Find what each target stands for: an interpreter, or every one below a folder.

    Raises:
        VerifyError: a target does not exist.

    .. versionadded:: 0.1
    """
    found = Found()
    candidates: list[Interpreter] = []
    for target in targets:
        path = os.path.abspath(target)
        if os.path.isdir(path):
            below = [_look(each, found) for each in sorted(_walk(path, found))]
            kept = [replace(each, below=path) for each in below if each is not None]
            if not kept:
                found.empty.append(path)
            candidates += kept
        elif os.path.lexists(path):
            named = _look(path, found)
            # Somebody says that it is one: then what it is instead is the answer.
            candidates.append(named or Interpreter(path, problem=_instead(path, found)))
        else:
            raise VerifyError(
                f"there is no {target}", hint="a TARGET is an interpreter or a folder"
            )
    found.interpreters = list(_fold(candidates))
    return found


def _instead(path: str, found: Found) -> str:
    """Return what a named target is that is no interpreter, and how to reach the one behind it."""
    problem = found.skipped.pop(path, "not a program")
    if not problem.startswith("a script"):
        return problem
    ask = f"{shlex.quote(path)} -c 'import sys; print(sys.executable)'"
    return f'{problem}; hint: if it starts an interpreter: tlsfloor verify "$({ask})"'


def _walk(top: str, found: Found) -> Iterator[str]:
    """Yield what is called like an interpreter; links to folders are not followed."""
    skip = _KERNEL if os.path.realpath(top) == "/" else frozenset()
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.path not in skip:
                            pending.append(entry.path)
                    elif entry.name[:1] == "p" and NAMES.fullmatch(entry.name):
                        yield entry.path
        except FileNotFoundError:  # it was removed meanwhile
            continue
        except OSError as error:
            found.unread[folder] = error.strerror or str(error)


def _look(path: str, found: Found) -> Interpreter | None:
    """Return what a path is; None if it is no interpreter, and say so if it seems to be one."""
    venv, image = _venv(path), _image(path)
    real = _resolve(path, image)
    if real != os.path.realpath(path):
        # From here an absolute link of an unpacked image leads to this machine's files.
        if venv or not os.path.isfile(real) or os.path.commonpath([real, image]) != image:
            text = f"its link is for the inside of {image}: verify it there"
            return Interpreter(path, venv=venv, image=image, problem=text)
        meant = _look(real, found)
        return replace(meant, also=(path,)) if meant else None
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return None
        skip, problem = nature(path) if stat.S_ISREG(mode) else ("no regular file", "")
        if skip and stat.S_ISREG(mode) and not os.access(path, os.X_OK):
            return None  # a manual page, a completion of a shell
    except OSError as error:
        text = f"{error.strerror}"
        # A link to nothing, or to itself, starts nothing; what may not be read can.
        skip, problem = ("", f"unreadable: {text}") if error.errno == errno.EACCES else (text, "")
    if skip:
        found.skipped[path] = skip
        return None
    return Interpreter(path, venv=venv, image=image, problem=problem)


def _venv(path: str) -> str:
    """Return the environment of an interpreter, as Python tells it: by the name, not the file."""
    folder = os.path.realpath(os.path.dirname(path))
    for home in (folder, os.path.dirname(folder)):
        if os.path.isfile(os.path.join(home, "pyvenv.cfg")):
            return home
    return ""


def _image(path: str) -> str:
    """Return the root of the unpacked image that a file lies in, empty if it lies in none."""
    folder = os.path.realpath(os.path.dirname(path))
    while os.path.dirname(folder) != folder:
        if any(os.path.lexists(os.path.join(folder, name)) for name in _ROOTS):
            return folder
        folder = os.path.dirname(folder)
    return ""


def _resolve(path: str, image: str) -> str:
    """Return the file that a name stands for; the absolute links of an image stay inside it."""
    for _ in range(_LINKS if image else 0):
        if not os.path.islink(path):
            break
        link = os.readlink(path)
        path = os.path.normpath(
            image + link if os.path.isabs(link) else os.path.join(os.path.dirname(path), link)
        )
    return os.path.realpath(path)


def _fold(candidates: list[Interpreter]) -> Iterator[Interpreter]:
    """Yield one of each group of names that stand for the same interpreter."""
    groups: dict[str, list[list[Interpreter]]] = {}
    for each in candidates:
        real = os.path.realpath(each.path)
        same = groups.setdefault(each.venv or os.path.dirname(real), [])
        for group in same:
            if _same(real, os.path.realpath(group[0].path)):
                group.append(each)
                break
        else:
            same.append([each])
    for group in sorted(
        (group for same in groups.values() for group in same), key=lambda group: group[0].path
    ):
        # Of an environment the name that it is started by; else the file itself.
        own = [each for each in group if not each.venv and os.path.realpath(each.path) == each.path]
        first = (own or sorted(group, key=lambda each: (len(each.path), each.path)))[0]
        names = {name for each in group for name in (each.path, *each.also)}
        below = "" if any(not each.below for each in group) else first.below
        yield replace(first, also=tuple(sorted(names - {first.path})), below=below)


def _same(one: str, other: str) -> bool:
    """Tell whether two files are one, or copies."""
    try:
        return (
            one == other
            or os.path.samefile(one, other)
            or (
                os.path.getsize(one) == os.path.getsize(other)
                and filecmp.cmp(one, other, shallow=False)
            )
        )
    except OSError:  # what cannot be compared stands for itself
        return False
