"""Which implementations of TLS are there: mapped into this process, or lying in an environment.

A library is told by what it says of itself in its bytes, since names lie: a wheel renames the
OpenSSL that it carries, or links it into its extension. One that is linked to a library of the
system is told by the name of that. Pure Python is told by the name of its package. What is told by
none of these is not seen.
"""

from __future__ import annotations

import mmap
import os
import re
import sys
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What a library says of itself, and the pattern of its version from there on, where it says one.
# OpenSSL's name alone is in the bytes of everybody who talks about it.
_WORDS = (
    ("OpenSSL", b"OpenSSL ", rb"OpenSSL (\d+\.\d+\.\d+[a-z]*)[^\0]{0,40}\d{4}\0"),
    ("LibreSSL", b"LibreSSL ", rb"LibreSSL (\d+\.\d+\.\d+)"),
    ("AWS-LC", b"AWS-LC ", rb"AWS-LC (\d+\.\d+\.\d+)\0"),
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

# Libraries of the system that speak TLS, or speak it for others, as an extension names them.
_LINKED = (
    rb"\0(lib(ssl|gnutls|ldap|pq|mariadb|mysqlclient|curl|nss3|s2n)[\w.+-]*?"
    rb"\.(?:so|dylib)[.\d]*)\0"
)

# What an implementation of TLS up to 1.2 cannot be without (RFC 5246, section 7.4.9).
_LABEL = b"client finished"

# What a shared library is called on Linux, macOS and Windows.
_SHARED = re.compile(r"\.(?:so(?:\.[\d.]+)?|dylib|dll|pyd)$")

#: Packages that are, or bring, an implementation in Python.
PACKAGES = ("aioquic", "dtls", "mbedtls", "nassl", "oscrypto", "tlslite", "wolfssl")


class Library:
    """A file or package that holds an implementation of TLS, or is linked to one.

    Attributes:
        path: where it is.
        names: implementation -> version, empty where it does not say.

    .. versionadded:: 0.1
    """

    __slots__ = ("names", "path")

    def __init__(self, path: str, names: dict[str, str]) -> None:
        self.path = path
        self.names = names

    def __str__(self) -> str:
        return ", ".join(f"{name} {version}".rstrip() for name, version in self.names.items())


def look(path: str) -> dict[str, str]:
    """Return the implementations that a file holds, or is linked to: name -> version.

    Raises:
        OSError: it cannot be read.

    .. versionadded:: 0.1
    """
    at = os.stat(path)
    return dict(_look(path, at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns)) if at.st_size else {}


@lru_cache(maxsize=1024)  # status() is asked more than once, and large files stay as they are
def _look(path: str, *_as_it_is: int) -> dict[str, str]:
    found: dict[str, str] = {}
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for name, word, version in _WORDS:
            match = next(_matches(data, word, version), None) if version else None
            if match or (not version and data.find(word) >= 0):
                found.setdefault(name, match.group(1).decode("ascii") if match else "")
        linked: dict[bytes, str] = {}
        for each in _matches(data, b"\0lib", _LINKED):
            linked.setdefault(each.group(2), each.group(1).decode("ascii"))
        if b"ssl" in linked and data.find(_LABEL) < 0:
            found.pop("OpenSSL", None)  # it is the one that it was built for, and not in here
    return {**found, **dict.fromkeys(linked.values(), "")}


def _matches(data: mmap.mmap, word: bytes, pattern: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the matches of a pattern that begins with a word: quicker than its search."""
    compiled = re.compile(pattern)
    place = data.find(word)
    while place >= 0:
        match = compiled.match(data, place)
        if match:
            yield match
        place = data.find(word, place + 1)


def search(folder: str, *, deep: bool = True) -> tuple[list[Library], dict[str, str]]:
    """Return what is at or below a folder, and what could not be read: path -> why.

    Links to folders are not followed. Unless ``deep``, other folders are not looked into.

    .. versionadded:: 0.1
    """
    found, unread = [], {}

    def fail(error: OSError) -> None:
        unread[str(error.filename)] = error.strerror or str(error)

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(folders) if deep else ()
        for name in folders:
            path = os.path.join(place, name)
            if name in PACKAGES and os.path.isfile(os.path.join(path, "__init__.py")):
                found.append(Library(path, {f"{name} (Python)": ""}))
        for name in sorted(files):
            path = os.path.join(place, name)
            if not _SHARED.search(name) or not os.path.isfile(path):
                continue
            try:
                names = look(path)
            except (OSError, ValueError) as error:  # a file that shrinks while it is mapped
                unread[path] = getattr(error, "strerror", None) or str(error)
                continue
            if names:
                found.append(Library(path, names))
    return _whole(found), unread


def loaded() -> list[Library]:
    """Return what is in this process: packages, and on Linux the files that are mapped into it.

    .. versionadded:: 0.1
    """
    found = [
        Library(str(getattr(sys.modules[name], "__file__", "")), {f"{name} (Python)": ""})
        for name in PACKAGES
        if name in sys.modules
    ]
    try:
        with open("/proc/self/maps", "rb") as file:  # a name may be in any encoding
            lines = [line.rstrip(b"\n") for line in file if b"/" in line]
        # It may be a server that embeds this Python, and that has TLS of its own.
        program = os.readlink(_PROGRAM)
    except OSError:  # no Linux: its modules are named by their rows all the same
        return found
    names = {os.fsdecode(line.split(None, 5)[5]) for line in lines}
    for name in sorted(names):
        path = name[: -len(_DELETED)] if name.endswith(_DELETED) else name
        if not _SHARED.search(path) and name != program:
            continue
        try:
            held = look(_PROGRAM) if name == program else look(path) if path == name else None
        except (OSError, ValueError):  # it is in another namespace, or not readable
            held = None
        if held is None:
            held = {os.path.basename(path): "replaced since"}
        if held:
            found.append(Library(path, held))
    return _whole(found)


# The file that was started, also where it was replaced since.
_PROGRAM = "/proc/self/exe"

# How the kernel marks a file that is mapped, and was removed or replaced (proc(5)).
_DELETED = " (deleted)"


def _whole(found: list[Library]) -> list[Library]:
    """Make one of the two of each OpenSSL: one speaks TLS, the other one knows its version."""
    whole = {os.path.dirname(each.path): each for each in found if _is_part(each, "libssl")}
    left = []
    for each in found:
        owner = whole.get(os.path.dirname(each.path))
        if owner is not None and _is_part(each, "libcrypto"):
            owner.names.update(each.names)
        else:
            left.append(each)
    return left


def _is_part(library: Library, name: str) -> bool:
    return os.path.basename(library.path).startswith(name)


def installed(
    path: Iterable[str], standard_library: str
) -> tuple[list[str], list[Library], dict[str, str]]:
    """Return the folders of a ``sys.path``, none inside another, and what ``search`` finds there.

    Of the standard library only the files in the folder itself: there are PyPy's extensions.
    CPython's have an entry of their own, and below it may lie the packages of an interpreter, which
    a virtual environment of that one does not see.

    .. versionadded:: 0.2
    """
    own = os.path.realpath(standard_library)
    all_of_it = {os.path.realpath(each) for each in path if each and os.path.isdir(each)} - {own}
    folders = sorted(
        each
        for each in filter(os.path.isdir, (own, *all_of_it))
        if not any(each.startswith(os.path.join(other, "")) for other in all_of_it)
    )
    found, unread = [], {}
    for each in folders:
        more, problems = search(each, deep=each != own)
        found += more
        unread.update(problems)
    return folders, found, unread


def plain(found: Iterable[Library]) -> list[dict[str, str]]:
    """Return libraries as JSON types, for a report of which nobody says what covers them.

    .. versionadded:: 0.1
    """
    return [
        {"path": each.path, "implementation": str(each), "stack": "", "coverage": "unknown"}
        for each in found
    ]
