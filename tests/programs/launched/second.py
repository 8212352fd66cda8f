"""The second application of a server, which relies on the first one to call ``enforce()``.

With FLOOR_CALLED=each it calls it, too.
"""

import os
import sys

if os.environ.get("FLOOR_CALLED") != "each":
    os.environ.pop("FLOOR_CALLED", None)
sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from app import application

__all__ = ["application"]
