"""What ``_unknown`` needs once it has found TLS, or a file that is not ELF."""

from __future__ import annotations

import sys

from tlsfloor import events, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, say
from tlsfloor.stacks import _coverage, _unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _io import FileIO
    from collections.abc import Iterable, Sequence

# Who it is, by its own words: its name, the word in front of its version, other words.
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


def named(file: FileIO, places: Sequence[tuple[int, int]]) -> str:
    """Return the names and versions of what is in these parts of a file."""
    names: dict[str, str] = {}
    for data, end in _unknown.chunks(file, places):
        for name, before, words in _WORDS:
            if not names.get(name):
                version = _version(data, end, before) if before else ""
                if version or any(data.find(word, 0, end) >= 0 for word in words):
                    names[name] = version
    found = [f"{name} {version}".rstrip() for name, version in names.items()]
    # rustls has TLS 1.2 and 1.3 and no more; it uses the ciphers of AWS-LC, and not its libssl,
    # which would have the name of its main file in it, as all that come from OpenSSL's.
    only = {"rustls"} <= names.keys() <= {"rustls", "AWS-LC"}
    if only and not _unknown.holds(file, places, b"ssl_lib.c"):
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


def needed(file: FileIO, size: int) -> list[str]:
    """Return the libraries that a file of another format than ELF names."""
    found = []
    for data, read in _unknown.chunks(file, [(0, size)]):
        for end in (b".dylib\0", b".dll\0"):
            at = data.find(end, 0, read)
            while at >= 0:
                begin = data.rfind(b"\0", 0, at) + 1
                found.append(data[begin : at + len(end) - 1].decode("utf-8", "replace"))
                at = data.find(end, at + 1, read)
    return found


#: How the text of a library ends that was refused: it counts only if it was loaded all the same.
REFUSED = ", which was refused"

# What was written to stderr: package, and what it carries.
_said: set[tuple[str, str]] = set()


def note(name: str, path: str, what: str, wanted: Iterable[str]) -> None:
    """Report a module that carries TLS and has no row, just before it is loaded or later.

    It is in ``floor.unknown``, once for all modules of a package that need the same library.
    ``wanted`` is what the sources want of such libraries: ``"warn"``, ``"block"``.

    Raises:
        GuardError: somebody wants it to be refused.
    """
    package = name.partition(".")[0]
    if _coverage.row_of(package):  # it carries the library of a row: cryptography that of pyOpenSSL
        return
    lowest = versions.TLS1_2 if _unknown.MODERN in what else 0
    mode = "enforce" if current.held > lowest else "observe"
    asked = max(current.held, current.observed) if mode == "observe" else current.held
    if asked <= lowest:
        return  # it cannot go below the floor
    refused = mode == "enforce" and "block" in wanted
    text = f"{what} in {path}{REFUSED if refused else ''}"
    floor = versions.floor_name(asked)
    events.note("unknown", stack=package, floor=floor, mode=mode, text=text)
    if mode == "observe":
        return
    problem = f"{name} ({path}) carries TLS ({what}), and no row of the table covers it"
    if refused:
        current.unknown[name] = text
        raise GuardError(
            problem, hint="do without it, or let it run without the floor: TLSFLOOR_UNKNOWN=warn"
        )
    if (package, what) not in _said:
        _said.add((package, what))
        current.unknown[name] = text
        hint = "TLSFLOOR_UNKNOWN=block refuses it, `tlsfloor stacks` lists all"
        say(f"tlsfloor: warning: {problem}; hint: {hint}")


def problems() -> list[str]:
    """Return what ``status()`` says of libraries of no row."""
    return [
        f"{name}: no row of the table covers its TLS: {text}"
        for name, text in current.unknown.items()
        if not text.endswith(REFUSED) or name in sys.modules
    ]
