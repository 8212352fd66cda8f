"""Names and reports what ``_unknown`` has found; reads files that are not ELF."""

from __future__ import annotations

import os
import sys

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, say
from tlsfloor.stacks import _coverage, _unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _io import FileIO
    from collections.abc import Container, Sequence
    from typing import Any

# The text by which an implementation is known: its name, the text before its version, other texts.
_WORDS: tuple[tuple[str, bytes, tuple[bytes, ...]], ...] = (
    ("OpenSSL", b"OpenSSL ", ()),
    ("LibreSSL", b"LibreSSL ", ()),
    ("BoringSSL", b"", (b"BoringSSL", b"boringssl/")),
    ("AWS-LC", b"AWS-LC ", (b"aws-lc/", b"aws_lc_")),
    ("s2n", b"", (b"s2n_connection_", b"s2n_handshake")),
    ("GnuTLS", b"GnuTLS ", (b"gnutls_handshake",)),
    ("Mbed TLS", b"bed TLS ", (b"mbedtls_ssl_",)),
    ("NSS", b"", (b"NSS_VersionCheck",)),
    ("wolfSSL", b"wolfSSL ", (b"wolfSSL_CTX",)),
    ("rustls", b"/rustls-", (b"rustls::", b"/rustls/src/")),
    ("Go crypto/tls", b"", (b"crypto/tls: ",)),
)


# What a program has that uses the TLS of its system: a part of UNISP_NAME (schannel.h) in both
# encodings, and a function of macOS.
_OF_SYSTEMS = {
    b"Unified Security Protocol": "Schannel",
    "Unified Security Protocol".encode("utf-16-le"): "Schannel",
    b"\0_SSLHandshake\0": "Secure Transport",
}


def describe_implementation(file: FileIO, places: Sequence[tuple[int, int]]) -> str:
    """Return the names and versions of the implementations in these parts of a file."""
    names: dict[str, str] = {}
    for data, end in _unknown.chunks(file, places):
        for name, before, words in _WORDS:
            if not names.get(name):
                version = _version(data, end, before) if before else ""
                if version or any(data.find(word, 0, end) >= 0 for word in words):
                    names[name] = version
    found = [f"{name} {version}".rstrip() for name, version in names.items()]
    # rustls has TLS 1.2 and 1.3 only. It uses the ciphers of AWS-LC, and not its libssl. The libssl
    # of each fork of OpenSSL contains the name of its main file.
    only = {"rustls"} <= names.keys() <= {"rustls", "AWS-LC"}
    if only and not _unknown.contains(file, places, b"ssl_lib.c"):
        found[-1] += f": {_unknown.MODERN}"
    return ", ".join(found) or "an implementation that does not say its name"


def _version(data: bytearray, end: int, before: bytes) -> str:
    """Return the version that follows a word: digits and dots, and OpenSSL's letter."""
    at = data.find(before, 0, end)
    while at >= 0:
        at += len(before)
        text = data[at : min(at + 40, end)].decode("latin-1")
        rest = text.lstrip("0123456789.")
        version = text[: len(text) - len(rest)].rstrip(".")
        # BoringSSL and AWS-LC say "OpenSSL 1.1.1 (compatible; ...)".
        if "." in version and not rest.startswith(" (compatible"):
            return version + (rest[:1] if before == b"OpenSSL " and rest[:1].islower() else "")
        at = data.find(before, at, end)
    return ""


def needed_by_other(file: FileIO, size: int) -> list[str]:
    """Return the libraries that a file of a format other than ELF names, and the system's TLS."""
    found = []
    for data, read in _unknown.chunks(file, [(0, size)]):
        found += [name for text, name in _OF_SYSTEMS.items() if data.find(text, 0, read) >= 0]
        for end in (b".dylib\0", b".dll\0"):
            at = data.find(end, 0, read)
            while at >= 0:
                begin = data.rfind(b"\0", 0, at) + 1
                found.append(data[begin : at + len(end) - 1].decode("utf-8", "replace"))
                at = data.find(end, at + 1, read)
    return found


