"""The start of a Python with tlsfloor on ``PYTHONPATH``, compared with an empty ``sitecustomize``.

The first rows are from a bare virtual environment, as ``python -m venv`` makes it: with the
bootstrap folder, and with a bundle. For the bundle and the file that it is compared with, no
bytecode is written, as on a read-only mount.

The other rows are from an environment with packages, and include other tools that change or observe
a process at its start. Some of these have a command that puts a folder on ``PYTHONPATH``. Here only
that folder is used, because the command is a Python of its own. Their access to the network is
switched off.
"""

from __future__ import annotations

import shutil
import subprocess
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
from tlsfloor.deploy import bundle_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Row -> the program, and the goals for the folder and for the bundle.
BARE = {
    "start of an idle Python": ("pass", 1.02, 1.1),
    "start with import ssl and a context": (
        "import ssl; ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)",
        1.05,
        1.15,
    ),
}

PROGRAMS = {
    "start of an idle Python, with packages": ("pass", 0),
    "start with import ssl, urllib3, boto3, redis": ("import ssl, urllib3, boto3, redis", 1.02),
}

#: Programs that load many extension modules without TLS. The hooks check each of them.
EXTENSIONS = {
    "start with import numpy": ("import numpy", 1.02),
    "start with import pandas": ("import pandas", 1.02),
}

#: The other tools: folders in a package, and texts of a ``sitecustomize``.
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
    "OPENBLAS_NUM_THREADS": "1",  # its threads make the count vary
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_TRACES_EXPORTER": "none",
}


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows for bare starts, by instructions, and the others, by time too."""
    with tempfile.TemporaryDirectory() as folder:
        yield from bare(Path(folder), quick=quick)
    if not quick:
        yield from compared()


def bare(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Yield the rows for a Python without packages."""
    venv = [sys.executable, "-m", "venv", *["--without-pip"][: int(quick)], str(folder / "venv")]
    subprocess.run(venv, check=True)
    python = str(folder / "venv" / "bin" / "python")
    bundle_folder.make_bundle(str(folder / "bundle"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(folder / "bundle", folder / "sources", ignore=ignored)
    mounted = {
        "a bundle": str(folder / "bundle" / bundle_folder.BOOTSTRAP),
        "a bundle without bytecode": str(folder / "sources" / bundle_folder.BOOTSTRAP),
    }
    for name, (program, most, most_of_a_bundle) in BARE.items():
        for what, folders, goal, more in (
            (name, {"tlsfloor": BOOTSTRAP}, most, {}),
            (
                f"{name}, read-only",
                mounted,
                most_of_a_bundle,
                {"PYTHONDONTWRITEBYTECODE": "1"},
            ),
        ):
            with empty_folder() as fresh:  # without bytecode of the other row
                variants = {}
                for each, path in {"an empty sitecustomize": fresh, **folders}.items():
                    env = environment(path, **more)
                    del env["PYTHONPYCACHEPREFIX"]  # a bundle has its own
                    command = [python, "-c", program]
                    processor_seconds(command, env)  # writes the bytecode, where possible
                    variants[each] = partial(instructions, command, env)
                yield Row(what, "integer", variants, most=goal, rounds=1)
            if quick:
                return


def compared() -> Iterator[Row]:
    """Yield the rows for this Python with its packages, compared with other tools."""
    with ExitStack() as stack:
        folders = {
            "an empty sitecustomize": stack.enter_context(empty_folder()),
            "tlsfloor": BOOTSTRAP,
        }
        for name, (package, below) in FOLDERS.items():
            found = find_spec(package)
            if found and found.submodule_search_locations:
                folders[name] = str(Path(found.submodule_search_locations[0], below))
        for name, text in WRITTEN.items():
            folders[name] = stack.enter_context(tempfile.TemporaryDirectory())
            Path(folders[name], "sitecustomize.py").write_text(text)
        yield from _measured(PROGRAMS, folders)
        ours = dict(list(folders.items())[:2])  # the other tools do nothing there
        there = {name: each for name, each in EXTENSIONS.items() if _is_there(each[0])}
        yield from _measured(there, ours)


def _is_there(program: str) -> bool:
    return find_spec(program.rpartition(" ")[2]) is not None


def _measured(programs: dict[str, tuple[str, float]], folders: dict[str, str]) -> Iterator[Row]:
    for name, (program, most) in programs.items():
        command = [sys.executable, "-c", program]
        for folder in folders.values():  # writes the bytecode
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
