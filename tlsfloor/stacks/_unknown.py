"""Notices libraries that carry TLS and have no row in the table, before they are loaded.

Theory of operation. A native module brings TLS into a process in two ways. Both are seen in its
file, before any of its code runs:

1. An implementation is linked into it. Symbols do not tell: wheels are stripped. But everything
   that speaks TLS 1.0 to 1.2 needs two labels of the protocol, "client finished" and "server
   finished" (RFC 5246 section 7.4.9, RFC 4346 and 2246 the same). They are constants, so only the
   read-only data of the file is searched. A libcrypto, which has ciphers and no TLS, has neither
   of them; nor has an implementation of TLS 1.3 alone, which cannot go below a floor. Files of
   fewer bytes than ``SMALLEST`` are not searched.
2. It needs a library that speaks TLS: ``DT_NEEDED`` in its dynamic section. A name such as libssl
   is enough. A library of another name is examined in the same way if it is in one of the folders
   where wheels put what they bundle (``DT_RPATH``, ``DT_RUNPATH``, ``NAME.libs``). The system's
   other libraries are not opened.

Most extension modules carry no TLS, and they must cost next to nothing. So there is one word to
search for, and what is found gets its name elsewhere (``_unknown_found``). The headers read are
those that the loader reads (``elf.h``; System V gABI, chapters 4 and 5). A file that is not ELF, as
on macOS and Windows, is searched as a whole.

What is not seen: a library that a program opens itself, by ``ctypes`` or ``dlopen``.

Nothing is imported that a bare interpreter has not loaded: this runs in the middle of an import.
"""

import os
import sys
from _io import FileIO

from tlsfloor import stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec

#: A file of fewer bytes holds no implementation of TLS. The smallest clients there are, made for
#: microcontrollers, take about 60 kB of code alone; in wheels the smallest that was found is a
#: libssl of 764 kB.
SMALLEST = 200_000

FINISHED = b"client finished", b"server finished"

#: Is in the name of an implementation that has no version below TLS 1.2.
MODERN = "no TLS below 1.2"

# Bytes that are read at a time, and how many of them again with the next.
_CHUNK, _OVER = 1 << 16, 64

# Packages with many or large modules that many processes load, and none of which speaks TLS: they
# hold arrays, tables, numerical routines, estimators, plots, images.
_WITHOUT = {"numpy", "pandas", "scipy", "sklearn", "matplotlib", "PIL"}

# Modules that need libssl and whose TLS is that of ssl: PyPy's _ssl is built on the first; the
# others change TLS objects that ssl has made, and make none.
_OF_SSL = {"_pypy_openssl", "_sslkeylog", "sslpsk", "sslpsk2", "sslpsk3"}

# Libraries that speak TLS, or speak it for others: "lib", this, and then a hash or a version.
_CARRIERS = (
    " ssl ssl3 gnutls gnutlsxx nss3 s2n mbedtls wolfssl tls curl ldap ldap_r pq mariadb "
    "mariadbclient mysqlclient git2 sybdb rdkafka qpid hiredis_ssl mongoc websockets "
)

# Libraries that many modules need and that speak no TLS: they are not even looked for.
_HARMLESS = (
    " c m z dl rt pthread util stdc++ gcc_s gomp gfortran quadmath crypto python3 openblas "
    "openblas64_ scipy_openblas scipy_openblas64_ ld "
)

# Folders of the standard library: its _ssl is a row, and its _hashlib needs libcrypto alone.
_library = os.path.dirname(getattr(os, "__file__", ""))
_STANDARD = (_library, os.path.join(_library, "lib-dynload"), os.path.join(sys.base_prefix, "DLLs"))

_ROWS = {row.partition(".")[0] for row in stacks.TABLE}

# Path -> the TLS in that file, the first library that it needs and that is known to speak TLS, and
# the bundled ones of other names. Many modules may need one library.
_files: "dict[str, tuple[str, str, list[str]]]" = {}


def look(spec: "ModuleSpec") -> str:
    """Return which TLS an extension module of no row would bring, in words; empty if none."""
    path = spec.origin
    top = spec.name.partition(".")[0]
    if top in _WITHOUT or top in _ROWS or top in _OF_SSL:
        return ""
    if path is None or os.path.dirname(path) in _STANDARD:
        return ""
    try:
        return carries_tls(path)
    except FileNotFoundError:
        return ""  # the loader says so in better words
    except Exception as error:  # noqa: BLE001 - a file may be damaged in any way: that is said, too
        return f"it cannot be told which: {type(error).__name__}: {error}"


def carries_tls(path: str) -> str:
    """Return which TLS a native module holds or needs, in words; empty where there is none.

    Raises:
        OSError: its file cannot be read.
    """
    paths, modern = [path], ""
    for each in paths:  # to which libraries are added; some need each other
        if each not in _files:
            _files[each] = _look(each)
        held, carrier, bundled = _files[each]
        if held and each != path:
            held = f"{os.path.basename(each)} ({held})"
        if held and MODERN not in held:
            return held
        if carrier:
            return carrier
        modern = modern or held  # unless one of the others speaks less
        paths += [library for library in bundled if library not in paths]
    return modern


