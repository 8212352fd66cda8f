"""psycopg in Python, over the libpq that a wheel brings: not every machine has one of its own."""

import ctypes.util
import importlib.util
import os
from pathlib import Path


def use():
    """Let the psycopg that is imported next be that one."""
    os.environ["PSYCOPG_IMPL"] = "python"
    site = Path(importlib.util.find_spec("psycopg_binary").origin).parents[1]
    file = str(next(site.glob("psycopg_binary.libs/libpq-*")))
    before = ctypes.util.find_library
    ctypes.util.find_library = lambda name: file if name == "pq" else before(name)
