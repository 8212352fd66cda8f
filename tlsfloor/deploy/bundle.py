"""A self-contained folder to mount into any container: ``tlsfloor bundle DIR``.

It holds the package, with the bootstrap folder inside: one folder for every CPython, and PyPy.
Nothing in it becomes importable but ``tlsfloor``, which the start-up file loads by its place.

It has bytecode for the interpreter that makes it and for each one that is named, since a mount is
mostly read-only, and compiling the start-up file again and again would cost a half of each start of
Python. The bytecode carries a hash of its source (PEP 552), not a time, which ``cp`` and ``COPY``
change. Python compares the hash when it loads a module, so bytecode that an older bundle has left
in a folder is never run in place of newer code.

A bundle is replaced whole or not at all, while containers run from it::

    DIR/tlsfloor-0.2.0-k3v8x1/tlsfloor/…           the package of one bundle
    DIR/tlsfloor-0.2.0-k3v8x1/tlsfloor-bundle.json
    DIR/tlsfloor              -> tlsfloor-0.2.0-k3v8x1/tlsfloor
    DIR/tlsfloor-bundle.json  -> tlsfloor/../tlsfloor-bundle.json

The first link is all that changes, by one rename(2), which POSIX wants to be atomic: a Python that
starts finds the older bundle or the newer one. A Python that runs keeps to the folder that it
started with (``bootstrap/sitecustomize.py`` resolves the link once), so older folders stay. Where
the links cannot be made, the first bundle of a folder is made without them.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
import time

import tlsfloor
from tlsfloor.errors import InstallError
from tlsfloor.verifier.child import run_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: The file in a bundle that says what it is, next to the packages.
MARKER = "tlsfloor-bundle.json"

#: What is in a folder: what the bundle is, and the link to the package of the newest one.
PARTS = (MARKER, "tlsfloor")

#: What a bundle of version 0.1 has in addition: some guards were made of it.
OLD_PARTS = ("wrapt",)

#: How the folders of single bundles begin, and those that are not complete.
COMPLETE, INCOMPLETE = "tlsfloor-", ".tlsfloor-"

#: Seconds after which what is not complete is what an interrupted run left, and is removed.
ABANDONED = 86400

#: What goes on PYTHONPATH, below the folder of a bundle.
BOOTSTRAP = os.path.join("tlsfloor", "bootstrap")

#: Compiles the package for the interpreter that runs it, and prints the name that this gives to
#: its bytecode: ``COMPILE FOLDER FINAL_FOLDER``. Python notes the name of the source in the code,
#: and corrects it as a module is loaded from another place (importlib, ``_compile_bytecode()``).
COMPILE = """
import sys
if sys.version_info < (3, 8):
    sys.exit("it is Python %d.%d, and bytecode is made for 3.8 and newer" % sys.version_info[:2])
sys.path = [each for each in sys.path if each]  # nothing of the current folder
import os, py_compile
from importlib.util import cache_from_source
os.umask(0o022)  # others must read it
for place, _, names in os.walk(os.path.join(sys.argv[1], "tlsfloor")):
    for name in names:
        source = os.path.join(place, name)
        if not name.endswith(".py"):
            continue
        shown = os.path.join(sys.argv[2], os.path.relpath(source, sys.argv[1]))
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        cache = cache_from_source(source, optimization="")
        try:
            py_compile.compile(source, cache, shown, doraise=True, invalidation_mode=mode)
        except py_compile.PyCompileError as error:
            sys.exit(error.msg)
