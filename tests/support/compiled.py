"""C files of the tests, compiled against this Python: extensions, and programs that embed it."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import parts


def compiled(tmp_path: Path, name: str, text: str, *flags: str) -> Path:
    """Compile a C file against this Python."""
    gcc = parts.need_program("gcc")
    source = tmp_path / f"{name}.c"
    source.write_text(text)
    include = sysconfig.get_path("include")
    if not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("this Python has no headers")
    target = tmp_path / name
    subprocess.run([gcc, f"-I{include}", str(source), "-o", str(target), *flags], check=True)
    return target


def libpython() -> list[str]:
    """Return the flags that link a program to this Python; skip where it has no such library."""
    library = sysconfig.get_config_var("LDLIBRARY") or ""
    folders = [sysconfig.get_config_var(each) or "" for each in ("LIBPL", "LIBDIR")]
    found = [path for each in folders for path in glob.glob(os.path.join(each, library))]
    if sys.platform != "linux" or not library or not found:
        pytest.skip("this Python has no libpython to link, or is not linked as on Linux")
    flags = [found[0], "-rdynamic", f"-L{folders[1]}", f"-Wl,-rpath,{folders[1]}"]
    flags += ["-ldl", "-lm", "-lpthread"]
    for name in ("LIBS", "SYSLIBS"):
        flags += (sysconfig.get_config_var(name) or "").split()
    return flags
