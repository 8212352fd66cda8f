"""A self-contained folder to mount into any container: what ``tlsfloor bundle DIR`` makes.

It holds the package, with the bootstrap folder inside. The same folder serves every CPython and
PyPy. Nothing in it can be imported but ``tlsfloor``, which the start-up file finds next to itself.

The folder has bytecode for the interpreter that makes it, and for others that are named: a mount is
usually read-only, and compiling the start-up file takes half as long as a whole start of Python.
The bytecode contains a hash of its source (PEP 552) instead of a time, which ``cp`` and ``COPY``
change. Python compares the hash when it loads a module, so bytecode that an older bundle left is
not run in place of newer code.

A bundle is replaced as a whole or not at all, while containers run from it::

    DIR/tlsfloor-0.2.0-k3v8x1/tlsfloor/…           the package of one bundle
    DIR/tlsfloor-0.2.0-k3v8x1/tlsfloor-bundle.json
    DIR/tlsfloor              -> tlsfloor-0.2.0-k3v8x1/tlsfloor
    DIR/tlsfloor-bundle.json  -> tlsfloor/../tlsfloor-bundle.json

Only the first link changes, by one rename(2), which POSIX requires to be atomic: a Python that
starts finds the older bundle or the newer one. A running Python keeps the folder that it started
with, because ``bootstrap/sitecustomize.py`` resolves the link once. So older folders stay. If the
system has no links, the first bundle of a folder is made without them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

import tlsfloor
from tlsfloor.deploy import atomic_files
from tlsfloor.errors import InstallError
from tlsfloor.verifier.child import run_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

#: The file that says what a bundle contains.
MARKER = "tlsfloor-bundle.json"

#: What a bundle has in its folder: the marker, and the package or a link to it.
PARTS = (MARKER, "tlsfloor")

#: What bundles of version 0.1 have in addition.
OLD_PARTS = ("wrapt",)

#: How the names of the folders of single bundles begin, and those of folders that are incomplete.
COMPLETE, INCOMPLETE = "tlsfloor-", ".tlsfloor-"

#: Seconds after which an incomplete folder is one that an interrupted run left, and is removed.
ABANDONED = 86400

#: What goes on PYTHONPATH, below the folder of a bundle.
BOOTSTRAP = os.path.join("tlsfloor", "bootstrap")

#: Compiles the package with the interpreter that runs this, and prints that interpreter's name for
#: bytecode: ``COMPILE FOLDER FINAL_FOLDER``. The code contains the name of its source, which Python
#: corrects when it loads a module from another place (importlib, ``_compile_bytecode()``).
COMPILE = """
import sys
if sys.version_info < (3, 8):
    sys.exit("it is Python %d.%d, and bytecode is made for 3.8 and newer" % sys.version_info[:2])
sys.path = [entry for entry in sys.path if entry]  # without the current folder
import compileall, os, py_compile
os.umask(0o022)  # everybody has to read it
package, shown = (os.path.join(folder, "tlsfloor") for folder in sys.argv[1:])
mode = py_compile.PycInvalidationMode.CHECKED_HASH
if not compileall.compile_dir(package, ddir=shown, quiet=2, invalidation_mode=mode):
    sys.exit("a file of the package is no valid program there")
