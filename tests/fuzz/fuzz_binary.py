"""Fuzz foreign files: any bytes are searched without an error, in no more memory than they take.

In full: ``inventory/`` finds in the sections of an ELF file nothing that is not in the file, and
takes no more memory for them than the file has. What it says of a file is the same each time and
one line each.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import zlib

from tlsfloor.errors import printable
from tlsfloor.inventory import binary, identity, libraries

FOLDER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
FILE = os.path.join(FOLDER, "library.so")

# Few inputs become a file, which takes ten times as long as all else.
ONE_OF = 32


def one_input(data):
    """Check the invariant on one file."""
    parts = libraries._texts_in(data)
    assert len(parts.replace(b"\0", b"")) <= len(data), parts  # a null is between two sections
    for _, text, version in libraries._TEXTS:
        if version:
            found = {match[0] for match in libraries._matches(parts, text, version)}
            assert all(each in data for each in found)
    kind = binary._format_of(data[:64])
    assert kind is None or printable(f"{kind[0]} {binary._machine(kind[1])}").isprintable()
    if zlib.crc32(data) % ONE_OF == 0:
        check_file(data)


def check_file(data):
    """Check what is said of a file with these bytes."""
    with open(FILE, "wb") as file:
        file.write(data)
    facts = identity.facts_of(FILE, ("OpenSSL 3", "\ud800("))
    assert facts == identity.FileFacts(*facts)
    assert len(facts.sha256) == 64
    names = libraries.implementations_in(FILE)
    libraries._implementations_in.cache_clear()
    assert libraries.implementations_in(FILE) == names
    for text in (*names, *names.values(), *binary.nature(FILE)):
        assert printable(text).isprintable()
    if data:
        assert libraries.search_folder(FOLDER)[1] == {}
