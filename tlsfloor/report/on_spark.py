"""Reads event files by a Spark cluster, which groups lines where the files are.

Spark would replace bytes that are not UTF-8 when it looks into a line. So each byte of a line
becomes one character there, and a byte again here. Then lines are judged as the reader judges them.
Spark's sums are compared with the sizes of the files, so no part of a file can be lost.

What Spark would read in another way is read by the reader of events, if the file is on this
machine: a file that is compressed and is not called so, or that begins with a byte order mark.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import socket
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.report import groups
from tlsfloor.report.documents import is_document
from tlsfloor.report.groups import Group
from tlsfloor.report.reader import LONGEST, NAMES, SCHEMA, EventFiles, decode
from tlsfloor.report.tally import Tally

#: Seconds without any executor after which the cluster is given up.
PATIENCE = 90.0

# The first and the last bytes of so many files are a sample, which shows how wide a slot can be.
_SAMPLE, _MOST_SAMPLED = 4096, 200

_MASTER = re.compile(r"local(\[.*\])?|yarn|k8s://.+|spark://[^,/\s]+:\d+(,[^,/\s]+:\d+)*")

# What a line is: characters that are the bytes of it.
_LINES = (
    "_metadata.file_path AS path",
    "decode(cast(value AS BINARY), 'ISO-8859-1') AS line",
)

_MACHINES = "Spark does not read reports of machines: read them without --spark"

# What Spark says of a compressed file that is not whole, and which file it is.
_TORN = re.compile(
    r"EOFException|ZipException|not a gzip file|incorrect (header|data) check|ZlibDecompressor"
)
_NAMED = re.compile(r"reading file (\S+?)\.?\s")

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
        "masters are unresponsive|Master removed|stopped SparkContext|SparkContext was shut down",
        "the master of Spark does not answer",
        "check that it runs, and that it reaches this machine (SPARK_LOCAL_IP is its address)",
    ),
]


class _File(NamedTuple):
    """A file for Spark: its name in the report, its address, and what the reader needs."""

    path: str
    address: str
    size: int
    named: bool
    is_here: bool


class SparkFiles(EventFiles):
    """Reads files by Spark."""

    def __init__(
        self, tally: Tally, master: str, progress: Callable[[], object] = bool
    ) -> None:
        """Count in ``tally``; ``master`` is the address of a cluster.

        Raises:
            ImportError, PolicyError, VerifyError: this cannot be done.
        """
        _check(master)
        super().__init__(tally, progress)
        self._master = master
        self._waiting: list[_File] = []
        self._urls: list[str] = []
        self._sample = Tally()

    def _path(self, path: str, *, named: bool, again: bool = False) -> None:
        if "://" in path:
            self._urls.append(path)
        else:
            super()._path(path, named=named, again=again)

    def put_off(self, _path: str, _size: int, *, named: bool) -> bool:
        """Remember a file, if Spark reads it as the reader does."""
        path = os.path.abspath(_path)
        with open(path, "rb") as file:
            begin = file.read(_SAMPLE)
            file.seek(max(0, _size - _SAMPLE))
            end = file.read(_SAMPLE)
        if not _is_usual(path, begin):
            return False
        if begin[:2] == b"\x1f\x8b":
            with contextlib.suppress(EOFError, OSError, zlib.error), gzip.open(path) as file:
                begin, end = file.read(_SAMPLE), b""
        self._waiting.append(_File(_path, f"file:{path}", _size, named, is_here=True))
        self._add_to_sample(begin, end)
        return True

    def finish(self) -> None:
        """Read the files that wait."""
        if self._waiting or self._urls:
            with _started(self._master) as context:
                for url in self._urls:
                    self._find(context, url)
                while not self._read_by_spark(context):
                    pass
        super().finish()

    def _add_to_sample(self, begin: bytes, end: bytes) -> None:
        for line in [*begin.split(b"\n")[:-1], *end.split(b"\n")[1:]]:
            with contextlib.suppress(
                AttributeError, RecursionError, StopIteration, TypeError, ValueError
            ):
                event = decode(line)
                if event.get("schema") == SCHEMA:
                    self._sample.take(event)

    def _find(self, context: Any, url: str) -> None:
        """Remember the files at an address."""
        folder = context._jvm.org.apache.hadoop.fs.Path(url)
        system = folder.getFileSystem(context._jsc.hadoopConfiguration())
        try:
            is_file = system.getFileStatus(folder).isFile()
        except Exception as error:
            if "FileNotFoundException" not in str(error):
                raise
            self._problem(url, "No such file or directory")
            return
        found = system.listFiles(folder, True)
        before = len(self._waiting)
        names_before = {each.address for each in self._waiting}
        while found.hasNext():
            status = found.next()
            address = str(status.getPath().toString())
            if address in names_before or not (is_file or NAMES.search(address)):
                continue
            name = address if "://" in address else address.replace("file:", "file://", 1)
            file = _File(name, address, int(status.getLen()), is_file, is_here=False)
            if _is_usual(address, b"\x1f\x8b" if address.endswith(".gz") else b""):
                self._waiting.append(file)
            else:
                self._problem(name, "Spark does not read a file of such a name")
        files = self._waiting[before:]
        if not files and not is_file:
            self._problem(url, "no file in it ends in .jsonl or .json")
        for each in files[:: len(files) // _MOST_SAMPLED + 1]:
            if each.address.endswith(".gz"):
                continue
            stream = system.open(context._jvm.org.apache.hadoop.fs.Path(each.address))
            begin = bytes(stream.readNBytes(_SAMPLE))
            stream.seek(max(0, each.size - _SAMPLE))
            self._add_to_sample(begin, bytes(stream.readNBytes(_SAMPLE)))
            stream.close()

    def _read_by_spark(self, context: Any) -> bool:
        """Count what is in the files; return False if one must be left out, and nothing counted."""
        if not self._waiting:
            return True
        files = {_plain(each.address): each for each in self._waiting}
        rows = _Rows(context, files, self._sample.timeline.width)
        try:
            groups.judge(self._tally, self, rows)
        except Exception as error:
            named = _NAMED.search(str(error))
            torn = files.get(_plain(unquote(named[1]))) if named else None
            if rows.has_begun or torn is None or not _TORN.search(str(error)):
                raise
            self._waiting.remove(torn)
            if torn.is_here:
                self._path(torn.path, named=torn.named, again=True)
            else:
                self._problem(torn.path, "not read: it is no gzip file, or is cut short")
            return False
        for path, file in files.items():
            self._compare(file, rows.seen.get(path))
            self.files += 1
            self._progress()
        self._waiting = []
        return True

    def _compare(self, file: _File, seen: _Seen | None) -> None:
        """Remember what is wrong with a file, if Spark did not read all of it as it is."""
        seen = seen or _Seen()
        is_gzip = file.address.endswith(".gz")
        # An empty gzip file has 20 bytes and its name.
        if seen.size < (file.size > 300 if is_gzip else file.size):
            self._problem(file.path, f"Spark read {seen.size:,} of {file.size:,} bytes of it")
        if seen.has_machines:
            self._problem(file.path, _MACHINES)
        if seen.is_compressed:
            self._problem(file.path, "compressed, but its name does not end in .gz")
        if file.named and not seen.has_content:
            self._problem(file.path, "no event and no report in it")


class _Seen:
    """What Spark read of a file; the bytes are those of lines with a newline each."""

    size = 0
    has_content = has_machines = is_compressed = False

    def add(self, key: bytes, row: Group) -> None:
        self.size += row.size + row.lines
        self.has_content = self.has_content or bool(key.strip())
        self.is_compressed = self.is_compressed or key[:2] == b"\x1f\x8b"
        if is_document(key) and not 8 < len(key) < LONGEST:
            self.has_machines = True


class _Rows:
    """The rows of Spark's answer.

    Attributes:
        has_begun: whether any was taken.
        seen: the plain address of a file -> what was read of it.
    """

    def __init__(self, context: Any, files: dict[str, _File], width: int) -> None:
        self.has_begun = False
        self.seen: dict[str, _Seen] = {}
        self._context, self._files, self._width = context, files, width

    def __iter__(self) -> Iterator[Group]:
        from pyspark.sql import SparkSession

        session = SparkSession(self._context)
        read = session.read.options(
            lineSep="\n",
            recursiveFileLookup="true",  # a folder `day=1` adds no column
            ignoreCorruptFiles="false",
            ignoreMissingFiles="false",
        )
        patterns = [re.sub(r"([*?\[\]{}\\])", r"\\\1", file.address) for file in self._files.values()]
        lines = read.text(patterns).selectExpr(*_LINES)
        lines.createOrReplaceTempView("lines")
        found = session.sql(groups.query_for("spark", self._width))
        for each in found.toLocalIterator():
            self.has_begun = True
            row = Group._make(each)
            key = None if row.key is None else str(row.key).encode("latin-1")
            path = _plain(unquote(row.path)) if row.path else ""
            if path:
                self.seen.setdefault(path, _Seen()).add(key or b"", row)
            name = self._files[path].path if path in self._files else path
            yield row._replace(key=key, path=name, size=row.size or 0)


def _is_usual(address: str, begin: bytes) -> bool:
    """Return whether Spark finds a file of this name, and reads it as its content demands."""
    return (
        os.path.basename(address)[:1] not in {".", "_"}
        and address.isprintable()
        and begin[:3] != b"\xef\xbb\xbf"
        and address.endswith(".gz") == (begin[:2] == b"\x1f\x8b")
        and not address.endswith((".bz2", ".xz", ".zst", ".deflate", ".lz4", ".snappy"))
    )


def _plain(address: str) -> str:
    """Return an address as one of its spellings: Java writes ``file:/x`` and ``file:///x``."""
    return re.sub("^file:/+", "file:/", address)


def _check(master: str) -> None:
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
def _started(master: str) -> Iterator[Any]:
    """Yield a connection to the cluster. What goes wrong becomes one error with a hint."""
    import pyspark
    from pyspark.java_gateway import launch_gateway

    lost, done = threading.Event(), threading.Event()
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
    conf = pyspark.SparkConf().setMaster(master).setAppName("tlsfloor report")
    conf.setAll(list(settings.items()))
    is_kept = False
    log = tempfile.NamedTemporaryFile(prefix="tlsfloor-spark-", suffix=".log", delete=False)
    try:
        gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
        with pyspark.SparkContext(conf=conf, gateway=gateway) as context:
            if not master.startswith("local"):
                arguments = (context, done, lost)
                threading.Thread(target=_watch, args=arguments, daemon=True).start()
            yield context
    except VerifyError:
        raise
    except Exception as error:
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
                problem = problem.format(version=pyspark.__version__)
                why = found[0].strip()[:300]
                return VerifyError(f"{problem}: {why} (log: {log})", hint=hint)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("\tat ")]
    why = " ".join(lines[:2])[:500]
    return VerifyError(f"Spark failed, so there is no answer: {why}", hint=f"see {log}")