def _look(path: str) -> "tuple[str, str, list[str]]":
    with FileIO(path) as file:
        head = file.read(4096) or b""
        size = os.fstat(file.fileno()).st_size
        places = [(0, size)]
        try:
            elf = _ELF(file, head)
            needed, folders = elf.needed()
            if size >= SMALLEST:
                places = elf.constants()
        except (ValueError, OverflowError):  # of another format, or headers that lead nowhere
            from tlsfloor.stacks import _unknown_found

            needed, folders = _unknown_found.needed(file, size), []
        held = ""
        if size >= SMALLEST and all(holds(file, places, each) for each in FINISHED):
            from tlsfloor.stacks import _unknown_found

            held = _unknown_found.named(file, places)
    others = []
    for each in needed:
        name = each.rpartition("/")[2]
        stem = name[3 * name.startswith("lib") :].partition(".")[0].partition("-")[0]
        if f" {stem} " in _CARRIERS:
            return held, name, []
        if f" {stem} " not in _HARMLESS:
            others.append(each)
    found = [_bundled(path, each, folders) for each in others]
    return held, "", [each for each in found if each]


class _ELF:
    """The headers of a shared object, by the names of ``elf.h``; of 32 bits too.

    Numbers are in the byte order of memory: a file of another one could not be loaded here.
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
        """Return bytes of the file; fewer where it ends."""
        self.file.seek(offset)
        return self.file.read(size) or b""

    def words(self, data: bytes) -> "memoryview":
        """Return data as numbers of the file's width."""
        return memoryview(data).cast("Q" if self.wide else "I")

    def table(
        self, where: int, sizes: int, size: int, first: int, second: int, *fields: int
    ) -> "list[list[int]]":
        """Return fields of each entry of a table: two of four bytes, and others of a whole word.

        Their places are counted in their own width.
        """
        start = int.from_bytes(self.head[where : where + (8 if self.wide else 4)], sys.byteorder)
        each, amount = memoryview(self.head[sizes : sizes + 4]).cast("H")
        if amount and each != size:
            raise ValueError("not of this format")
        data = self.head[start : start + size * amount]
        if len(data) < size * amount:
            data = self.read(start, size * amount)
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
        """Return the libraries that it needs, and the folders that it wants them looked for in."""
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
        paths = ":".join([self.text(strings + each) for each in folders])
        return [self.text(strings + each) for each in names], paths.split(":") if paths else []

    def text(self, at: int) -> str:
        """Return the string at an offset."""
        data = self.read(at, 256)
        if b"\0" not in data:
            data = self.read(at, 1 << 16)
        return os.fsdecode(data.partition(b"\0")[0])

    def constants(self) -> "list[tuple[int, int]]":
        """Return where its read-only data is: offsets and sizes."""
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
            # Its sections are stripped: what is loaded and cannot be written (PT_LOAD, PF_W).
            (offset, size)
            for kind, flags, offset, _address, size in self.segments
            if kind == 1 and not flags & 2
        ]


def holds(file: FileIO, places: "Sequence[tuple[int, int]]", word: bytes) -> bool:
    """Tell whether a word is in one of these parts of a file."""
    return any(data.find(word, 0, end) >= 0 for data, end in chunks(file, places))


def chunks(file: FileIO, places: "Sequence[tuple[int, int]]") -> "Iterator[tuple[bytearray, int]]":
    """Read parts of a file, always into the same buffer; yield it, and where in it they end.

    What is cut in two at the end of one is whole in the next.
    """
    buffer = bytearray(min(_CHUNK, max((size for _at, size in places), default=0)))
    view = memoryview(buffer)
    for at, size in places:
        left = size
        while True:
            file.seek(at + size - left)
            read = file.readinto(view[:left]) or 0
            yield buffer, read
            if read == left or read <= _OVER:
                break
            left -= read - _OVER


def _bundled(path: str, name: str, folders: "list[str]") -> str:
    """Return where a library lies that came with what needs it; empty where it did not."""
    origin = os.path.dirname(os.path.abspath(path))
    if name.startswith("@"):  # of macOS: @rpath/, @loader_path/
        name = name.rpartition("/")[2]
    for folder in _folders(origin, folders):
        place = os.path.join(folder, name)
        if os.path.isfile(place):
            return os.path.normpath(place)
    return ""


def _folders(origin: str, folders: "list[str]") -> "Iterator[str]":
    """Yield where the file says; then where auditwheel, delocate and delvewheel put libraries."""
    for folder in folders:
        yield folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin)
    yield origin
    for _ in range(4):  # from the folder of the module to that of all packages
        yield os.path.join(origin, ".libs")
        yield os.path.join(origin, ".dylibs")
        yield origin + ".libs"
        origin = os.path.dirname(origin)
