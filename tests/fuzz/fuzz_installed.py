"""Fuzz installed start-up files: only those that tlsfloor wrote are replaced or removed.

In full: of any files with these names, ``deploy/startup_files`` reads those that are as tlsfloor
wrote them, with a floor that it knows, or there is one error.

An input is the text of each file, with a null after each; ``SUM`` is the checksum of what is before
it, as somebody could compute it.
"""

from __future__ import annotations

import io
import os

from tlsfloor import versions
from tlsfloor.deploy import startup_files
from tlsfloor.errors import InstallError, printable

NAMES = (f"{startup_files.MODULE}.py", *startup_files.STARTERS)


def one_input(data):
    """Check the invariant on the files of a folder."""
    files = {}
    for name, content in zip(NAMES, data.split(b"\0")):
        if content:
            body, mark, end = content.partition(b"SUM")
            text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
            line = startup_files._CHECKSUM + startup_files._checksum(text)
            files[name] = body + line.encode() * bool(mark) + end

    # In memory, because files would make it several times slower.
    def opened(path, **options):
        if os.path.basename(path) not in files:
            raise FileNotFoundError(path)
        return io.TextIOWrapper(io.BytesIO(files[os.path.basename(path)]), **options)

    startup_files.open = opened
    try:
        found = startup_files._read_installed("/nowhere")
    except InstallError as error:
        assert printable(str(error)).isprintable()
        return
    assert {*found} == {*files}
    for name, text in found.items():
        if text != startup_files.STARTERS.get(name):
            body, checksum = text.split(startup_files._CHECKSUM)
            assert checksum.strip() == startup_files._checksum(body)
            floor, _ = startup_files._FLOOR.findall(body)[0]
            assert versions.parse(floor), floor
