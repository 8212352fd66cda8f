"""What identifies the files of a library: SHA-256, the version in its own words, the build date.

How it works: OpenSSL keeps what ``OpenSSL_version()`` returns as texts in libcrypto, the version
(``OPENSSL_VERSION``, crypto/cversion.c) and ``built on: `` with a date (``OPENSSL_BUILT_ON``). The
libraries that descend from it have the second text without a date. No other library has one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from functools import lru_cache
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_BUILT = rb"built on: (\w{3} \w{3} [ \d]\d [\d:]{8} \d{4} UTC)\0"

# An implementation with its version: "OpenSSL 3.0.22", not "libssl.so.3".
_VERSION = re.compile(r" \d")

_CHUNK = 2**20

# Longer than each text that is searched, so that none is lost between two chunks.
_OVERLAP = 200

# The largest library has about 200 MB. An interpreter can report any path, /proc/kcore too.
_LIMIT = 2**32


class FileFacts(NamedTuple):
    """The SHA-256 of a file, and the texts that were found in it; each empty if there is none."""

    sha256: str = ""
    version: str = ""
    built: str = ""


def with_identity(libraries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return libraries, as JSON types, with what identifies their files."""
    return [_identified(library) for library in libraries]


def _identified(library: Mapping[str, Any]) -> dict[str, Any]:
    known = tuple(filter(_VERSION.search, library["implementation"].split(", ")))
    own, *others = (
        facts_of(each["path"], known) for each in ({"path": library["path"]}, *library["parts"])
    )
    parts = zip(library["parts"], others)
    texts = [*filter(None, (each.version for each in (own, *others))), *known]
    dates = filter(None, (each.built for each in (own, *others)))
    return {
        **library,
        "parts": [{**part, "sha256": facts.sha256} for part, facts in parts],
        "version": next(iter(texts), None),
        "built": next(dates, None),
        "sha256": own.sha256,
    }


def facts_of(path: str, versions: tuple[str, ...] = ()) -> FileFacts:
    """Return what identifies a file; nothing if it is a folder, cannot be read, or is changing.

    ``versions`` are the beginnings of the texts that count as its version.
    """
    try:
        at = os.stat(path)
        if not stat.S_ISREG(at.st_mode) or at.st_size > _LIMIT:
            return FileFacts()
        return _facts_of(path, versions, at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns)
    except (OSError, ValueError):  # ValueError: a null byte in what an interpreter calls a path
        return FileFacts()


@lru_cache(maxsize=1024)  # a thousand environments may share one library
def _facts_of(
    path: str, versions: tuple[str, ...], _device: int, _node: int, size: int, changed: int
) -> FileFacts:
    begin = b"|".join(re.escape(each.encode("utf-8", "replace")) for each in versions)
    # Without a version, nothing can match.
    patterns = [b"(" + (begin or b"(?!)") + rb"[ \w.+-]{0,40})\0", _BUILT]
    found = [b"", b""]
    digest, length, tail = hashlib.sha256(), 0, b""
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
            length += len(chunk)
            if length > size:
                break
            text = tail + chunk
            tail = text[-_OVERLAP:]
            for index, pattern in enumerate(patterns):
                match = None if found[index] else re.search(pattern, text)
                found[index] = match.group(1) if match else found[index]
        if length != size or os.fstat(file.fileno()).st_mtime_ns != changed:
            return FileFacts()
    return FileFacts(digest.hexdigest(), *(each.decode("ascii", "replace") for each in found))
