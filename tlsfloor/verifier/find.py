"""Find the interpreters at or below a path, without starting any of them.

A file is an interpreter if it has the name of one *and* is a program of this machine whose bytes
contain a symbol that only the main program of a Python has. A file with such a name that is
something else is reported:

* a script or a text is *skipped*: it is no interpreter, even if it starts one;
* a program that cannot be tried here (unreadable, not executable, of another architecture, without
  any sign of Python) is an interpreter with a *problem*, and so inconclusive.

Several names of one file are one interpreter: links, hard links, and copies in the same folder. A
virtual environment is an interpreter of its own, although it links to another one: it has its own
packages and start-up files.
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

#: Names of interpreters, for example python3.13t (free-threaded), python3.7m, pypy3.10 and
#: platform-python3.6 (RHEL).
NAMES = re.compile(
    r"(?:(?:platform-)?python(?:\d+(?:\.\d+)?[a-z]*)?(?:-dbg|-debug)?|pypy(?:\d+(?:\.\d+)?)?(?:-c)?)"
    r"(?:\.exe)?"
)

# Folders of the kernel. They contain no programs.
_KERNEL = frozenset({"/proc", "/sys", "/dev"})

# Every distribution has one of these at its root, and the folder of an application has none.
_ROOTS = ("etc/os-release", "usr/lib/os-release", "etc/alpine-release", "etc/debian_version")

# The limit of Linux for links in a path. Beyond it there is ELOOP.
_LINKS = 40


@dataclass(frozen=True)
class Interpreter:
    """An interpreter, with the virtual environment and the unpacked image that contain it.

    ``problem`` says why it cannot be tried. ``found_in`` is the target folder below which it was
    found, empty if the user named the interpreter itself.
    """

    path: str
    other_names: tuple[str, ...] = ()
    venv: str = ""
    image: str = ""
    problem: str = ""
    found_in: str = ""


@dataclass
class SearchResult:
    """The interpreters of all targets, and what was not examined.

    ``skipped`` is path -> why it is no interpreter, ``unread`` is folder -> why it was not
    searched, and ``empty`` has the targets below which there is no interpreter.
    """

    interpreters: list[Interpreter] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)


def find_interpreters(targets: Sequence[str]) -> SearchResult:
    """Find the interpreters that are targets, or lie below a folder that is one.

    Raises:
        VerifyError: a target is empty or does not exist.
    """
    found = SearchResult()
    candidates: list[Interpreter] = []
    for target in targets:
        if not target:  # abspath() would make the current folder of it
            raise VerifyError("a target is empty", hint="name an interpreter or a folder")
        path = os.path.abspath(target)
        if os.path.isdir(path):
            below = [_inspect(file, found) for file in sorted(_files_by_name(path, found))]
            interpreters = [replace(each, found_in=path) for each in below if each is not None]
            if not interpreters:
                found.empty.append(path)
            candidates += interpreters
        elif os.path.lexists(path):
            named = _inspect(path, found)
            # The user says that it is an interpreter, so its problem is that it is none.
            candidates.append(named or Interpreter(path, problem=_why_not(path, found)))
        else:
            raise VerifyError(f"there is no {target}", hint="name an interpreter or a folder")
    found.interpreters = list(_fold(candidates))
    return found


def _why_not(path: str, found: SearchResult) -> str:
    """Return why a target is no interpreter, and how to reach the one that a script starts."""
    problem = found.skipped.pop(path, "not a program")
    if not problem.startswith("a script"):
        return problem
    ask = f"{shlex.quote(path)} -c 'import sys; print(sys.executable)'"
    return f'{problem}; hint: if it starts an interpreter: tlsfloor verify "$({ask})"'


def _files_by_name(top: str, found: SearchResult) -> Iterator[str]:
    """Yield the files with the name of an interpreter. Links to folders are not followed."""
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
        except FileNotFoundError:  # it has been removed in the meantime
            continue
        except OSError as error:
            found.unread[folder] = error.strerror or str(error)


def _inspect(path: str, found: SearchResult) -> Interpreter | None:
    """Return the interpreter at a path; if it is none, note what looks like one as skipped."""
    venv, image = _venv_of(path), _image_of(path)
    real = _follow_links(path, image)
    if real != os.path.realpath(path):
        # Outside of its image, an absolute link leads to a file of this machine.
        if venv or not os.path.isfile(real) or os.path.commonpath([real, image]) != image:
            text = f"its link is for the inside of {image}: verify it there"
            return Interpreter(path, venv=venv, image=image, problem=text)
        target = _inspect(real, found)
        return replace(target, other_names=(path,)) if target else None
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return None
        skip, problem = nature(path) if stat.S_ISREG(mode) else ("no regular file", "")
        if skip and stat.S_ISREG(mode) and not os.access(path, os.X_OK):
            return None  # a manual page, a completion of a shell
    except OSError as error:
        text = f"{error.strerror}"
        # A link to nothing, or to itself, starts nothing. A file that cannot be read may.
        skip, problem = ("", f"unreadable: {text}") if error.errno == errno.EACCES else (text, "")
    if skip:
        found.skipped[path] = skip
        return None
    return Interpreter(path, venv=venv, image=image, problem=problem)


def _venv_of(path: str) -> str:
    """Return the virtual environment of a path. As in Python, the name decides, not the file."""
    folder = os.path.realpath(os.path.dirname(path))
    for home in (folder, os.path.dirname(folder)):
        if os.path.isfile(os.path.join(home, "pyvenv.cfg")):
            return home
    return ""


def _image_of(path: str) -> str:
    """Return the root of the unpacked image that contains a file, empty if there is none."""
    folder = os.path.realpath(os.path.dirname(path))
    while os.path.dirname(folder) != folder:
        if any(os.path.lexists(os.path.join(folder, name)) for name in _ROOTS):
            return folder
        folder = os.path.dirname(folder)
    return ""


def _follow_links(path: str, image: str) -> str:
    """Return the file that a path leads to. The absolute links of an image stay inside of it."""
    for _ in range(_LINKS if image else 0):
        if not os.path.islink(path):
            break
        link = os.readlink(path)
        path = os.path.normpath(
            image + link if os.path.isabs(link) else os.path.join(os.path.dirname(path), link)
        )
    return os.path.realpath(path)


def _fold(candidates: list[Interpreter]) -> Iterator[Interpreter]:
    """Yield one interpreter for all the names of each."""
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
        # Of a virtual environment its shortest name; otherwise the file itself.
        own = [each for each in group if not each.venv and os.path.realpath(each.path) == each.path]
        first = (own or sorted(group, key=lambda each: (len(each.path), each.path)))[0]
        names = {name for each in group for name in (each.path, *each.other_names)}
        found_in = first.found_in if all(each.found_in for each in group) else ""
        yield replace(first, other_names=tuple(sorted(names - {first.path})), found_in=found_in)


def _same(one: str, other: str) -> bool:
    """Return whether two files are the same, or copies."""
    try:
        same = one == other or os.path.samefile(one, other)
        return same or filecmp.cmp(one, other, shallow=False)
    except OSError:  # files that cannot be compared are different
        return False
