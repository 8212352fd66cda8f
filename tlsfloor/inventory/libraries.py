"""Find TLS libraries: those that are loaded into this process, and those of an environment.

How it works: names are unreliable, as a wheel renames the OpenSSL that it contains, or links it
into its extension. So a library is recognised by texts in its bytes. One that is linked to a
library of the system is recognised by the name of that library, and a package in pure Python by its
own name. An implementation of TLS 1.0 to 1.2 that does not say its name is recognised by two labels
of the protocol. Everything else is not found.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import sys
from contextlib import suppress
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# An implementation, a text that it contains, and the pattern of its version, which begins with that
# text; empty if it does not contain its version. Other software contains OpenSSL's name too.
_TEXTS = (
    ("OpenSSL", b"OpenSSL ", rb"OpenSSL (\d+\.\d+\.\d+[a-z]*)[^\0]{0,40}\d{4}\0"),
    ("LibreSSL", b"LibreSSL ", rb"LibreSSL (\d+\.\d+\.\d+)"),
    ("AWS-LC", b"AWS-LC ", rb"AWS-LC (\d+\.\d+\.\d+)\0"),
    ("AWS-LC", b"aws-lc/crypto", b""),
    ("AWS-LC", b"aws_lc_", b""),
    ("BoringSSL", b"BoringSSL", b""),
    ("s2n", b"s2n_connection_new", b""),
    ("GnuTLS", b"gnutls_init\0", b""),
    ("Mbed TLS", b"bed TLS ", rb"bed TLS (\d+\.\d+\.\d+)"),  # "mbed TLS" before 3.6
    ("NSS", b"NSS_VersionCheck\0", b""),
    ("wolfSSL", b"wolfSSL_CTX_new\0", b""),
    ("rustls", b"/rustls-", rb"/rustls-(\d+\.\d+\.\d+)/"),
    ("Go crypto/tls", b"crypto/tls.(*Conn)", b""),
)

# What a file has that uses the TLS of Windows (UNISP_NAME of schannel.h, in both encodings, or the
# library for HTTP) or of macOS. ELF files are not searched for it.
_SCHANNEL = "Microsoft Unified Security Protocol Provider"
_TEXTS_OF_SYSTEMS = (
    ("Schannel", _SCHANNEL.encode("ascii"), b""),
    ("Schannel", _SCHANNEL.encode("utf-16-le"), b""),
    ("Schannel", b"WINHTTP.dll\0", b""),
    ("Secure Transport", b"\0_SSLHandshake\0", b""),
)

# Libraries that implement TLS, or use it for others, as a linked file names them. On macOS there is
# a path before the name, and on Windows a number before a library's own name.
_LINKED = (
    rb"\0?(?<![\w.+-])(lib(ssl|gnutls|ldap|pq|mariadb|mysqlclient|curl|nss3|s2n)[\w.+-]*?"
    rb"\.(?:so|dylib|dll)[.\d]*)\0"
)

# The texts that every implementation of TLS up to 1.2 needs (RFC 5246, section 7.4.9).
_LABELS = b"client finished", b"server finished"

# What an implementation is called that is known by these texts only.
_NAMELESS = "an implementation that does not say its name"

# What the OpenSSL of a file without them is called: its ciphers, which libssl and others use.
_CRYPTO = "libcrypto of OpenSSL"

# The sections of an ELF file that can hold a text (System V ABI, chapter 4, "Sections"): those of
# names, and read-only data without what unwinds the stack. The rest, which is most of a file, is
# machine code, tables of numbers and what a debugger needs.
_PROGBITS, _STRTAB = 1, 3
_WRITE, _ALLOC, _EXECINSTR = 1, 2, 4
_UNWINDING = (b".eh_frame", b".gcc_except")

# The names of shared libraries on Linux, macOS and Windows, and of those that DuckDB opens.
_SHARED = re.compile(r"\.(?:so(?:\.[\d.]+)?|dylib|dll|pyd|duckdb_extension)$")

#: How the name of an implementation in Python ends.
PURE_PYTHON = "(pure Python)"

#: Packages that implement TLS in Python, or bring an implementation that no file of theirs shows.
PACKAGES = {
    **{
        name: f"{name} {PURE_PYTHON}"
        for name in ("aioquic", "dtls", "mbedtls", "nassl", "oscrypto", "tlslite", "wolfssl")
    },
    "jnius": "TLS of Java",
    "jpype": "TLS of Java",
}

# The program of this process, even if its file was replaced.
_PROGRAM = "/proc/self/exe"

# What the kernel appends to the name of a mapped file that was removed or replaced (proc(5)).
_DELETED = " (deleted)"


class Library:
    """A file or package that contains an implementation of TLS, or is linked to one.

    Attributes:
        path: where it is.
        names: implementation -> version, empty if it is not known.
        parts: the paths of the other files that it consists of, such as libcrypto.
        row: its row in the table of stacks, if its path does not tell.
    """

    __slots__ = ("names", "parts", "path", "row")

    def __init__(self, path: str, names: dict[str, str]) -> None:
        self.path = path
        self.names = names
        self.parts: list[str] = []
        self.row = ""

    def __str__(self) -> str:
        return ", ".join(f"{name} {version}".rstrip() for name, version in self.names.items())

    def as_json(self, stack: str = "", coverage: str = "unknown") -> dict[str, Any]:
        """Return it as JSON types, with the modules that load it and what covers it."""
        return {
            "path": self.path,
            "implementation": str(self),
            "stack": stack,
            "coverage": coverage,
            "parts": [{"path": path} for path in self.parts],
        }


def implementations_in(path: str) -> dict[str, str]:
    """Return the implementations that a file contains or is linked to: name -> version.

    Raises:
        OSError: the file cannot be read.
    """
    at = os.stat(path)
    if not at.st_size:
        return {}
    return dict(_implementations_in(path, at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns))


@lru_cache(maxsize=1024)  # status() may be called often, and large files do not change
def _implementations_in(path: str, *_identity: int) -> dict[str, str]:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return _names_in(_texts_in(whole), elf=whole[:4] == b"\x7fELF")


def _names_in(data: bytes, *, elf: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text, version in _TEXTS if elf else _TEXTS + _TEXTS_OF_SYSTEMS:
        match = next(_matches(data, text, version), None) if version else None
        if match or (not version and text in data):
            found.setdefault(name, match.group(1).decode("ascii") if match else "")
    linked: dict[bytes, str] = {}
    for match in _matches(data, b"\0lib" if elf else b"lib", _LINKED):
        linked.setdefault(match.group(2), match.group(1).decode("ascii"))
    if any(label not in data for label in _LABELS):
        # If it is linked to a libssl, this is only the version that it was built for.
        crypto = {_CRYPTO: found.pop("OpenSSL")} if "OpenSSL" in found else {}
        found.update({} if b"ssl" in linked else crypto)
    elif not found and not linked:
        found[_NAMELESS] = ""
    return {**found, **dict.fromkeys(linked.values(), "")}


def _texts_in(data: mmap.mmap) -> bytes:
    """Return the parts of a file that can hold a text; all of it if they are not known.

    A search in bytes is several times faster than one in a mapping, too.
    """
    if data[:6] != b"\x7fELF\2\1":  # 64 bits, little-endian
        return data[:]
    try:
        (start,) = struct.unpack_from("<Q", data, 40)
        size, count, of_names = struct.unpack_from("<HHH", data, 58)
        sections = [
            struct.unpack_from("<IIQ8xQQ", data, start + size * index) for index in range(count)
        ]
        names = sections[of_names][3] if count else 0
        spans = [
            (offset, length)
            for name, kind, flags, offset, length in sections
            if kind == _STRTAB
            or (
                (kind == _PROGBITS and flags & (_WRITE | _ALLOC | _EXECINSTR) == _ALLOC)
                and not data[names + name : names + name + 16].startswith(_UNWINDING)
            )
        ]
    except (struct.error, IndexError, OverflowError):  # the file is cut off, or packed
        return data[:]
    if sum(length for _, length in spans) > len(data):
        return data[:]  # they overlap, and could make any amount of memory of a small file
    return b"\0".join(data[at : at + length] for at, length in spans) or data[:]


def _matches(data: bytes, text: bytes, pattern: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the matches of a pattern that begins with a text: faster than to search for it."""
    position = data.find(text)
    while position >= 0:
        match = re.compile(pattern).match(data, position)
        if match:
            yield match
        position = data.find(text, position + 1)


