"""Connects to a Spark cluster, and says in one error with a hint what went wrong there.

PySpark drives a process of Java, which talks to the cluster. What that process says is in a file,
which an error names, and which is removed if there is none.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from tlsfloor.errors import PolicyError, VerifyError

#: Seconds without any executor after which the cluster is given up.
PATIENCE = 90.0

_MASTER = re.compile(r"local(\[.*\])?|yarn|k8s://.+|spark://[^,/\s]+:\d+(,[^,/\s]+:\d+)*")

_SETTINGS = "PYSPARK_SUBMIT_ARGS='{} pyspark-shell'"

# What is in an error of Spark, or else in what Java said -> what that means, and what helps.
_MEANINGS = [
    (
        "local class incompatible|InvalidClassException",
        "PySpark {version} and the cluster are of different versions",
        "pip install pyspark==VERSION, with the version that the page of the master shows",
    ),
    (
        "UnsupportedClassVersionError",
        "Java is too old for PySpark {version}",
        "install Java 17 or a newer one, and set JAVA_HOME to its folder",
    ),
    (
        "No FileSystem for scheme|FileSystem not found",
        "Spark has no package for this kind of address",
        _SETTINGS.format("--packages org.apache.hadoop:hadoop-aws:VERSION")
        + ", with the version of hadoop-client-api in the folder pyspark/jars",
    ),
    (
        "AccessDenied|AccessControlException|Forbidden|NoAuthWithAWS|[Pp]ermission denied",
        "Spark has no permission to read the files",
        "check what the credentials of this machine and of the workers permit",
    ),
    (
        "FILE_NOT_EXIST|FileNotFoundException|does not exist",
        "a worker of Spark does not find a file",
        "name a folder that each worker has at the same path, or an address like s3a://BUCKET/",
    ),
    (
        "Master removed our application",
        "the executors of Spark ended at once, one after the other",
        "see why in the log of a worker, and in what its executors wrote",
    ),
    (
        "masters are unresponsive|stopped SparkContext|SparkContext was shut down",
        # It writes InvalidClassException into its own log, and sends nothing.
        "the master of Spark does not answer, or does not understand PySpark {version}",
        (
            "look into its log: `Running Spark version` must be that of PySpark (pip install "
            "pyspark==VERSION), and it must reach this machine (SPARK_LOCAL_IP is its address)"
        ),
    ),
]


def check(master: str) -> None:
    """Raise an error if it is clear that the cluster cannot be used."""
    if not _MASTER.fullmatch(master):
        problem = f"--spark {master} is no address of a Spark master"
        raise PolicyError(problem, hint="--spark spark://HOST:7077")
    try:
        import pyspark  # noqa: F401 - to see whether it is there
        import sqlglot  # noqa: F401
    except ImportError as error:
        raise VerifyError(
            f"--spark needs PySpark: {error}", hint="pip install 'tlsfloor[spark]'"
        ) from None
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which(os.path.join(home, "bin", "java")) if home else shutil.which("java")):
        where = f"JAVA_HOME is {home}" if home else "it is not on PATH"
        raise VerifyError(
            f"--spark needs Java, and there is none: {where}",
            hint="install Java 17 or a newer one (apt install default-jre-headless), and set "
            "JAVA_HOME to its folder",
        )
    why = []
    for address in master[8:].split(",") if master.startswith("spark://") else []:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), 5).close()
        except (OSError, OverflowError) as error:
            why.append(f"{address}: {error}")
        else:
            return
    if why:
        raise VerifyError(
            f"the master of Spark cannot be reached: {', '.join(why)}",
            hint="its log names its address: Starting Spark master at spark://HOST:PORT",
        )


@contextlib.contextmanager
def started(master: str) -> Iterator[Any]:
    """Yield a connection to the cluster. What goes wrong becomes one error with a hint."""
    import pyspark
    from pyspark import java_gateway
    from pyspark.logger import PySparkLogger

    for name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True  # they write traces of Java to stderr
    lost, done = threading.Event(), threading.Event()
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
    conf = pyspark.SparkConf().setMaster(master).setAppName("tlsfloor report")
    conf.setAll(list(settings.items()))
    is_kept = False
    log = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it may stay
        "a", prefix="tlsfloor-spark-", suffix=".log", delete=False, encoding="utf-8"
    )
    try:
        launch: Any = java_gateway.launch_gateway
        with contextlib.redirect_stderr(log):  # where PySpark says which pandas it would like
            gateway = launch(conf, {"stdout": log, "stderr": log})
            connection = pyspark.SparkContext(conf=conf, gateway=gateway)
        with connection as context:
            if not master.startswith("local"):
                arguments = (context, done, lost)
                threading.Thread(target=_watch, args=arguments, daemon=True).start()
            yield context
    except VerifyError:
        raise
    except Exception as error:  # noqa: BLE001 - of PySpark, of Java, or of the way between
        is_kept = True
        raise _failure(str(error), log.name, is_lost=lost.is_set()) from None
    finally:
        done.set()
        log.close()
        if not is_kept:
            os.remove(log.name)


def _watch(context: Any, done: threading.Event, lost: threading.Event) -> None:
    """Cancel what runs if there is no executor for a long time. Spark itself waits for ever."""
    last = time.monotonic()
    with contextlib.suppress(Exception):  # the connection to Java was closed
        while not done.wait(1):
            if context._jsc.sc().getExecutorMemoryStatus().size() > 1:  # the driver is one
                last = time.monotonic()
            elif time.monotonic() - last > PATIENCE:
                lost.set()
                context.cancelAllJobs()


def _failure(text: str, log: str, *, is_lost: bool) -> VerifyError:
    """Return the error that says what an error of Spark means."""
    import pyspark

    if is_lost:
        return VerifyError(
            f"no worker of Spark has done anything for {PATIENCE:g} seconds, so there is no answer"
            f" (log: {log})",
            hint="see at the master whether workers have free cores and memory; set what to take: "
            + _SETTINGS.format("--total-executor-cores 4 --executor-memory 1g"),
        )
    with open(log, encoding="utf-8", errors="replace") as file:
        said = file.read()
    for source in (text, said):
        for pattern, problem, hint in _MEANINGS:
            found = re.search(f".*({pattern}).*", source)
            if found:
                what = problem.format(version=pyspark.__version__)
                why = found[0].strip(" :")[:300]
                return VerifyError(f"{what}: {why} (log: {log})", hint=hint)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("\tat ")]
    why = " ".join(lines[:2])[:500]
    return VerifyError(f"Spark failed, so there is no answer: {why}", hint=f"see {log}")
