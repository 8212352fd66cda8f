"""A self-contained folder to mount into any container: ``tlsfloor bundle DIR``.

It holds the package, with the bootstrap folder inside: one folder for every CPython, and PyPy.
Nothing in it becomes importable but ``tlsfloor``, which the start-up file loads by its place.

It has bytecode for the interpreter that makes it and for each one that is named, since a mount is
mostly read-only, and compiling the start-up file again and again would cost a half of each start of
Python. The bytecode carries a hash of its source (PEP 552), not a time, which ``cp`` and ``COPY``
change. Python compares the hash when it loads a module, so bytecode that an older bundle has left
in a folder is never run in place of newer code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile

import tlsfloor
from tlsfloor.errors import InstallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: The file in a bundle that says what it is, next to the packages.
MARKER = "tlsfloor-bundle.json"

#: How a bundle is laid out below its folder; what a Python is armed by comes last.
PARTS = (MARKER, "tlsfloor")

#: What a bundle of version 0.1 has in addition: some guards were made of it.
OLD_PARTS = ("wrapt",)

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

    The folder may be there already, if it is empty or a bundle: a volume, say. Nothing has changed
    in it when this fails. ``pythons`` are more interpreters to have bytecode for.

    Returns:
        What is in it: ``tlsfloor``: its version; ``bytecode``: the names that interpreters have
        for theirs, ``cpython-311`` for one.

    Raises:
        InstallError: the folder holds something else, or cannot be written; an interpreter cannot
            compile it.

    .. versionadded:: 0.1
    """
    facts: dict[str, Any] = {"tlsfloor": tlsfloor.__version__}
    folder = os.path.abspath(folder)
    try:
        os.makedirs(folder, exist_ok=True)
        there = sorted(set(os.listdir(folder)) - {"lost+found"})  # of a fresh volume
        known = (*PARTS, *OLD_PARTS)
        strange = [each for each in there if MARKER not in there or each not in known]
        if strange:
            raise InstallError(
                f"{folder} is no bundle, and not empty: there is {strange[0]} in it",
                hint="tlsfloor bundle DIR, with a DIR of its own",
            )
        fresh = tempfile.mkdtemp(prefix=".tlsfloor-", dir=folder)
        try:
            os.chmod(fresh, 0o755)  # noqa: S103 - others must read it
            _copy(
                os.path.dirname(os.path.abspath(tlsfloor.__file__)), os.path.join(fresh, "tlsfloor")
            )
            tags = [_compile(python, fresh, folder) for python in (sys.executable, *pythons)]
            facts["bytecode"] = sorted(set(tags))
            with open(os.path.join(fresh, MARKER), "w", encoding="utf-8") as file:
                json.dump(facts, file)
            _put(fresh, folder)
        finally:
            shutil.rmtree(fresh)
    except OSError as error:
        raise InstallError(
            f"{folder} cannot be written: {error.strerror}", hint="tlsfloor bundle DIR"
        ) from None
    return facts


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
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the user named
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        problem = f"it took more than {PATIENCE} s"
    except (OSError, ValueError) as error:  # no such program; a name with a null byte
        problem = getattr(error, "strerror", None) or str(error)
    else:
        tag = done.stdout.decode("utf-8", "replace").strip()
        made = os.path.join(fresh, "tlsfloor", "__pycache__", f"__init__.{tag}.pyc")
        if done.returncode == 0 and os.path.isfile(made):
            return tag
        said = done.stderr.decode("utf-8", "replace").split("\n")
        problem = next((line for line in reversed(said) if line.strip()), "it says nothing")
    raise InstallError(
        f"{python} cannot compile the bundle: {problem}",
        hint="--compile PYTHON, with a Python 3.8 or newer; others need no bytecode to be armed",
    )


def _put(fresh: str, folder: str) -> None:
    """Put the parts in their places, one by one: a volume cannot be replaced as a whole."""
    for part in (*PARTS, *OLD_PARTS):
        place = os.path.join(folder, part)
        if os.path.exists(place):
            os.rename(place, os.path.join(fresh, f"old {part}"))
        if part in PARTS:
            os.rename(os.path.join(fresh, part), place)
