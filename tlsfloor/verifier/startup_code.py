"""Find the start-up code that environments share: on PYTHONPATH, of their runtime or of the user.

Such code can ask where it runs (see ``alike``). What cannot be read counts as code that does.
"""

from __future__ import annotations

import os
import re

from tlsfloor.verifier.launch import BOOTSTRAP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.judge import LaunchResult

#: Modules that the module site imports (Lib/site.py), in any form.
CUSTOMIZE = ("sitecustomize", "usercustomize")

# Debian's sitecustomize, of which each of its Pythons has one (/etc/python3.11/sitecustomize.py).
_DEBIAN = re.compile(
    rb"(?:#.*\n)*try:\n *import apport_python_hook\nexcept ImportError:\n *pass\n"
    rb"else:\n *apport_python_hook\.install\(\)\s*"
)


def has_shared_code(launch: LaunchResult, venv: str) -> bool:
    """Return whether start-up code ran in a launch that is not the environment's own."""
    # Code that was on PYTHONPATH may have removed its folder from the path.
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    for entry in {*map(str, launch.fact_list("sys_path")), *map(os.path.abspath, given)}:
        if is_within(entry, venv) or os.path.realpath(entry) == os.path.realpath(BOOTSTRAP):
            continue
        if os.path.isfile(entry):
            return True  # a zip, perhaps with start-up code in it
        is_packages = os.path.basename(entry) in ("site-packages", "dist-packages")
        try:
            for name in os.listdir(entry) if os.path.isdir(entry) else ():
                path = os.path.join(entry, name)
                if name.split(".")[0] in CUSTOMIZE:
                    if not os.path.isfile(path):
                        return True
                    with open(path, "rb") as file:
                        if not _DEBIAN.fullmatch(file.read()):
                            return True
                elif is_packages and name.endswith((".pth", ".start")):
                    return True
        except OSError:  # it vanished, or it is a folder
            return True
    return False


def is_within(path: str, folder: str) -> bool:
    """Return whether a path is a folder, or below it."""
    return os.path.join(path, "").startswith(os.path.join(folder, ""))
