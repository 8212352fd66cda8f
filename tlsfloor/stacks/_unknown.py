"""Finds libraries that carry TLS and are in no row of the table, before they are loaded.

Theory of operation. An extension module brings TLS into a process in two ways. Both can be seen in
its file, before any of its code runs:

1. An implementation is linked into it. Symbols cannot be used, because wheels are stripped. But
   every implementation of TLS 1.0 to 1.2 needs two labels of the protocol, "client finished" and
   "server finished" (RFC 5246 section 7.4.9; RFC 4346 and 2246 likewise). They are constants, so
   only the read-only data of the file is searched. A libcrypto, which has ciphers and no TLS, has
   neither of them; nor has an implementation of TLS 1.3 alone, which cannot go below a floor. Files
   smaller than ``MIN_SIZE`` are not searched.
2. It needs a library that speaks TLS: ``DT_NEEDED`` in its dynamic section. A name such as libssl
   is enough. A library with another name is examined in the same way if it is in one of the folders
   for bundled libraries (``DT_RPATH``, ``DT_RUNPATH``, ``NAME.libs``). The other libraries of the
   system are not opened.

Most extension modules carry no TLS, so they must cost almost nothing. This module only searches for
the labels; ``_unknown_found`` finds out which implementation it is. The headers that are read are
those that the dynamic loader reads (``elf.h``; System V gABI, chapters 4 and 5). A file that is not
ELF, as on macOS and Windows, is searched as a whole.

A library that a program opens itself, by ``ctypes`` or ``dlopen``, is not found here. On Linux
``status()`` and ``require()`` find it among the mapped files.

Only modules that a bare interpreter has loaded are imported: this runs in the middle of an import.
"""

import os
import sys
from _io import FileIO

from tlsfloor import stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec

#: A smaller file, in bytes, holds no implementation of TLS. The smallest clients, for
#: microcontrollers, have about 60 kB of code alone; the smallest that was found in a wheel is a
#: libssl of 764 kB.
MIN_SIZE = 200_000

FINISHED = b"client finished", b"server finished"

#: A part of the name of an implementation that has no version below TLS 1.2.
MODERN = "no TLS below 1.2"

# Bytes that are read at a time, and how many of them are read again with the next.
_CHUNK, _OVERLAP = 1 << 16, 64

#: Packages with many or large modules that many processes load, and that contain no TLS: arrays,
#: tables, numerical routines, estimators, plots, images.
WITHOUT_TLS = {"numpy", "pandas", "scipy", "sklearn", "matplotlib", "PIL"}

#: Modules that need libssl and use the TLS of ssl: PyPy's _ssl is built on the first; the others
#: change TLS objects that ssl has created, and create none.
OF_SSL = {"_pypy_openssl", "_sslkeylog", "sslpsk", "sslpsk2", "sslpsk3"}

# Extension modules of which no file shows that they bring TLS: module -> the TLS.
_HIDDEN = {
    "_jpype": "TLS of Java",
    "jnius": "TLS of Java",
    "pyhdbcli": "an OpenSSL that it opens itself",
}

# Libraries that speak TLS. A file name is "lib", one of these, and then a hash or a version. The
# last two are what ``_unknown_found`` calls the TLS of Windows and macOS.
_TLS_LIBRARIES = (
    " ssl ssl3 gnutls gnutlsxx nss3 s2n mbedtls wolfssl tls curl ldap ldap_r pq mariadb "
    "mariadbclient mysqlclient git2 sybdb rdkafka qpid hiredis_ssl mongoc websockets "
    "Qt5Network Qt6Network "
    "WINHTTP winhttp Schannel Secure Transport "
)

# Libraries that many modules need and that speak no TLS: they are not looked for.
_OTHER_LIBRARIES = (
    " c m z dl rt pthread util stdc++ gcc_s gomp gfortran quadmath crypto python3 openblas "
    "openblas64_ scipy_openblas scipy_openblas64_ ld "
)

# Folders of the standard library: its _ssl is in the table, and its _hashlib needs only libcrypto.
_library = os.path.dirname(getattr(os, "__file__", ""))
_STANDARD = (_library, os.path.join(_library, "lib-dynload"), os.path.join(sys.base_prefix, "DLLs"))

#: The packages of the table. Their other modules need the library of a row, but for the packages
#: that are taken away here: the rows of these are all that they have, and a module of another name
#: is of another version.
ROWS = {row.partition(".")[0] for row in stacks.TABLE} - {
    *("deltalake", "hf_transfer", "impit", "obstore", "opendal"),
    *("primp", "pyqwest", "rnet", "temporalio", "wreq"),
}

