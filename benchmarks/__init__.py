"""Programs that measure what tlsfloor costs, each beside what it stands for or against."""

from __future__ import annotations

import sysconfig
from pathlib import Path

#: What ``python -m benchmarks`` runs; and what it runs only by name.
PROGRAMS = ("starts", "gates", "data", "threads", "verifier")
ON_REQUEST = ("rebuild",)

#: Where the files go that the page is made of.
RESULTS = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks"

#: What follows the name of a program in that of its file, where a free-threaded Python ran it.
FREE_THREADED = "-free-threaded"
VARIANT = FREE_THREADED if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
