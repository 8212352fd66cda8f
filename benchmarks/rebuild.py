"""The official remedy: OpenSSL without the old protocols, and CPython on it; beside arming a floor.

Only on request: it takes minutes and about a gigabyte. It fetches the sources of OpenSSL and
CPython unless it is given archives, and leaves nothing behind.
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

#: Variables of the environment that name an archive, and what it is without them.
ARCHIVES = {
    "OPENSSL_ARCHIVE": "https://github.com/openssl/openssl/releases/download/openssl-3.0.16/openssl-3.0.16.tar.gz",
    "PYTHON_ARCHIVE": "https://www.python.org/ftp/python/3.11.11/Python-3.11.11.tgz",
}

#: In the archive of OpenSSL, then in that of CPython. Without ``--libdir`` OpenSSL 3 installs to
#: lib64, where CPython's ``configure`` does not look; it links the system's library, and says yes.
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

#: What must be true of the Python that came of it, or the time was spent on nothing.
PROOF = """
import _ssl, ssl
loaded = [line.split()[-1] for line in open("/proc/self/maps") if "libssl" in line]
assert loaded[0].startswith({prefix!r}), loaded
assert not (ssl.HAS_TLSv1 or ssl.HAS_TLSv1_1), "it still has the old protocols"
"""


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the time and the disk that both ways take; each of them is done once."""
    if quick:  # it cannot be
        return
    with tempfile.TemporaryDirectory() as folder:
        taken = {"arming": arm(Path(folder) / "arm"), "rebuilding": rebuild(Path(folder) / "build")}
        for name, unit in (("time", "second"), ("disk", "byte")):
            values = {way: partial(taken[way].__getitem__, unit) for way in taken}
            what = f"a Python without TLS 1.0 and 1.1: {name}"
            yield Row(what, unit, values, rounds=1, again=False)


def disk(folder: Path) -> int:
    """Return the bytes that the files below a folder take."""
    files = (each for each in folder.rglob("*") if not each.is_symlink())
    return sum(each.stat().st_blocks * 512 for each in files)


def arm(folder: Path) -> dict[str, float]:
    """Make the folder that is mounted, and start the first Python with it."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tlsfloor", "bundle", str(folder)], check=True, capture_output=True
    )
    armed = environment(str(folder / "tlsfloor" / "bootstrap"))
    del armed["PYTHONPYCACHEPREFIX"]  # the bundle holds all
    subprocess.run([sys.executable, "-c", "import ssl"], env=armed, check=True)
    return {"second": time.perf_counter() - begin, "byte": disk(folder)}


def rebuild(folder: Path) -> dict[str, float]:
    """Build and install both, and see that it was not for nothing. Fetching is not counted."""
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