# Path -> the TLS in that file, the first library that it needs and that is known to speak TLS, and
# the bundled ones of other names. Many modules may need one library.
_files: "dict[str, tuple[str, str, list[str]]]" = {}


def look(spec: "ModuleSpec") -> str:
    """Return a description of the TLS that an extension module of no row brings; empty if none."""
    path = spec.origin
    top = spec.name.partition(".")[0]
    if top in WITHOUT_TLS or top in ROWS or top in OF_SSL:
        return ""
    if top in _HIDDEN:
        return _HIDDEN[top]
    if path is None or os.path.dirname(path) in _STANDARD:
        return ""
    try:
        return find_tls(path)
    except FileNotFoundError:
        return ""  # the loader has a better message
    except Exception as error:  # noqa: BLE001 - a file may be damaged in any way: report that too
        return f"it cannot be told which: {type(error).__name__}: {error}"


def find_tls(path: str) -> str:
    """Return a description of the TLS that an extension module contains or needs; empty if none.

    Raises:
        OSError: its file cannot be read.
    """
    paths, modern = [path], ""
    for file in paths:  # libraries are added to it; some need each other
        if file not in _files:
            _files[file] = _examine(file)
        linked, needed, bundled = _files[file]
        if linked and file != path:
            linked = f"{os.path.basename(file)} ({linked})"
        if linked and MODERN not in linked:
            return linked
        if needed:
            return needed
        modern = modern or linked  # another library may have older versions
        paths += [library for library in bundled if library not in paths]
    return modern


def _examine(path: str) -> "tuple[str, str, list[str]]":
    with FileIO(path) as file:
        head = file.read(4096) or b""
        size = os.fstat(file.fileno()).st_size
        places = [(0, size)]
        try:
            elf = _ELF(file, head)
            needed, folders = elf.needed()
            if size >= MIN_SIZE:
                places = elf.constants()
        except (ValueError, OverflowError):  # another format, or damaged headers
            from tlsfloor.stacks import _unknown_found

            needed, folders = _unknown_found.needed_by_other(file, size), []
        linked = ""
        if size >= MIN_SIZE and all(contains(file, places, label) for label in FINISHED):
            from tlsfloor.stacks import _unknown_found

            linked = _unknown_found.describe_implementation(file, places)
    bundled = []
    for library in needed:
        name = library.rpartition("/")[2]
        stem = name[3 * name.startswith("lib") :].partition(".")[0].partition("-")[0]
        if f" {stem} " in _TLS_LIBRARIES:
            return linked, name, []
        if f" {stem} " not in _OTHER_LIBRARIES:
            bundled.append(_bundled(path, library, folders))
    return linked, "", [file for file in bundled if file]


