"""Programs that measure what tlsfloor costs, compared with doing without it or with other tools."""

from __future__ import annotations

import sysconfig
from pathlib import Path

#: The programs that ``python -m benchmarks`` runs, and those that it runs only if they are named.
PROGRAMS = ("starts", "gates", "metrics", "data", "threads", "verifier", "commands")
ON_REQUEST = ("many", "rebuild", "fleet")

#: The folder of the results, from which the page is written.
RESULTS = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks"

#: The suffix of a result file that a free-threaded Python wrote.
FREE_THREADED = "-free-threaded"
VARIANT = FREE_THREADED if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
