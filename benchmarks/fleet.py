"""Reading a day of a fleet: Python, DuckDB and Spark, compared with ``jq`` and ``grep``.

``FLEET_LINES`` is the largest number of lines that is read (default: 10000000). It takes 5 GB of
disk, and some minutes for each of the sizes.
"""

from __future__ import annotations

import glob
import os
import resource
import subprocess
import sys
import tempfile
import threading
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pyperf

from benchmarks import fleet_events
from benchmarks.measure import Row, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIZES = (10**5, 10**6, 10**7)

#: The first name is what the others are compared with.
PYTHON, DUCKDB, SPARK, JQ, GREP = "Python reader", "DuckDB", "Spark", "jq", "grep -c"

#: Handshakes by version, the least that a report needs. A line that is not JSON is left out.
QUERY = """
reduce (inputs | fromjson? | objects | select(.kind == "handshake")) as $event
({}; .[$event.version // ""] += ($event.count | numbers) // 0)
"""

#: Only the lines of handshakes below 1.2, and without their counts.
PATTERN = '"version": "TLS 1.[01]"'

#: Seconds between two looks at the memory of a command.
INTERVAL = 0.02

#: Bytes of a page of memory. A command that ends before the first look has at least one.
PAGE = resource.getpagesize()


#: Start the command with one of the two readers, whatever the size of the files.
START = "from tlsfloor.cli import main; sys.exit(main(sys.argv[1:]))"
WITHOUT_DUCKDB = f"import sys; sys.modules['duckdb'] = None; {START}"
WITH_DUCKDB = f"import sys; from tlsfloor.report import on_duckdb as on; on.LARGE = 0; {START}"

#: Let Spark group the lines, and report from the rows that it writes.
WITH_SPARK = """
import os, sys, tempfile
from pyspark.sql import SparkSession
from tlsfloor.cli import main
from tlsfloor.report.groups import query_for
master, folder = sys.argv[1:]
spark = SparkSession.builder.master(master).config("spark.ui.enabled", "false").getOrCreate()
files = spark.read.option("lineSep", "\\n").text(os.path.join(folder, "*.jsonl"))
files.selectExpr("input_file_name() AS path", "value AS line").createOrReplaceTempView("lines")
with tempfile.TemporaryDirectory() as made:
    rows = os.path.join(made, "rows")
    spark.sql(query_for("spark")).write.option("ignoreNullFields", "false").json(rows)
    spark.stop()
    sys.exit(main(["report", "--quiet", "--format", "json", rows]))
"""


def commands(folder: str) -> dict[str, list[str]]:
    """Return what reads the files of a folder, as far as it is installed here."""
    report = ["report", "--quiet", "--format", "json", folder]
    files = sorted(glob.glob(os.path.join(folder, "*.jsonl")))
    found = {PYTHON: [sys.executable, "-c", WITHOUT_DUCKDB, *report]}
    if find_spec("duckdb"):
        found[DUCKDB] = [sys.executable, "-c", WITH_DUCKDB, *report]
    if find_spec("pyspark") and which("java"):
        found[SPARK] = [sys.executable, "-c", WITH_SPARK, f"local[{os.cpu_count()}]", folder]
    if which("jq"):
        found[JQ] = ["jq", "-nR", QUERY, *files]
    return {**found, GREP: ["grep", "-c", "--text", PATTERN, *files]}


class Measured:
    """Runs of commands: how long each took, its processor time, and the memory of its processes."""

    def __init__(self, commands: Mapping[str, list[str]]) -> None:
        self._commands = commands
        self._processor: dict[str, float] = {}
        self._memory: dict[str, int] = {}

    def seconds(self, name: str) -> float:
        """Run a command, and return its seconds."""
        # grep stops at the first line if its output is /dev/null.
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as printed:
            begin = pyperf.perf_counter()
            process = subprocess.Popen(
                self._commands[name],
                env=environment(),
                stdout=printed,
                stderr=said,
                start_new_session=True,
            )
            ended = threading.Event()
            watch = threading.Thread(target=self._watch, args=(name, process.pid, ended))
            watch.start()
            _, status, usage = os.wait4(process.pid, 0)
            taken = float(pyperf.perf_counter() - begin)
            process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
            ended.set()
            watch.join()
            said.seek(0)
            # 1 and 3 are answers: the floor would break something, and lines were damaged.
            assert process.returncode in (0, 1, 3), said.read()
        # A process that nobody has waited for is only in what was seen while it ran.
        waited = usage.ru_utime + usage.ru_stime
        self._processor[name] = max(self._processor[name], waited)
        return taken

    def processor(self, name: str) -> float:
        """Return the processor time of the last run, in seconds."""
        return self._processor[name]

    def memory(self, name: str) -> int:
        """Return the most memory of the runs so far, in bytes."""
        return self._memory[name]

    def _watch(self, name: str, session: int, ended: threading.Event) -> None:
        # (The maximum that the kernel knows of a process includes what its parent had at the fork.)
        ticks: dict[str, int] = {}
        last = False
        while not last:
            last = ended.wait(INTERVAL)
            resident = 0
            for process, used, pages in _processes(session):
                ticks[process] = used
                resident += pages * PAGE
            self._memory[name] = max(self._memory.get(name, PAGE), resident)
        self._processor[name] = sum(ticks.values()) / os.sysconf("SC_CLK_TCK")


def _processes(session: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, ticks and resident pages of each process of a session: a command begins one.

    A page that several processes share is one of each.
    """
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            yield str(path), int(fields[11]) + int(fields[12]), int(fields[21])


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows for the time and the memory of each size."""
    most = int(os.environ.get("FLEET_LINES", SIZES[-1]))
    for lines in (1000,) if quick else SIZES:
        if lines > most:
            return
        with tempfile.TemporaryDirectory() as folder:
            fleet_events.write_day(Path(folder), lines)
            found = commands(folder)
            if quick:  # it takes seconds to start
                found.pop(SPARK, None)
            measured = Measured(found)
            for name, unit, measure in (
                ("time", "second", measured.seconds),
                ("processor time", "second", measured.processor),
                ("memory", "byte", measured.memory),
            ):
                yield Row(
                    f"{lines} lines of events: {name}",
                    unit,
                    {each: partial(measure, each) for each in found},
                    rounds=3 if lines == SIZES[0] and name == "time" else 1,
                    again=False,
                )
