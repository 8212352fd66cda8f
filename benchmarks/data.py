"""What is left of a guard once a connection stands: bytes, and requests that are kept alive.

Counted as in ``gates``; the server of the requests is another process, and not counted.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import serve
from benchmarks.gates import both, certificates
from benchmarks.measure import empty_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Row

SIZES = {"1 kB": 2**10, "16 kB, a record": 2**14, "1 MB": 2**20}
REQUESTS = {"urllib3": "GET", "boto3": "head_bucket()", "redis": "PING"}

#: A ratio of 1.00. The third place is malloc's: whether it has a block at hand depends on what else
#: lies in memory, alike in each run of one version, and otherwise in the next.
SAME = 1.005


@contextmanager
def server(pem: str) -> Iterator[str]:
    """Run a server that has no floor; yield its port."""
    command = [sys.executable, serve.__file__, pem]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield both."""
    with certificates() as made, empty_folder() as empty:
        pem, ca = made["ECDSA"]
        for name, size in SIZES.items() if not quick else ():
            what, calls = f"{name} to the other end", (5, 25) if size > 2**14 else (20, 220)
            data = (str(size), pem, ca)
            yield from both(what, "transfer", data, empty, calls, most=SAME)
        with server(pem) as port:
            for name, request in REQUESTS.items():
                what, args = f"{name}: {request}, kept alive", (port, ca)
                # Whether an answer is there at once changes the count: of three the median.
                calling = name, args, empty, (20, 120)
                found = both(what, *calling, most=SAME, rounds=3, quick=quick)
                if quick:  # a start of a client under valgrind is not
                    yield next(found)
                    return
                yield from found
