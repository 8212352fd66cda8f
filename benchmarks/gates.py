"""What the gates cost: the guarded class beside the unguarded one, interleaved, in one process.

    python -m benchmarks.gates [--rounds 300]

Nothing here is a test. Each figure is the ratio of two medians that were taken in turns, so that
whatever else the machine does meets both; the absolute times beside it are of the unguarded class.
"""

from __future__ import annotations

import argparse
import platform
import ssl
import statistics
import time
import warnings
from collections.abc import Callable

from tlsfloor.stacks import stdlib
from tlsfloor.verify.peers import PEER_FILE
from tlsfloor.versions import TLS1_2

#: Calls in one sample: long enough for the clock, short enough to take turns often.
CALLS = 20


def birth_of_a_context() -> None:
    """``SSLContext(PROTOCOL_TLS_CLIENT)``."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
_server.load_cert_chain(PEER_FILE)
_client.check_hostname = False
_client.verify_mode = ssl.CERT_NONE


def birth_of_a_tls_object() -> None:
    """``SSLContext.wrap_bio()``."""
    _client.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


def connect() -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Shake hands in memory, and return both ends."""
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _client.wrap_bio(one, other)
    server = _server.wrap_bio(other, one, server_side=True)
    waiting = [client, server]
    while waiting:
        for each in list(waiting):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(each)
    return client, server


def full_handshake() -> None:
    """A full handshake, both ends, in memory."""
    connect()


def _echo(ends: tuple[ssl.SSLObject, ssl.SSLObject]) -> Callable[[], None]:
    client, server = ends

    def one_kilobyte() -> None:
        """1 kB written by one end and read by the other, on an open connection."""
        client.write(b"x" * 1024)
        server.read(1024)

    return one_kilobyte


def sample(function: Callable[[], None]) -> float:
    """Return the seconds of one call, by the mean of CALLS."""
    begin = time.perf_counter()
    for _ in range(CALLS):
        function()
    return (time.perf_counter() - begin) / CALLS


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=300, help="samples of each kind (default: 300)"
    )
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")

    without_connection = connect()
    stdlib.guard(ssl, TLS1_2, "the benchmark")
    with_connection = connect()
    stdlib.undo()

    pairs = [(each, each) for each in (birth_of_a_context, birth_of_a_tls_object, full_handshake)]
    pairs.append((_echo(without_connection), _echo(with_connection)))
    print(f"{platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}")
    print(f"{'':24}{'unguarded':>12}{'guarded':>12}{'ratio':>8}{'more':>10}")
    for without, held in pairs:
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            times[0].append(sample(without))
            stdlib.guard(ssl, TLS1_2, "the benchmark")
            times[1].append(sample(held))
            stdlib.undo()
        before, after = (statistics.median(each) * 1e6 for each in times)
        print(
            f"{without.__name__:24}{before:>9.2f} µs{after:>9.2f} µs{after / before:>8.3f}"
            f"{after - before:>+7.2f} µs"
        )


if __name__ == "__main__":
    main()
