"""A self-contained folder to mount into any container: ``tlsfloor bundle DIR``.

It holds the package, with the bootstrap folder inside, and ``wrapt``, of which some guards are
made, in pure Python: one folder for every CPython from 3.8 on, and PyPy. Nothing in it becomes
importable but these two: the start-up file loads ``tlsfloor`` by its place, and ``stacks.guards``
finds ``wrapt`` there where an interpreter has none of its own.

No Python leaves byte code there, where other containers may share it: a file stands in the place of
each folder ``__pycache__``, and a folder in that of a file.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile

import tlsfloor
from tlsfloor.errors import InstallError

#: The file in a bundle that says what it is, next to the packages.
MARKER = "tlsfloor-bundle.json"

#: How a bundle is laid out below its folder; what a Python is armed by comes last.
PARTS = ("wrapt", MARKER, "tlsfloor")

#: What goes on PYTHONPATH, below the folder of a bundle.
BOOTSTRAP = os.path.join("tlsfloor", "bootstrap")


def bundle(folder: str) -> dict[str, str]:
    """Make a bundle, or replace an older one in its place.

    The folder may be there already, if it is empty or a bundle: a volume, say. Nothing has changed
    in it when this fails.

    Returns:
        What is in it: ``tlsfloor`` and ``wrapt`` -> their versions; ``python``: what wrapt needs.

    Raises:
        InstallError: the folder holds something else, or cannot be written.

    .. versionadded:: 0.1
    """
    from importlib import metadata, util

    found = util.find_spec("wrapt")
    if found is None or not found.origin:
        raise InstallError("wrapt is not installed", hint="pip install 'wrapt>=1.15'")
    facts = {
        "tlsfloor": tlsfloor.__version__,
        "wrapt": metadata.version("wrapt"),
        "python": metadata.metadata("wrapt")["Requires-Python"],
    }
    folder = os.path.abspath(folder)
    try:
        os.makedirs(folder, exist_ok=True)
        there = sorted(set(os.listdir(folder)) - {"lost+found"})  # of a fresh volume
        strange = [each for each in there if MARKER not in there or each not in PARTS]
        if strange:
            raise InstallError(
                f"{folder} is no bundle, and not empty: there is {strange[0]} in it",
                hint="tlsfloor bundle DIR, with a DIR of its own",
            )
        fresh = tempfile.mkdtemp(prefix=".tlsfloor-", dir=folder)
        try:
            os.chmod(fresh, 0o755)  # noqa: S103 - others must read it
            _copy(os.path.dirname(found.origin), os.path.join(fresh, "wrapt"))
            _copy(
                os.path.dirname(os.path.abspath(tlsfloor.__file__)), os.path.join(fresh, "tlsfloor")
            )
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
        if any(name.endswith(".py") for name in names):
            with open(os.path.join(place, "__pycache__"), "w", encoding="utf-8"):
                pass
        # Python 2.7 writes it beside the source, of what it imports by itself.
        if "sitecustomize.py" in names:
            os.mkdir(os.path.join(place, "sitecustomize.pyc"))


def _put(fresh: str, folder: str) -> None:
    """Put the parts in their places, one by one: a volume cannot be replaced as a whole."""
    for part in PARTS:
        place = os.path.join(folder, part)
        if os.path.exists(place):
            os.rename(place, os.path.join(fresh, f"old {part}"))
        os.rename(os.path.join(fresh, part), place)
