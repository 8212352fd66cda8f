"""Recognise a Python interpreter by the bytes of its file, so that no other program is started.

How it works: ``python`` is a few lines around one call into libpython, or contains all of it. In
both cases the name of that function is among its symbols, even in a stripped file, because the
dynamic linker needs it. Only a build without dynamic symbols (musl's, fully static) has none; it
still contains Python's usage text.
"""

from __future__ import annotations

import functools
import mmap
import os
import sys

#: What only the main program of a Python contains: the functions that it calls (since 3.8, since
#: 3.8, 3.0 to 3.7 and 2.7, 3.7, PyPy), and the usage text of every CPython.
MARKERS = (
    b"Py_BytesMain",
    b"Py_RunMain",
    b"Py_Main",
    b"_Py_UnixMain",
    b"pypy_main_startup",
    b"[-c cmd | -m mod | file | -]",
)

# How many bytes of a file are searched. The largest static builds, with debug information, have
# about 100 MB, and their symbols at the beginning.
_LIMIT = 64 * 2**20

# The e_machine of ELF (System V ABI, chapter 4), and its usual name.
_MACHINES = {
    3: "x86",
    8: "mips",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86-64",
    183: "arm64",
    243: "riscv",
    258: "loongarch",
}


def nature(path: str) -> tuple[str, str]:
    """Return why a regular file is not an interpreter, or else why it cannot be started here.

    Both are empty for an interpreter that can be started on this machine.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(64)
    kind = _format_of(head)
    if kind is None:
        if not head.startswith(b"#!"):
            return "not a program", ""
        first_line = head.split(b"\n")[0].decode("ascii", "backslashreplace")
        return f"a script, not an interpreter: {first_line}", ""
    here = _format_here()
    if kind[0] != here[0]:
        return "", f"a program of another system ({kind[0]}), and this machine runs {here[0]}"
    if None not in (kind[1], here[1]) and kind[1] != here[1]:
        return "", f"built for {_machine(kind[1])}, and this machine is {_machine(here[1])}"
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if all(data.find(marker, 0, _LIMIT) < 0 for marker in MARKERS):
            return "", "a program without any sign of Python in it: it was not started"
    return "", "" if os.access(path, os.X_OK) else "not executable"


def _format_of(head: bytes) -> tuple[str, int | None] | None:
    """Return the format of a program and the machine that it is for, from its first bytes."""
    if head.startswith(b"\x7fELF"):
        # EI_DATA, then e_machine, in the ELF header.
        return "ELF", int.from_bytes(head[18:20], "big" if head[5:6] == b"\2" else "little")
    if head[:4] in (b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"):
        return "Mach-O", int.from_bytes(head[4:8], "little")
    if head.startswith(b"\xca\xfe\xba\xbe"):  # for several machines
        return "Mach-O", None
    return ("PE", None) if head.startswith(b"MZ") else None


@functools.lru_cache(maxsize=None)
def _format_here() -> tuple[str, int | None]:
    """Return the format of this process's own program."""
    for path in ("/proc/self/exe", sys.executable):
        try:
            with open(path, "rb") as file:
                kind = _format_of(file.read(64))
        except OSError:
            continue
        if kind is not None:
            return kind
    return ("PE" if os.name == "nt" else "Mach-O" if sys.platform == "darwin" else "ELF"), None


def _machine(number: int | None) -> str:
    return _MACHINES.get(number or 0, f"machine {number}")
