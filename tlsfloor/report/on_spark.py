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
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from tlsfloor.report import groups
from tlsfloor.report.documents import is_document
from tlsfloor.report.groups import SqlRow
from tlsfloor.report.reader import LONGEST, NAMES, Engine, EventFiles, File
from tlsfloor.report.spark_driver import check, started
from tlsfloor.report.tally import Tally

# The first and the last bytes of so many files are a sample, which shows how wide a slot can be.
_SAMPLE, _MOST_SAMPLED = 4096, 200

# What a line is: characters that are the bytes of it.
_LINES = (
    "_metadata.file_path AS path",
    "decode(cast(value AS BINARY), 'ISO-8859-1') AS line",
)

_MACHINES = "Spark does not read reports of machines: leave --spark out"

# What Spark says of a compressed file that is not whole, and which file it is.
_TORN = re.compile(
    r"EOFException|ZipException|not a gzip file|incorrect (header|data) check|ZlibDecompressor"
)
_NAMED = re.compile(r"reading file (\S+?)\.?\s")


class _File(NamedTuple):
    """A file for Spark: its address, and the file for the reader, which has its name there."""

    address: str
    known: File
    is_here: bool


class Spark(Engine):
    """Reads files by Spark."""

    reads_addresses = True

    def __init__(self, master: str) -> None:
        """Use a cluster; ``master`` is its address.

        Raises:
            ImportError, PolicyError, VerifyError: this cannot be done.
        """
        check(master)
        self._master = master
        self._waiting: list[_File] = []
        self._sample = Tally()

    def read(self, files: EventFiles, found: list[File]) -> list[File]:
        """Count what Spark can read; return the other files."""
        urls = [file.path for file in found if "://" in file.path]
        rest = [file for file in found if "://" not in file.path and not self._put_off(file)]
        if self._waiting or urls:
            with started(self._master) as context:
                for url in urls:
                    self._find(files, context, url)
                while self._waiting:
                    rest += self._read(files, context)
        return rest

    def _put_off(self, known: File) -> bool:
        """Remember a file, if Spark reads it as the reader does."""
        path = os.path.abspath(known.path)
        try:
            with open(path, "rb") as file:
                begin = file.read(_SAMPLE)
                file.seek(max(0, known.size - _SAMPLE))
                end = file.read(_SAMPLE)
        except OSError:
            return False
        if not _is_usual(path, begin):
            return False
        if begin[:2] == b"\x1f\x8b":
            with contextlib.suppress(EOFError, OSError, zlib.error), gzip.open(path) as file:
                begin, end = file.read(_SAMPLE), b""
        self._waiting.append(_File(f"file:{path}", known, is_here=True))
        groups.sample(self._sample, begin, end)
        return True

    def _find(self, files: EventFiles, context: Any, url: str) -> None:
        """Remember the files at an address."""
        folder = context._jvm.org.apache.hadoop.fs.Path(url)
        system = folder.getFileSystem(context._jsc.hadoopConfiguration())
        try:
            is_file = system.getFileStatus(folder).isFile()
        except Exception as error:
            if "FileNotFoundException" not in str(error):
                raise
            files.add_problem(url, "No such file or directory")
            return
        found = system.listFiles(folder, True)  # noqa: FBT003 - Java knows no names
        known = {each.address for each in self._waiting}
        new, is_empty = [], not is_file
        while found.hasNext():
            status = found.next()
            address = str(status.getPath().toString())
            if not (is_file or NAMES.search(address)):
                continue
            is_empty = False
            name = address if "://" in address else address.replace("file:", "file://", 1)
            file = File(name, int(status.getLen()), is_file)
            if not _is_usual(address, b"\x1f\x8b" if address.endswith(".gz") else b""):
                files.add_problem(name, "Spark does not read a file of such a name")
            elif address not in known:
                new.append(_File(address, file, is_here=False))
        self._waiting += new
        if is_empty:
            files.add_problem(url, "no file in it ends in .jsonl or .json")
        for each in new[:: len(new) // _MOST_SAMPLED + 1]:
            if each.address.endswith(".gz"):
                continue
            stream = system.open(context._jvm.org.apache.hadoop.fs.Path(each.address))
            begin = bytes(stream.readNBytes(_SAMPLE))
            stream.seek(max(0, each.known.size - _SAMPLE))
            groups.sample(self._sample, begin, bytes(stream.readNBytes(_SAMPLE)))
            stream.close()

    def _read(self, files: EventFiles, context: Any) -> list[File]:
        """Count what is in the files, or leave out one, and count nothing.

        Return what the reader is to read.
        """
        waiting = {_plain(each.address): each for each in self._waiting}
        rows = _Rows(context, waiting, self._sample.timeline.width)
        try:
            groups.judge(files, rows)
        except Exception as error:
            named = _NAMED.search(str(error))
            torn = waiting.get(_plain(unquote(named[1]))) if named else None
            if rows.has_begun or torn is None or not _TORN.search(str(error)):
                raise
            self._waiting.remove(torn)
            if torn.is_here:
                return [torn.known]
            files.add_problem(torn.known.path, "not read: it is no gzip file, or is cut short")
            return []
        for path, file in waiting.items():
            for problem in (rows.seen.get(path) or _Seen()).problems(file.known):
                files.add_problem(file.known.path, problem)
            files.add_file()
        self._waiting = []
        return []


class _Seen:
    """What Spark read of a file; the bytes are those of lines with a newline each."""

    size = 0
    has_content = has_machines = is_compressed = False

    def add(self, key: bytes, row: SqlRow) -> None:
        self.size += row.size + row.lines
        self.has_content = self.has_content or bool(key.strip())
        self.is_compressed = self.is_compressed or key[:2] == b"\x1f\x8b"
        if is_document(key) and not 8 < len(key) < LONGEST:
            self.has_machines = True

    def problems(self, file: File) -> Iterator[str]:
        """Yield what is wrong with a file, if Spark did not read all of it as it is."""
        # An empty gzip file has 20 bytes and its name.
        if self.size < (file.size > 300 if file.path.endswith(".gz") else file.size):
            yield f"Spark read {self.size:,} of {file.size:,} bytes of it"
        if self.has_machines:
            yield _MACHINES
        if self.is_compressed:
            yield "compressed, but its name does not end in .gz"
        if file.named and not self.has_content:
            yield "no event and no report in it"


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

    def __iter__(self) -> Iterator[SqlRow]:
        from pyspark.sql import SparkSession

        session = SparkSession(self._context)
        read = session.read.options(
            lineSep="\n",
            recursiveFileLookup="true",  # a folder `day=1` adds no column
            ignoreCorruptFiles="false",
            ignoreMissingFiles="false",
        )
        patterns = [
            re.sub(r"([*?\[\]{}\\])", r"\\\1", file.address) for file in self._files.values()
        ]
        lines = read.text(patterns).selectExpr(*_LINES)
        lines.createOrReplaceTempView("lines")
        found = session.sql(groups.query_for("spark", self._width))
        for each in found.toLocalIterator():
            self.has_begun = True
            row = SqlRow._make(each)
            key = None if row.key is None else str(row.key).encode("latin-1")
            path = _plain(unquote(row.path)) if row.path else ""
            if path:
                self.seen.setdefault(path, _Seen()).add(key or b"", row)
            name = self._files[path].known.path if path in self._files else path
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