print(sys.implementation.cache_tag)
"""

#: Seconds that an interpreter may take to compile everything; the slowest take about ten.
COMPILE_LIMIT = 300


def make_bundle(
    folder: str, pythons: Sequence[str] = (), progress: Callable[[], object] = bool
) -> dict[str, Any]:
    """Make a bundle, or replace an older one in its place.

    The folder may exist if it is empty, as a new volume is, or if it is a bundle. Even if this is
    interrupted, a bundle that was there stays complete, and arms every Python that starts.

    Args:
        folder: the folder of the bundle.
        pythons: interpreters to make bytecode for, in addition to this one.
        progress: is called after each interpreter.

    Returns:
        What is in the bundle: ``tlsfloor``: its version; ``bytecode``: the names that interpreters
        have for their bytecode, for example ``cpython-311``.

    Raises:
        InstallError: the folder contains something else, cannot be written, or cannot be replaced
            as a whole; or an interpreter cannot compile the package. Nothing has changed then.
    """
    facts: dict[str, Any] = {"tlsfloor": tlsfloor.__version__}
    folder = os.path.abspath(folder)
    try:
        os.makedirs(folder, exist_ok=True)
        _refuse_other_content(folder)
        fresh = atomic_files.make_folder(folder, INCOMPLETE)
        try:
            copy = atomic_files.copy_package(fresh)
            # Python 2.7 writes the bytecode of this file next to it, but not over a folder.
            os.mkdir(os.path.join(copy, "bootstrap", "sitecustomize.pyc"))
            tags = set()
            for python in (sys.executable, *pythons):
                tags.add(_compile(python, fresh, folder))
                progress()
            facts["bytecode"] = sorted(tags)
            with open(os.path.join(fresh, MARKER), "w", encoding="utf-8") as file:
                json.dump(facts, file)
            if not _is_current(fresh, folder):
                _publish(fresh, folder)
        finally:
            if os.path.exists(fresh):
                shutil.rmtree(fresh)
    except OSError as error:
        # copytree() raises an error with a list of all that failed.
        problem = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise InstallError(
            f"{folder} cannot be written: {problem}", hint="tlsfloor bundle DIR"
        ) from None
    return facts


def _refuse_other_content(folder: str) -> None:
    """Raise if a folder contains something else; remove what a run that was killed left in it."""
    names = sorted(set(os.listdir(folder)) - {"lost+found"})  # which a new volume has
    known = (*PARTS, *OLD_PARTS) if MARKER in names else ()
    for name in names:
        path = os.path.join(folder, name)
        complete = name.startswith(COMPLETE) and os.path.exists(os.path.join(path, MARKER))
        if not (name in known or complete or name.startswith(INCOMPLETE)):
            raise InstallError(
                f"{folder} is not a bundle, and not empty: there is {name} in it",
                hint="name a new or empty folder: tlsfloor bundle DIR",
            )
    for name in names:
        path = os.path.join(folder, name)
        if name.startswith(INCOMPLETE) and os.lstat(path).st_mtime < time.time() - ABANDONED:
            atomic_files.remove(path)


def _compile(python: str, fresh: str, folder: str) -> str:
    """Let an interpreter compile the package; return the name that it has for its bytecode.

    No start-up file runs in it, and no environment variable has an effect. (The option -I would do
    the same, but Python 2.7 does not have it.)
    """
    command = [python, "-E", "-s", "-S", "-B", "-c", COMPILE, fresh, folder]
    printed, problem = run_program(command, COMPILE_LIMIT)
    tag = printed.strip()
    bytecode = os.path.join(fresh, "tlsfloor", "__pycache__", f"__init__.{tag}.pyc")
    if tag and os.path.isfile(bytecode):
        return tag
    raise InstallError(
        f"{python} cannot compile the bundle: {problem or 'it wrote no bytecode'}",
        hint="name Python 3.8 or newer; an older one is armed without bytecode",
    )


def _is_current(fresh: str, folder: str) -> bool:
    """Return whether a folder has this bundle already. A Python may have added bytecode to it."""
    new, old = _read_bundle(fresh), _read_bundle(folder)
    return new == {name: old.get(name) for name in new} and all(
        name in new or os.path.basename(os.path.dirname(name)) == "__pycache__" for name in old
    )


def _read_bundle(folder: str) -> dict[str, bytes]:
    """Return the files of the package in a bundle, and its marker; nothing if there is none."""
    files = atomic_files.read_files(os.path.join(folder, "tlsfloor"))
    marker = os.path.join(folder, MARKER)
    if os.path.exists(marker):
        with open(marker, "rb") as file:
            files[MARKER] = file.read()
    return files


def _publish(fresh: str, folder: str) -> None:
    """Let the link in a folder lead to a bundle that is complete."""
    place = os.path.join(folder, "tlsfloor")
    name = f"{COMPLETE}{tlsfloor.__version__}-{os.path.basename(fresh)[len(INCOMPLETE) :]}"
    links = {
        f"{fresh}-link": (name, "tlsfloor"),
        f"{fresh}-marker": ("tlsfloor", os.pardir, MARKER),
    }
    if hasattr(os, "sync"):
        os.sync()  # the content has to reach the disk before its name does
    try:
        try:
            for link, target in links.items():
                os.symlink(os.path.join(*target), link)
        except OSError as error:  # a file system without links; or Windows, where few may make one
            if os.path.lexists(place):
                raise _cannot_replace(folder, f"no link can be made: {error.strerror}") from None
            for part in PARTS:
                os.rename(os.path.join(fresh, part), os.path.join(folder, part))
            return
        os.rename(fresh, os.path.join(folder, name))
        _replace_links(folder, *links)
        for part in OLD_PARTS:
            shutil.rmtree(os.path.join(folder, part), ignore_errors=True)
    finally:
        if os.path.realpath(place) != os.path.join(os.path.realpath(folder), name, "tlsfloor"):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        # After an exchange, one of these is the folder that was replaced.
        for link in filter(os.path.lexists, links):
            atomic_files.remove(link)


def _replace_links(folder: str, link: str, marker: str) -> None:
    """Put both links in their places; one step decides what a Python is armed by."""
    place = os.path.join(folder, "tlsfloor")
    is_folder = os.path.isdir(place) and not os.path.islink(place)
    if is_folder:  # before the marker, whose link leads through this one
        _exchange(link, place)
    os.replace(marker, os.path.join(folder, MARKER))
    if not is_folder:  # after the marker, without which the folder would not be a bundle
        os.replace(link, place)


def _exchange(link: str, place: str) -> None:
    """Exchange a link and a folder, which an older version or a copy without links has made.

    Linux 3.15 and newer can do this on most of its own file systems: ``RENAME_EXCHANGE`` of
    renameat2(2).
    """
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        import ctypes  # not every Python has it

        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, AttributeError, TypeError):
        raise _cannot_replace(place, "this system cannot exchange it for a link") from None
    if rename(here, os.fsencode(link), here, os.fsencode(place), exchange):
        problem = os.strerror(ctypes.get_errno())
        raise _cannot_replace(place, f"it cannot be exchanged for a link: {problem}")


def _cannot_replace(folder: str, reason: str) -> InstallError:
    return InstallError(
        f"{folder} cannot be replaced as a whole: {reason}",
        hint="write a new folder by tlsfloor bundle DIR, and mount that in containers",
    )