def search_folder(folder: str, *, deep: bool = True) -> tuple[list[Library], dict[str, str]]:
    """Return the libraries in a folder, and what could not be read: path -> reason.

    Folders in it are searched if ``deep``. Links to folders are not followed.
    """
    found, unreadable = [], {}

    def note(error: OSError) -> None:
        unreadable[str(error.filename)] = error.strerror or str(error)

    for place, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(folders) if deep else ()
        found += [
            Library(os.path.join(place, name), {PACKAGES[name]: ""})
            for name in folders
            if name in PACKAGES and os.path.isfile(os.path.join(place, name, "__init__.py"))
        ]
        for path in (os.path.join(place, name) for name in sorted(files)):
            if not _SHARED.search(path) or not os.path.isfile(path):
                continue
            try:
                names = implementations_in(path)
            except (OSError, ValueError) as error:  # ValueError: the file has become empty
                unreadable[path] = getattr(error, "strerror", None) or str(error)
            else:
                found += [Library(path, names)] if names else []
    return _joined(found), unreadable


def loaded() -> list[Library]:
    """Return what this process has loaded: packages, and on Linux the files that it has mapped."""
    found = [
        Library(str(getattr(sys.modules[name], "__file__", "")), {PACKAGES[name]: ""})
        for name in PACKAGES
        if name in sys.modules
    ]
    try:
        # A name may be in any encoding. (The verifier's probe has to read this file by itself: it
        # runs in interpreters that have no tlsfloor.)
        with open("/proc/self/maps", "rb") as file:
            fields = [line.rstrip(b"\n").split(None, 5) for line in file if b"/" in line]
        # A server that embeds this Python may contain TLS of its own.
        program = os.readlink(_PROGRAM)
    except OSError:  # not Linux: stacks are still found by their modules
        return found
    executable = {field[5] for field in fields if b"x" in field[1]}
    for raw in sorted({field[5] for field in fields}):
        name = os.fsdecode(raw)
        path = name[: -len(_DELETED)] if name.endswith(_DELETED) else name
        # Code has any name, and its mapping may have been replaced by huge pages.
        if raw not in executable and not _SHARED.search(path):
            continue
        names = {os.path.basename(path): "replaced since"}
        # It may be in another namespace, or not readable, or cut off.
        with suppress(OSError, ValueError):
            if name == program or os.path.exists(name):
                names = implementations_in(_PROGRAM if name == program else path)
            else:
                names = _names_in(_mapped(raw, fields), elf=True)
        found += [Library(path, names)] if names else []
    return _joined(found)


