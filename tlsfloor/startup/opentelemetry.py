"""What other start-up files call, where they hide the folder on ``PYTHONPATH``."""

import os
import runpy
import sys


def under_opentelemetry() -> None:
    """Run the folder, if it is on the path and did not run: OpenTelemetry's file runs no other.

    .. versionadded:: 0.1
    """
    ran = [os.path.realpath(each) for each in getattr(sys, "_tlsfloor", {"ran": []})["ran"]]
    for entry in map(os.path.realpath, sys.path):
        file = os.path.join(entry, "sitecustomize.py")
        if entry.endswith(os.path.join("tlsfloor", "bootstrap")) and file not in ran:
            runpy.run_path(file)
            return


def stay_in_front(path: str, folder: str) -> None:
    """Put our folder first again for children, if the next start-up file put itself there.

    OpenTelemetry's does. ``path`` is what ``PYTHONPATH`` was before it ran.

    .. versionadded:: 0.2
    """
    new = os.environ.get("PYTHONPATH", "")
    folder = os.path.realpath(folder)  # a bundle is entered by a link
    ours = [each for each in path.split(os.pathsep) if os.path.realpath(each) == folder]
    if ours:
        others = [each for each in new.split(os.pathsep) if each != ours[0]]
        os.environ["PYTHONPATH"] = os.pathsep.join(ours[:1] + others)
