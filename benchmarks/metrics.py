"""What a handshake costs more if OpenTelemetry's metrics count it.

Both processes have loaded OpenTelemetry's SDK, and are armed. In one of them, the functions that
count are removed. A handshake includes both ends, so it is counted twice.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.gates import KEYS, certificates
from benchmarks.measure import BOOTSTRAP, WORK, Row, environment, instructions_of, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The two numbers of handshakes whose difference is measured.
CALLS = (5, 25)


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield a row for each version and kind of key."""
    env = environment(BOOTSTRAP, TLSFLOOR="1.2")
    variants = {"not counted": "no", "counted": "yes"}
    with certificates() as made:
        if quick:  # without valgrind, which needs a minute for it
            command = [sys.executable, WORK, "counted", "1", "TLSv1_3", *made["ECDSA"]]
            started = {
                name: partial(seconds, [*command, counts], env) for name, counts in variants.items()
            }
            yield Row("start and handshake, TLS 1.3, ECDSA", "second", started)
            return
        for version in ("TLSv1_2", "TLSv1_3"):
            for kind in KEYS:
                what = f"handshake, TLS {version[-3:].replace('_', '.')}, {kind}"
                of = {
                    name: partial(
                        instructions_of, "counted", (version, *made[kind], counts), env, *CALLS
                    )
                    for name, counts in variants.items()
                }
                yield Row(what, "integer", of, most=1.003, rounds=1)