def _mapped(name: bytes, fields: list[list[bytes]]) -> bytes:
    """Return what is mapped of a removed ELF file; nothing of code that libffi or a JIT made."""
    places = [field[0].split(b"-") for field in fields if field[5] == name and field[1] >= b"r"]
    spans = [(int(start, 16), int(end, 16)) for start, end in places]
    parts: list[bytes] = []
    with open("/proc/self/mem", "rb", 0) as memory:
        for start, end in spans:
            memory.seek(start)
            parts.append(memory.read(end - start) or b"")
            if parts[0][:4] != b"\x7fELF":
                return b""
    return b"\0".join(parts)


def is_embedded() -> bool:
    """Tell whether another program contains this Python: what it has loaded may be its own.

    Only Linux tells which program this is.
    """
    try:
        program = os.path.basename(os.readlink(_PROGRAM))
    except OSError:
        return False
    return not program.startswith(("python", "pypy")) and not hasattr(sys, "frozen")


def _joined(found: list[Library]) -> list[Library]:
    """Join the two libraries of each OpenSSL: libssl implements TLS, libcrypto has the version.

    A libcrypto without a libssl has no TLS. Other files that contain one are not parts of libssl.
    """
    owners = {
        os.path.dirname(library.path): library
        for library in found
        if os.path.basename(library.path).startswith("libssl")
    }
    joined = []
    for library in found:
        version = library.names.pop(_CRYPTO, None)
        owner = owners.get(os.path.dirname(library.path))
        if library.names:
            joined.append(library)
        elif owner is not None and os.path.basename(library.path).startswith("libcrypto"):
            owner.names["OpenSSL"] = version or ""
            owner.parts.append(library.path)
    return joined


def installed(
    path: Iterable[str], standard_library: str
) -> tuple[list[str], list[Library], dict[str, str]]:
    """Return the folders of a ``sys.path``, none inside another, and what they contain.

    Only the files of the standard library's own folder count, where PyPy has its extensions. Those
    of CPython have a folder of their own on the path. The folders in it may be the packages of an
    interpreter, which a virtual environment of that interpreter does not see.
    """
    own = os.path.realpath(standard_library)
    others = {os.path.realpath(entry) for entry in path if entry and os.path.isdir(entry)} - {own}
    folders = sorted(
        folder
        for folder in filter(os.path.isdir, (own, *others))
        if not any(folder.startswith(os.path.join(other, "")) for other in others)
    )
    found, unreadable = [], {}
    for folder in folders:
        more, problems = search_folder(folder, deep=folder != own)
        found += more
        unreadable.update(problems)
    return folders, found, unreadable


def named(paths: Iterable[str], known: Iterable[Library]) -> list[Library]:
    """Return the libraries among files that an interpreter reported, without the known ones."""
    seen = {path for library in known for path in (library.path, *library.parts)}
    found = []
    for path in paths:
        whole = os.path.basename(path).startswith("python")  # with its extensions linked into it
        if path not in seen and (whole or _SHARED.search(path)) and os.path.isfile(path):
            with suppress(OSError, ValueError):  # it is not readable, or was emptied
                library = Library(path, implementations_in(path))
                library.row = "ssl" if whole else ""
                found += [library] if library.names else []
    return _joined(found)


def without_coverage(found: Iterable[Library]) -> list[dict[str, Any]]:
    """Return libraries as JSON types, for a report that does not know what covers them."""
    return [library.as_json() for library in found]
