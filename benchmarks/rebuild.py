"""The cost of building OpenSSL without old protocols, and CPython with it, compared with a floor.

It runs only if it is named, because it takes many minutes and about a gigabyte. It downloads the
sources of OpenSSL and CPython unless it gets archives, and removes everything at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Row, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Environment variables that name an archive -> the archive that is used without them.
ARCHIVES = {
    "OPENSSL_ARCHIVE": "https://github.com/openssl/openssl/releases/download/openssl-3.0.16/openssl-3.0.16.tar.gz",
    "PYTHON_ARCHIVE": "https://www.python.org/ftp/python/3.11.11/Python-3.11.11.tgz",
}

#: The commands for OpenSSL, and for CPython. Without ``--libdir``, OpenSSL 3 installs into lib64.
#: CPython's ``configure`` does not look there, and silently links the library of the system.
OPENSSL = """
./Configure --prefix={prefix} --libdir=lib no-ssl3 no-tls1 no-tls1_1 no-tests
make -s -j{jobs}
make -s install_sw
"""
PYTHON = """
./configure -q --prefix={prefix} --with-openssl={prefix} --with-openssl-rpath=auto
make -s -j{jobs}
make -s install
"""

#: Checks that the new Python uses the new OpenSSL, and has no old protocols.
PROOF = """
import _ssl, ssl
loaded = [line.split()[-1] for line in open("/proc/self/maps") if "libssl" in line]
assert loaded[0].startswith({prefix!r}), loaded
assert not (ssl.HAS_TLSv1 or ssl.HAS_TLSv1_1), "it still has the old protocols"
"""


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows for the time and the disk space that both ways take. Each way runs once."""
    if quick:  # it is never quick
        return
    with tempfile.TemporaryDirectory() as folder:
        taken = {"arming": arm(Path(folder) / "arm"), "rebuilding": rebuild(Path(folder) / "build")}
        for name, unit in (("time", "second"), ("disk", "byte")):
            values = {way: partial(taken[way].__getitem__, unit) for way in taken}
            what = f"a Python without TLS 1.0 and 1.1: {name}"
            yield Row(what, unit, values, rounds=1, again=False)


def disk(folder: Path) -> int:
    """Return the bytes on disk of the files below a folder."""
    files = (each for each in folder.rglob("*") if not each.is_symlink())
    return sum(each.stat().st_blocks * 512 for each in files)


def arm(folder: Path) -> dict[str, float]:
    """Write a bundle, and start a Python with it for the first time."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tlsfloor", "bundle", str(folder)], check=True, capture_output=True
    )
    armed = environment(str(folder / "tlsfloor" / "bootstrap"))
    del armed["PYTHONPYCACHEPREFIX"]  # the bundle has its own
    subprocess.run([sys.executable, "-c", "import ssl"], env=armed, check=True)
    return {"second": time.perf_counter() - begin, "byte": disk(folder)}


def rebuild(folder: Path) -> dict[str, float]:
    """Build, install and check both. The time for downloads does not count."""
    prefix = folder / "installed"
    seconds = 0.0
    for variable, steps in zip(ARCHIVES, (OPENSSL, PYTHON)):
        archive = os.environ.get(variable, ARCHIVES[variable])
        source = folder / variable
        source.mkdir(parents=True)
        if "://" in archive:
            subprocess.run(["curl", "-fsSLo", f"{source}.tgz", archive], check=True)
            archive = f"{source}.tgz"
        begin = time.perf_counter()
        subprocess.run(
            ["tar", "-xf", archive, "--strip-components=1", "-C", str(source)], check=True
        )
        script = steps.format(prefix=prefix, jobs=os.cpu_count())
        subprocess.run(["bash", "-ec", script], cwd=source, check=True, stdout=subprocess.DEVNULL)
        seconds += time.perf_counter() - begin
    made = str(prefix / "bin" / "python3")
    subprocess.run([made, "-c", PROOF.format(prefix=str(prefix))], check=True)
    return {"second": seconds, "byte": disk(folder)}
