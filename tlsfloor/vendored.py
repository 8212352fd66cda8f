"""Finds ``wrapt`` in a bundle, where the interpreter has none of its own."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

#: The file in a bundle that says what it is, beside the packages.
MARKER = "tlsfloor-bundle.json"

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Finder:
    """A meta-path finder for ``wrapt`` alone; it is asked last."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find it beside this package."""
        del path, target
        if fullname != "wrapt":
            return None
        from _frozen_importlib_external import PathFinder

        return PathFinder.find_spec(fullname, [_HOME])


def watch() -> None:
    """Find ``wrapt`` from now on, if this package lies in a bundle."""
    if Finder not in sys.meta_path and os.path.exists(os.path.join(_HOME, MARKER)):
        sys.meta_path.append(Finder)