#: How ``status()`` begins to say what it reports of a library of no row.
WITHOUT_ROW = "no row of the table covers its TLS: "

#: The end of the text of a library that was refused. It is a problem only if it was loaded anyhow.
REFUSED = ", which was refused"

# What was printed on stderr: package, and what it carries.
_printed: set[tuple[str, str]] = set()


def note_unknown(name: str, path: str, found: str, policies: Container[object]) -> None:
    """Report a module that carries TLS and is in no row, before it is loaded or later.

    It is in ``floor.unknown``, once for all modules of a package that need the same library.
    ``found`` describes the TLS. ``policies`` are what the sources want: ``"warn"``, ``"block"``.

    Raises:
        GuardError: one of them wants the module to be refused.
    """
    package = name.partition(".")[0]
    # It carries the library of a row, as cryptography carries that of pyOpenSSL.
    row = _coverage.row_of_library(package)
    if row and (package in _unknown.ROWS or not row.startswith(f"{package}.")):
        return
    lowest = versions.TLS1_2 if _unknown.MODERN in found else 0
    mode = "enforce" if current.held > lowest else "observe"
    asked = max(current.held, current.observed) if mode == "observe" else current.held
    if asked <= lowest:
        return  # it cannot go below the floor
    refused = mode == "enforce" and "block" in policies
    text = f"{found} in {path}{REFUSED if refused else ''}"
    floor = versions.floor_name(asked)
    events.note("unknown", stack=package, floor=floor, mode=mode, text=text)
    if mode == "observe":
        current.unknown_observed.add(package)
        return
    problem = f"{name} ({path}) carries TLS ({found}), and no row of the table covers it"
    if refused:
        current.unknown[name] = text
        raise GuardError(
            problem, hint="do without it, or let it run without the floor: TLSFLOOR_UNKNOWN=warn"
        )
    if (package, found) not in _printed:
        _printed.add((package, found))
        current.unknown[name] = text
        hint = "set TLSFLOOR_UNKNOWN=block to refuse it, or run `tlsfloor stacks` to list all"
        say(f"tlsfloor: warning: {problem}; hint: {hint}")


def describe_opened(libraries: Sequence[Any], floor: int) -> list[str]:
    """Return a problem for each library that is loaded, and was not found by an import.

    A program has opened it itself, or a library of the system needs it. ``libraries`` are those of
    this process, as ``_coverage.describe()`` returns them. What another one needs is not reported:
    that one is.
    """
    packages = {name.partition(".")[0] for name in current.unknown}
    named = {name.strip("_") for name in packages | _unknown.WITHOUT_TLS | _unknown.OF_SSL}
    unknown = {
        library["path"]: library["implementation"].split(", ")
        for library in libraries
        if "unknown" in library["coverage"]
    }
    found = []
    for path, needed in unknown.items():
        if any(part.partition(".")[0].strip("_") in named for part in path.split(os.sep)) or any(
            _coverage.is_linked(path, names) and not _coverage.is_linked(user, needed)
            for user, names in unknown.items()
        ):
            continue
        try:
            tls = needed[0] if path.endswith(".py") else _unknown.find_tls(path)
        except OSError:  # it was removed, or is in another namespace
            tls = ", ".join(needed)
        if tls and not (floor <= versions.TLS1_2 and _unknown.MODERN in tls):
            found.append(f"{os.path.basename(path)}: {WITHOUT_ROW}{tls} in {path}")
    return found


def describe_unknown() -> list[str]:
    """Return what ``status()`` reports of libraries of no row."""
    return [
        f"{name}: {WITHOUT_ROW}{text}"
        for name, text in current.unknown.items()
        if not text.endswith(REFUSED) or name in sys.modules
    ]
