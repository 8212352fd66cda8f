"""A standalone Spark cluster on loopback: one master and two workers, with ports of their own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Java that starts fast, since a test is over before slower compilers pay.
_SHORT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

#: How little a driver and an executor need.
FRUGAL = {
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_SUBMIT_ARGS": "--driver-memory 512m --executor-memory 512m"
    f" --driver-java-options '{_SHORT}' --conf spark.executor.extraJavaOptions='{_SHORT}'"
    " --conf spark.sql.shuffle.partitions=2 pyspark-shell",
}


class Cluster:
    """A cluster that runs.

    Attributes:
        master: its address.
        processes: the master, and each worker with its executors, as the leaders of groups.
    """

    def __init__(self, folder: Path) -> None:
        self.master = ""
        self.processes: list[subprocess.Popen[bytes]] = []
        self._folder = folder

    def start(self) -> None:
        log = self._start("master.Master")
        self.master = _found(log, r"Starting Spark master at (spark://\S+)")
        for number in ("0", "1"):
            work = self._folder / number
            words = ["--cores", "1", "--memory", "600m", "--work-dir", str(work), self.master]
            log = self._start("worker.Worker", *words)
            _found(log, "(Successfully registered) with master")

    def _start(self, name: str, *words: str) -> Path:
        java = parts.need_program("java")
        spec = importlib.util.find_spec("pyspark")
        assert spec
        assert spec.origin
        home = Path(spec.origin).parent
        log = self._folder / f"{len(self.processes)}.log"
        scala = next(home.glob("jars/spark-core_*")).name.split("_")[1].partition("-")[0]
        command = [
            java,
            *_SHORT.split(),
            "-Xmx256m",
            "-cp",
            f"{home}/jars/*",
            f"org.apache.spark.deploy.{name}",
        ]
        command += ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0", *words]
        with log.open("wb") as file:
            self.processes.append(
                subprocess.Popen(
                    command,
                    stdout=file,
                    stderr=file,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    env={
                        **os.environ,
                        "SPARK_HOME": str(home),
                        "SPARK_SCALA_VERSION": scala,
                        **FRUGAL,
                    },
                )
            )
        return log

    def executor_log(self, worker: int) -> str:
        """Return what the last executor of a worker, 0 or 1, has said."""
        logs = list(self._folder.glob(f"{worker}/app-*/*/stderr"))
        return max(logs, key=os.path.getmtime).read_text() if logs else ""

    def kill(self, number: int) -> None:
        """Kill the master (0) or a worker (1, 2) with its executors."""
        os.killpg(self.processes[number].pid, signal.SIGKILL)
        self.processes[number].wait()

    def stop(self) -> None:
        for number, process in enumerate(self.processes):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self.kill(number)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Yield a cluster; leave the test out if PySpark or Java is missing."""
    parts.need("pyspark", "sqlglot")
    parts.need_program("java")
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _found(log: Path, pattern: str) -> str:
    wait_for(lambda: re.search(pattern, log.read_text()))
    found = re.search(pattern, log.read_text())
    assert found
    return found[1]
