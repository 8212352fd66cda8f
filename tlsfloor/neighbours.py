"""What other start-up files call, where they hide the folder on ``PYTHONPATH``."""

import os
import runpy
import sys


def under_opentelemetry() -> None:
    """Run the folder, if it is on the path and did not run: OpenTelemetry's file runs no other.

    .. versionadded:: 0.1
    """
    ran = getattr(sys, "_tlsfloor", {"ran": []})["ran"]
    for entry in map(os.path.realpath, sys.path):
        file = os.path.join(entry, "sitecustomize.py")
        if entry.endswith(os.path.join("tlsfloor", "bootstrap")) and file not in ran:
            runpy.run_path(file)
            return
