"""Kept for start-up files that version 0.1 installed; nothing else uses it. It must parse on Python 2.7."""
import os
import sys


def start(file, floor=None, outcome=None, since=None):
    """Arm this process by a start-up file, with the floor and the outcome that are written in it, if any.

    Files of other versions of tlsfloor call it too: it may get more parameters, and never loses one.
    """
    if sys._tlsfloor.get("environment") is None:  # only newer files fill it
        given = os.environ.items()
        sys._tlsfloor["environment"] = {k: v for k, v in given if k.startswith("TLSFLOOR") or k == "TLS_MIN_VERSION"}
    if sys.version_info >= (3, 8):
        import tlsfloor.arm as arm
    else:
        import tlsfloor.startup.legacy as arm
    arm.start(file, floor, outcome, since)
