"""The cost of a floor on an open connection: data, and requests on a connection that is kept alive.

It is measured as in ``gates``, without the server of the requests, which is another process.
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

#: A ratio of 1.00. The third decimal depends on malloc: whether it has a free block depends on what
#: else is in memory, which is the same in each run of a version and differs between versions.
SAME = 1.005


@contextmanager
def server(pem: str) -> Iterator[str]:
    """Run a server without a floor, and yield its port."""
    command = [sys.executable, serve.__file__, pem]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows for data and for requests."""
    with certificates() as made, empty_folder() as empty:
        pem, ca = made["ECDSA"]
        for name, size in SIZES.items() if not quick else ():
            what, calls = f"{name} to the other end", (5, 25) if size > 2**14 else (20, 220)
            data = (str(size), pem, ca)
            yield from both(what, "transfer", data, empty, calls, most=SAME)
        with server(pem) as port:
            for name, request in REQUESTS.items():
                what, args = f"{name}: {request}, kept alive", (port, ca)
                # The count depends on when the answer arrives: take the median of three.
                calling = name, args, empty, (20, 120)
                found = both(what, *calling, most=SAME, rounds=3, quick=quick)
                if quick:  # to start a client under valgrind is not quick
                    yield next(found)
                    return
                yield from found