print(sys.implementation.cache_tag)
"""

#: Seconds in which an interpreter must have compiled all of it; the slowest take about ten.
PATIENCE = 300


def bundle(folder: str, pythons: Sequence[str] = ()) -> dict[str, Any]:
    """Make a bundle, or replace an older one in its place.

    The folder may be there already, if it is empty or a bundle: a volume, say. Whatever interrupts
    this, a bundle that was there is whole, and a Python that starts meanwhile is armed by it.
    ``pythons`` are more interpreters to have bytecode for.

    Returns:
        What is in it: ``tlsfloor``: its version; ``bytecode``: the names that interpreters have
        for theirs, ``cpython-311`` for one.

    Raises:
        InstallError: the folder holds something else, cannot be written or not be replaced as a
            whole; an interpreter cannot compile it. Nothing has changed then.

    .. versionadded:: 0.1
    """
    facts: dict[str, Any] = {"tlsfloor": tlsfloor.__version__}
    folder = os.path.abspath(folder)
    try:
        os.makedirs(folder, exist_ok=True)
        _check(folder)
        fresh = tempfile.mkdtemp(prefix=INCOMPLETE, dir=folder)
        try:
            os.chmod(fresh, 0o755)  # noqa: S103 - others must read it
            _copy(
                os.path.dirname(os.path.abspath(tlsfloor.__file__)), os.path.join(fresh, "tlsfloor")
            )
            tags = [_compile(python, fresh, folder) for python in (sys.executable, *pythons)]
            facts["bytecode"] = sorted(set(tags))
            with open(os.path.join(fresh, MARKER), "w", encoding="utf-8") as file:
                json.dump(facts, file)
            if not _is_there(fresh, folder):
                _put(fresh, folder)
        finally:
            if os.path.exists(fresh):
                shutil.rmtree(fresh)
    except OSError as error:
        # What copytree() raises has a list of all that failed.
        problem = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise InstallError(
            f"{folder} cannot be written: {problem}", hint="tlsfloor bundle DIR"
        ) from None
    return facts


def _check(folder: str) -> None:
    """Raise if a folder holds something else; remove what a run that was killed left in it."""
    there = sorted(set(os.listdir(folder)) - {"lost+found"})  # of a fresh volume
    known = (*PARTS, *OLD_PARTS) if MARKER in there else ()
    strange = [each for each in there if each not in known and not _is_ours(folder, each)]
    if strange:
        raise InstallError(
            f"{folder} is not a bundle, and not empty: there is {strange[0]} in it",
            hint="tlsfloor bundle DIR, with a DIR of its own",
        )
    for each in there:
        path = os.path.join(folder, each)
        if each.startswith(INCOMPLETE) and os.lstat(path).st_mtime < time.time() - ABANDONED:
            _remove(path)


def _is_ours(folder: str, name: str) -> bool:
    """Tell whether it is the folder of a single bundle, or was to become one."""
    complete = os.path.exists(os.path.join(folder, name, MARKER))
    return name.startswith(INCOMPLETE) or (name.startswith(COMPLETE) and complete)


def _remove(path: str) -> None:
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _copy(package: str, to: str) -> None:
    """Copy a package without what is compiled."""
    shutil.copytree(
        package,
        to,
        ignore=shutil.ignore_patterns("__pycache__", "*.py[co]", "*.so", "*.pyd", "*.c"),
    )
    for place, _, names in os.walk(to):
        # Python 2.7 writes it next to the source, of what it imports by itself; not over a folder.
        if "sitecustomize.py" in names:
            os.mkdir(os.path.join(place, "sitecustomize.pyc"))


def _compile(python: str, fresh: str, folder: str) -> str:
    """Let an interpreter compile the package; return the name that it has for its bytecode.

    No start-up file of its environment runs for that, and no variable counts. (``-I`` would say so
    too, and 2.7 does not know it.)
    """
    command = [python, "-E", "-s", "-S", "-B", "-c", COMPILE, fresh, folder]
    printed, problem = run_program(command, PATIENCE)
    tag = printed.strip()
    if tag and os.path.isfile(
        os.path.join(fresh, "tlsfloor", "__pycache__", f"__init__.{tag}.pyc")
    ):
        return tag
    problem = problem or "it wrote no bytecode"
    raise InstallError(
        f"{python} cannot compile the bundle: {problem}",
        hint="--compile PYTHON, with a Python 3.8 or newer; others need no bytecode to be armed",
    )


def _is_there(fresh: str, folder: str) -> bool:
    """Tell whether the bundle of a folder is this one already; a Python may have added bytecode."""
    ours, theirs = _contents(fresh), _contents(folder)
    return ours == {name: theirs.get(name) for name in ours} and all(
        name in ours or f"{os.sep}__pycache__{os.sep}" in name for name in theirs
    )


def _contents(folder: str) -> dict[str, bytes]:
    """Return the files of a bundle; empty where there is none."""
    names = [MARKER] if os.path.exists(os.path.join(folder, MARKER)) else []
    for place, _, files in os.walk(os.path.join(folder, "tlsfloor")):
        names += [os.path.relpath(os.path.join(place, each), folder) for each in files]
    found = {}
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def _put(fresh: str, folder: str) -> None:
    """Let the link of a folder lead to a bundle that is complete."""
    place = os.path.join(folder, "tlsfloor")
    name = f"{COMPLETE}{tlsfloor.__version__}-{os.path.basename(fresh)[len(INCOMPLETE) :]}"
    links = {
        f"{fresh}-link": (name, "tlsfloor"),
        f"{fresh}-marker": ("tlsfloor", os.pardir, MARKER),
    }
    if hasattr(os, "sync"):
        os.sync()  # the content before the name: a machine may lose its power
    try:
        try:
            for link, to in links.items():
                os.symlink(os.path.join(*to), link)
        except OSError as error:  # a file system without links; or Windows, where few may make one
            if os.path.lexists(place):
                raise _irreplaceable(folder, f"no link can be made: {error.strerror}") from None
            for part in PARTS:
                os.rename(os.path.join(fresh, part), os.path.join(folder, part))
            return
        os.rename(fresh, os.path.join(folder, name))
        _switch(folder, *links)
        for each in OLD_PARTS:
            shutil.rmtree(os.path.join(folder, each), ignore_errors=True)
    finally:
        if os.path.realpath(place) != os.path.join(os.path.realpath(folder), name, "tlsfloor"):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        for each in filter(os.path.lexists, links):  # one may be the folder that it has replaced
            _remove(each)


def _switch(folder: str, link: str, marker: str) -> None:
    """Put both links in their places; what a Python is armed by is one step."""
    place = os.path.join(folder, "tlsfloor")
    plain = os.path.isdir(place) and not os.path.islink(place)
    if plain:  # before the marker, which leads through it
        _exchange(link, place)
    os.replace(marker, os.path.join(folder, MARKER))
    if not plain:  # after it: without the marker it would be no bundle
        os.replace(link, place)


def _exchange(link: str, place: str) -> None:
    """Exchange a link and a folder: one from before there were links, or a copy without them.

    Linux 3.15 and newer can, on most file systems of its own: ``RENAME_EXCHANGE`` of renameat2(2).
    """
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        import ctypes  # which not every Python has

        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, AttributeError, TypeError):
        raise _irreplaceable(place, "this system cannot exchange it for a link") from None
    if rename(here, os.fsencode(link), here, os.fsencode(place), exchange):
        problem = os.strerror(ctypes.get_errno())
        raise _irreplaceable(place, f"it cannot be exchanged for a link: {problem}")


def _irreplaceable(folder: str, why: str) -> InstallError:
    return InstallError(
        f"{folder} cannot be replaced as a whole: {why}",
        hint="tlsfloor bundle DIR, with a new DIR; then let containers mount that",
    )
