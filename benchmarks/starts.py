"""The start of a Python with the bootstrap folder; beside an empty ``sitecustomize``.

The peers change or watch a process in the same way, through the same PYTHONPATH: for those that are
started by a command of their own, the folder that this puts there; the command itself, which is
another start of Python, is left out. What would ask the network is switched off in them.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import (
    BOOTSTRAP,
    Row,
    empty_folder,
    environment,
    instructions,
    processor_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = {
    "start of an idle Python": ("pass", 1.05),
    "start with import ssl, urllib3, boto3, redis": ("import ssl, urllib3, boto3, redis", 1.02),
}

#: Programs that load many extension modules without TLS, each of which is looked at.
EXTENSIONS = {
    "start with import numpy": ("import numpy", 1.02),
    "start with import pandas": ("import pandas", 1.02),
}

#: Peers that are a folder of a package, and those that are a ``sitecustomize`` to be written.
FOLDERS = {
    "opentelemetry-instrument": ("opentelemetry.instrumentation", "auto_instrumentation"),
    "ddtrace-run": ("ddtrace", "bootstrap"),
}
WRITTEN = {
    "a post-import hook of wrapt": (
        "import wrapt\nwrapt.when_imported('ssl')(lambda module: None)\n"
    ),
    "truststore, injected": "import truststore\ntruststore.inject_into_ssl()\n",
}

QUIET = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_ENABLED": "false",
    "OPENBLAS_NUM_THREADS": "1",  # no two starts of its threads run as many instructions
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_TRACES_EXPORTER": "none",
}


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield each program, by instructions and by time."""
    with ExitStack() as stack:
        folders = {
            "an empty sitecustomize": stack.enter_context(empty_folder()),
            "tlsfloor": BOOTSTRAP,
        }
        for name, (package, below) in FOLDERS.items() if not quick else ():
            found = find_spec(package)
            if found and found.submodule_search_locations:
                folders[name] = str(Path(found.submodule_search_locations[0], below))
        for name, text in WRITTEN.items() if not quick else ():
            folders[name] = stack.enter_context(tempfile.TemporaryDirectory())
            Path(folders[name], "sitecustomize.py").write_text(text)
        yield from _measured(PROGRAMS, folders, quick=quick)
        if not quick:
            ours = dict(list(folders.items())[:2])  # the others do nothing there
            there = {name: each for name, each in EXTENSIONS.items() if _is_there(each[0])}
            yield from _measured(there, ours)


def _is_there(program: str) -> bool:
    return find_spec(program.rpartition(" ")[2]) is not None


def _measured(
    programs: dict[str, tuple[str, float]], folders: dict[str, str], *, quick: bool = False
) -> Iterator[Row]:
    for name, (program, most) in programs.items():
        command = [sys.executable, "-c", program]
        for folder in folders.values():  # their byte code is written
            processor_seconds(command, environment(folder, **QUIET))
        for unit, measure, rounds in (
            ("integer", instructions, 1),
            ("second", processor_seconds, 15),
        ):
            variants = {
                each: partial(measure, command, environment(folder, **QUIET))
                for each, folder in folders.items()
            }
            goal = most if unit == "integer" else 0
            yield Row(name, unit, variants, most=goal, rounds=rounds)
            if quick:
                return
