"""Tells what a file is by its bytes, so that nothing is started that is no Python.

``python`` is a few lines around one call of libpython, or all of libpython itself: either way the
name of that function is among its symbols, stripped or not, since the dynamic linker needs it
there. Only a build without dynamic symbols (musl's, fully static) has none, and it still holds
Python's usage text.
"""

from __future__ import annotations

import functools
import os
import sys

#: Names that only the main program of a Python has: since 3.8, 3.8, 3.0 to 3.7 (and 2.7), 3.7,
#: PyPy; and the usage text of every CPython.
MARKERS = (
    b"Py_BytesMain",
    b"Py_RunMain",
    b"Py_Main",
    b"_Py_UnixMain",
    b"pypy_main_startup",
    b"[-c cmd | -m mod | file | -]",
)

# Bytes of a file that are searched: the largest static builds, with debug information, have some
# 100 MB, and their symbols at the beginning.
_BOUND = 64 * 2**20
_CHUNK = 2**20

#: The e_machine of ELF (System V ABI, chapter 4): what people call it.
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
    """Return why a regular file is no interpreter, and, if it may be one, why it cannot be tried.

    Both are empty for an interpreter of this machine.

    Raises:
        OSError: it cannot be read.

    .. versionadded:: 0.1
    """
    with open(path, "rb") as file:
        head = file.read(64)
    kind = _format(head)
    if kind is None:
        script = head.startswith(b"#!")
        return (
            f"a script, not an interpreter: {_first_line(head)}" if script else "not a program",
            "",
        )
    own = _own()
    if kind[0] != own[0]:
        return "", f"a program of another system ({kind[0]}), and this machine runs {own[0]}"
    if None not in (kind[1], own[1]) and kind[1] != own[1]:
        return "", f"built for {_machine(kind[1])}, and this machine is {_machine(own[1])}"
    if not _marked(path):
        return "", "a program without any sign of Python in it: it was not started"
    return "", "" if os.access(path, os.X_OK) else "not executable"


def _format(head: bytes) -> tuple[str, int | None] | None:
    """Return the kind of a program and the machine it is for, as far as its first bytes say."""
    if head.startswith(b"\x7fELF"):
        # EI_DATA, then e_machine, in the ELF header.
        return "ELF", int.from_bytes(head[18:20], "big" if head[5:6] == b"\2" else "little")
    if head[:4] in (b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"):
        return "Mach-O", int.from_bytes(head[4:8], "little")
    if head.startswith(b"\xca\xfe\xba\xbe"):  # for several machines at once
        return "Mach-O", None
    return ("PE", None) if head.startswith(b"MZ") else None


@functools.lru_cache(maxsize=None)
def _own() -> tuple[str, int | None]:
    """Return what programs of this machine are: the one that runs here is one."""
    for path in ("/proc/self/exe", sys.executable):
        try:
            with open(path, "rb") as file:
                kind = _format(file.read(64))
        except OSError:
            continue
        if kind is not None:
            return kind
    return ("PE" if os.name == "nt" else "Mach-O" if sys.platform == "darwin" else "ELF"), None


def _machine(number: int | None) -> str:
    return _MACHINES.get(number or 0, f"machine {number}")


def _marked(path: str) -> bool:
    """Tell whether the beginning of a file holds one of the markers."""
    longest = max(map(len, MARKERS))
    with open(path, "rb") as file:
        rest = b""
        for _ in range(_BOUND // _CHUNK):
            chunk = file.read(_CHUNK)
            if not chunk:
                return False
            text = rest + chunk
            if any(marker in text for marker in MARKERS):
                return True
            rest = text[-longest:]
    return False


def _first_line(head: bytes) -> str:
    return head.split(b"\n")[0].decode("ascii", "backslashreplace")
