"""Which implementations of TLS are there: mapped into this process, or lying in an environment.

A library is told by what it says of itself in its bytes, since names lie: a wheel renames the
OpenSSL that it carries, or links it into its extension. What is told by no word of ``WORDS`` is not
seen; what is seen and has no row in ``TABLE`` is named as *unknown*.

Nothing here is on the start-up path: ``status()`` and the command ``tlsfloor stacks`` load it.
"""

from __future__ import annotations

import mmap
import os
import re
import sys

from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# What a library says of itself, and the pattern of its version from there on, where it says one.
# OpenSSL's name alone is in the bytes of everybody who talks about it.
WORDS = (
    ("OpenSSL", b"OpenSSL ", rb"OpenSSL (\d+\.\d+\.\d+[a-z]*)[^\0]{0,40}\d{4}\0"),
    ("LibreSSL", b"LibreSSL ", rb"LibreSSL (\d+\.\d+\.\d+)"),
    ("AWS-LC", b"aws-lc/crypto", b""),
    ("AWS-LC", b"aws_lc_", b""),
    ("BoringSSL", b"BoringSSL", b""),
    ("s2n", b"s2n_connection_new", b""),
    ("GnuTLS", b"gnutls_init\0", b""),
    ("Mbed TLS", b"mbed TLS ", rb"mbed TLS (\d+\.\d+\.\d+)"),
    ("NSS", b"NSS_VersionCheck\0", b""),
    ("wolfSSL", b"wolfSSL_CTX_new\0", b""),
    ("rustls", b"/rustls-", rb"/rustls-(\d+\.\d+\.\d+)/"),
    ("Go crypto/tls", b"crypto/tls.(*Conn)", b""),
)

#: What a shared library is called on Linux, macOS and Windows.
_SHARED = re.compile(r"\.(?:so(?:\.[\d.]+)?|dylib|dll|pyd)$")

#: Where a package of another name carries the library of a row: its folder -> a module of TABLE.
CARRIERS = {
    "_awscrt": "awscrt.io",
    "cryptography": "OpenSSL.SSL",
    "psycopg2_binary": "psycopg2",
    "psycopg_binary": "psycopg",
    "psycopg_c": "psycopg",
}


class Library:
    """A file that holds an implementation of TLS.

    Attributes:
        path: the file.
        names: implementation -> version, empty where it does not say.
        row: the module of TABLE that brings it into a process; empty where none is known.

    .. versionadded:: 0.1
    """

    __slots__ = ("names", "path", "row")

    def __init__(self, path: str, names: dict[str, str], row: str) -> None:
        self.path = path
        self.names = names
        self.row = row

    def __str__(self) -> str:
        return ", ".join(f"{name} {version}".rstrip() for name, version in self.names.items())


def look(path: str) -> dict[str, str]:
    """Return the implementations that a file holds: name -> version.

    Raises:
        OSError: it cannot be read.

    .. versionadded:: 0.1
    """
    found = {}
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return {}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for name, words, version in WORDS:
                place = data.find(words)
                match = None
                while version and match is None and place >= 0:
                    match = re.compile(version).match(data, place)
                    place = data.find(words, place + 1) if match is None else place
                if place >= 0:
                    found[name] = match.group(1).decode("ascii") if match else ""
    return found


def search(folder: str) -> tuple[list[Library], dict[str, str]]:
    """Return the libraries at or below a folder, and what could not be read: path -> why.

    Links to folders are not followed.

    .. versionadded:: 0.1
    """
    found, unread = [], {}

    def fail(error: OSError) -> None:
        unread[str(error.filename)] = error.strerror or str(error)

    for place, folders, files in os.walk(folder, onerror=fail):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(place, name)
            if not _SHARED.search(name) or not os.path.isfile(path):
                continue
            try:
                names = look(path)
            except (OSError, ValueError) as error:
                unread[path] = getattr(error, "strerror", None) or str(error)
                continue
            if names:
                found.append(Library(path, names, row_of(os.path.relpath(path, folder))))
    return found, unread


def row_of(path: str) -> str:
    """Return the module of TABLE that a file belongs to, by the folders on the way to it."""
    modules = {**{name.split(".")[0]: name for name in reversed(list(TABLE))}, **CARRIERS}
    for part in path.split(os.sep):
        # "pycurl.libs" and "_ssl.cpython-311-x86_64-linux-gnu.so" are of "pycurl" and of "_ssl".
        name = part.split(".")[0]
        row = modules.get(name) or modules.get(name.lstrip("_"))
        if row:
            return row
    return ""


def mapped() -> list[str] | None:
    """Return the files mapped into this process that hold TLS; None where no system tells.

    .. versionadded:: 0.1
    """
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            names = {line.split(None, 5)[5].rstrip("\n") for line in file if "/" in line}
    except OSError:
        return None
    return sorted(name for name in names if _SHARED.search(name) and _holds(name))


def _holds(path: str) -> bool:
    try:
        return bool(look(path))
    except (OSError, ValueError):  # it was replaced since it was mapped
        return os.path.basename(path).startswith(("libssl", "libgnutls"))


def environment() -> Iterator[str]:
    """Yield the folders in which this interpreter finds packages, each once."""
    seen = set()
    for each in sys.path:
        path = os.path.realpath(each)
        if each and os.path.isdir(path) and path not in seen:
            seen.add(path)
            yield path
