"""Two start-up files on one ``PYTHONPATH``: OpenTelemetry's hides tlsfloor's, or moves in front."""

import os
import runpy
import sys


def under_opentelemetry() -> None:
    """Run tlsfloor's start-up file if its folder is on the path and it did not run.

    OpenTelemetry's ``sitecustomize`` runs no other one. It calls this function by an entry point.
    """
    ran = [os.path.realpath(file) for file in getattr(sys, "_tlsfloor", {"ran": []})["ran"]]
    for entry in map(os.path.realpath, sys.path):
        file = os.path.join(entry, "sitecustomize.py")
        if entry.endswith(os.path.join("tlsfloor", "bootstrap")) and file not in ran:
            runpy.run_path(file)
            return


def stay_in_front(path: str, folder: str) -> None:
    """Put our folder first again for children, if the next start-up file put itself there.

    OpenTelemetry's does. ``path`` is what ``PYTHONPATH`` was before that file ran.
    """
    new = os.environ.get("PYTHONPATH", "")
    folder = os.path.realpath(folder)  # a bundle is entered by a link
    ours = [entry for entry in path.split(os.pathsep) if os.path.realpath(entry) == folder]
    if ours:
        others = [entry for entry in new.split(os.pathsep) if entry != ours[0]]
        os.environ["PYTHONPATH"] = os.pathsep.join(ours[:1] + others)
