"""Threads that create contexts and connect, with and without gates: do the gates make them wait?

All threads together do the same work, whatever their number. So if the ratio grows with the number
of threads, the gates are the reason.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Callable

import pyperf

from benchmarks import work
from benchmarks.gates import held
from benchmarks.measure import Row
from tlsfloor.peers.base import CA_FILE, PEER_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = (1, 2, 4, 8, 16, 32, 64)

#: Handshakes in one sample.
HANDSHAKES = 128


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield a row for each number of threads."""
    call = work.new_client("TLSv1_3", PEER_FILE, CA_FILE)
    for number in THREADS[:2] if quick else THREADS:
        with ThreadPoolExecutor(number) as pool:
            yield Row(
                f"{HANDSHAKES} contexts and handshakes, {number} thread{'s' * (number > 1)}",
                "second",
                {
                    name: _sample(pool, number, call, guarded=name == "guarded")
                    for name in ("unguarded", "guarded")
                },
                rounds=15,
            )


def _sample(
    pool: ThreadPoolExecutor,
    number: int,
    call: Callable[[], object],
    *,
    guarded: bool,
) -> Callable[[], float]:
    def share(_: int) -> None:
        for _ in range(HANDSHAKES // number):
            call()

    def measure() -> float:
        with held("1.2", guarded=guarded):
            call()
            begin = pyperf.perf_counter()
            list(pool.map(share, range(number)))
            return float(pyperf.perf_counter() - begin)

    return measure