class _ELF:
    """The headers of a shared object of 32 or 64 bits, by the names of ``elf.h``.

    Numbers have the byte order of this machine: a file with another one could not be loaded.
    """

    __slots__ = ("file", "head", "segments", "wide")

    def __init__(self, file: FileIO, head: bytes) -> None:
        if head[:4] != b"\x7fELF" or len(head) < 64:
            raise ValueError("of another format")
        self.file = file
        self.head = head
        self.wide = head[4] == 2  # EI_CLASS
        # e_phoff, e_phentsize and sizeof(Elf64_Phdr); p_type, p_flags, p_offset, p_vaddr, p_filesz
        self.segments = (
            self.table(32, 54, 56, 0, 1, 1, 2, 4)
            if self.wide
            else self.table(28, 42, 32, 0, 6, 1, 2, 4)
        )

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the file; fewer at its end."""
        self.file.seek(offset)
        return self.file.read(size) or b""

    def words(self, data: bytes) -> "memoryview":
        """Return data as numbers of 32 or 64 bits, as the file has them."""
        return memoryview(data).cast("Q" if self.wide else "I")

    def table(
        self, where: int, sizes: int, size: int, first: int, second: int, *fields: int
    ) -> "list[list[int]]":
        """Return fields of each entry of a table: two of four bytes, the others of a whole word.

        Their positions are counted in units of their own size.
        """
        start = int.from_bytes(self.head[where : where + (8 if self.wide else 4)], sys.byteorder)
        entry_size, entries = memoryview(self.head[sizes : sizes + 4]).cast("H")
        if entries and entry_size != size:
            raise ValueError("not of this format")
        data = self.head[start : start + size * entries]
        if len(data) < size * entries:
            data = self.read(start, size * entries)
        halves, words = memoryview(data).cast("I"), self.words(data)
        narrow, wide = size // 4, size // words.itemsize
        return [
            [
                halves[narrow * entry + first],
                halves[narrow * entry + second],
                *[words[wide * entry + field] for field in fields],
            ]
            for entry in range(len(data) // size)
        ]

    def needed(self) -> "tuple[list[str], list[str]]":
        """Return the libraries that the file needs, and the folders in which to look for them."""
        names, folders, strings = [], [], 0
        for kind, _flags, offset, _address, size in self.segments:
            if kind == 2:  # PT_DYNAMIC: tags and values
                words = self.words(self.read(offset, size)).tolist()
                for tag, value in zip(words[::2], words[1::2]):
                    if tag == 1:  # DT_NEEDED
                        names.append(value)
                    elif tag in (15, 29):  # DT_RPATH, DT_RUNPATH
                        folders.append(value)
                    elif tag == 5:  # DT_STRTAB
                        strings = value
                    elif tag == 0:  # DT_NULL
                        break
        for kind, _flags, offset, address, size in self.segments:
            if kind == 1 and address <= strings < address + size:  # PT_LOAD
                strings += offset - address
                break
        paths = ":".join([self.text(strings + folder) for folder in folders])
        return [self.text(strings + name) for name in names], paths.split(":") if paths else []

    def text(self, offset: int) -> str:
        """Return the string at an offset."""
        data = self.read(offset, 256)
        if b"\0" not in data:
            data = self.read(offset, 1 << 16)
        return os.fsdecode(data.partition(b"\0")[0])

    def constants(self) -> "list[tuple[int, int]]":
        """Return the offsets and sizes of the read-only data."""
        # e_shoff, e_shentsize and sizeof(Elf64_Shdr); sh_name, sh_type, sh_offset, sh_size
        sections = (
            self.table(40, 58, 64, 0, 1, 3, 4) if self.wide else self.table(32, 46, 40, 0, 1, 4, 5)
        )
        at = 62 if self.wide else 50  # e_shstrndx: the section with the names
        index = int.from_bytes(self.head[at : at + 2], sys.byteorder)
        names = self.read(*sections[index][2:]) if index < len(sections) else b""
        found = [
            (offset, size)
            for name, kind, offset, size in sections
            if kind == 1 and names.startswith((b".rodata", b".lrodata"), name)  # SHT_PROGBITS
        ]
        return found or [
            # Without sections: all that is loaded and not writable (PT_LOAD, PF_W).
            (offset, size)
            for kind, flags, offset, _address, size in self.segments
            if kind == 1 and not flags & 2
        ]


def contains(file: FileIO, places: "Sequence[tuple[int, int]]", word: bytes) -> bool:
    """Tell whether a word is in one of these parts of a file."""
    return any(data.find(word, 0, end) >= 0 for data, end in chunks(file, places))


def chunks(file: FileIO, places: "Sequence[tuple[int, int]]") -> "Iterator[tuple[bytearray, int]]":
    """Read parts of a file, always into the same buffer; yield it, and the end of the data in it.

    Chunks overlap, so that a word which is cut at the end of one is whole in the next.
    """
    buffer = bytearray(min(_CHUNK, max((size for _, size in places), default=0)))
    view = memoryview(buffer)
    for offset, size in places:
        left = size
        while True:
            file.seek(offset + size - left)
            read = file.readinto(view[:left]) or 0
            yield buffer, read
            if read == left or read <= _OVERLAP:
                break
            left -= read - _OVERLAP


def _bundled(path: str, name: str, folders: "list[str]") -> str:
    """Return the file of a library that is bundled with what needs it; empty if it is not."""
    origin = os.path.dirname(os.path.abspath(path))
    if name.startswith("@"):  # on macOS: @rpath/, @loader_path/
        name = name.rpartition("/")[2]
    for folder in _bundle_folders(origin, folders):
        file = os.path.join(folder, name)
        if os.path.isfile(file):
            return os.path.normpath(file)
    return ""


def _bundle_folders(origin: str, folders: "list[str]") -> "Iterator[str]":
    """Yield the folders that the file names, and those of auditwheel, delocate and delvewheel."""
    for folder in folders:
        yield folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin)
    yield origin
    for _ in range(4):  # from the folder of the module to that of all packages
        yield os.path.join(origin, ".libs")
        yield os.path.join(origin, ".dylibs")
        yield origin + ".libs"
        origin = os.path.dirname(origin)
