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
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from tlsfloor.report import groups
from tlsfloor.report.documents import is_document
from tlsfloor.report.groups import Group
from tlsfloor.report.reader import LONGEST, NAMES, SCHEMA, EventFiles, decode
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
    """A file for Spark: its name in the report, its address, and what the reader needs."""

    path: str
    address: str
    size: int
    named: bool
    is_here: bool


class SparkFiles(EventFiles):
    """Reads files by Spark."""

    def __init__(self, tally: Tally, master: str, progress: Callable[[], object] = bool) -> None:
        """Count in ``tally``; ``master`` is the address of a cluster.

        Raises:
            ImportError, PolicyError, VerifyError: this cannot be done.
        """
        check(master)
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
            with started(self._master) as context:
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
        found = system.listFiles(folder, True)  # noqa: FBT003 - Java knows no names
        known = {each.address for each in self._waiting}
        files, is_empty = [], not is_file
        while found.hasNext():
            status = found.next()
            address = str(status.getPath().toString())
            if not (is_file or NAMES.search(address)):
                continue
            is_empty = False
            name = address if "://" in address else address.replace("file:", "file://", 1)
            file = _File(name, address, int(status.getLen()), is_file, is_here=False)
            if not _is_usual(address, b"\x1f\x8b" if address.endswith(".gz") else b""):
                self._problem(name, "Spark does not read a file of such a name")
            elif address not in known:
                files.append(file)
        self._waiting += files
        if is_empty:
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
        patterns = [
            re.sub(r"([*?\[\]{}\\])", r"\\\1", file.address) for file in self._files.values()
        ]
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
