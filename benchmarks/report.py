"""The time and memory of ``tlsfloor report``, compared with only parsing the same JSON.

    python -m benchmarks.report [--events 1000000] [--rounds 3]

The goal is a million events in 10 s and 200 MB, whatever the events are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

#: The numbers of programs, of servers, and of clients of each server, as a small company has them.
PROGRAMS, SERVERS, CLIENTS = 30, 200, 500

#: What every report has to do.
PARSE = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"


def usual(number: int) -> dict[str, Any]:
    """Return a usual event: a few thousand kinds occur again and again."""
    program, server = number % PROGRAMS, number * 7 % SERVERS
    if number % 5:
        other = {"role": "client", "server_name": f"host-{server}.example", "port": 443}
    else:
        other = {"role": "server", "peer": f"10.0.0.{number * 13 % CLIENTS}", "port": 8443}
    return {"program": f"/srv/app-{program}/main.py", "host": f"pod-{number % 64}", **other}


def apart(number: int) -> dict[str, Any]:
    """Return an event that differs from all others, as an attacker would write them."""
    program, server = f"/srv/app-{number}/main.py", f"host-{number}.example"
    host = f"pod-{number}"
    return {"program": program, "host": host, "role": "client", "server_name": server, "port": 443}


def plant(path: str, make: Callable[[int], dict[str, Any]], events: int) -> None:
    """Write a file of events over a month, with three TLS versions in equal shares."""

    def lines() -> Iterator[str]:
        for number in range(events):
            made = {
                "schema": 1,
                "time": 1_740_988_800 + 2_592_000 * number / events,
                "pid": number % 30_000,
                "kind": "handshake",
                "count": 1 + number % 3,
                "mode": "observe",
                "floor": "1.2",
                "stack": "ssl",
                "version": ("TLS 1.0", "TLS 1.2", "TLS 1.3")[number % 3],
                "suite": "ECDHE-RSA-AES128-GCM-SHA256",
                "library": "urllib3/connection.py:704",
                **make(number),
            }
            yield json.dumps({**made, "where": f"{made['program']}:12"}) + "\n"

    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines())


def cost(*command: str) -> tuple[float, float]:
    """Return the seconds and the maximal memory (MB) of a process."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) in (0, 1), status
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return time.perf_counter() - begin, usage.ru_maxrss / unit


def main() -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="default: 1000000")
    parser.add_argument("--rounds", type=int, default=3, help="number of samples (default: 3)")
    arguments = parser.parse_args()
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {arguments.events} events"
    )
    print(f"{'':44}{'this':>10}{'parsing':>10}{'ratio':>8}{'memory':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for make in (usual, apart):
            path = os.path.join(folder, f"{make.__name__}.jsonl")
            plant(path, make, arguments.events)
            for kind in ("text", "json", "html"):
                report = ("-m", "tlsfloor", "report", path, "--format", kind)
                both = [(cost(*report), cost("-c", PARSE, path)) for _ in range(arguments.rounds)]
                this = statistics.median(each[0][0] for each in both)
                other = statistics.median(each[1][0] for each in both)
                memory = max(each[0][1] for each in both)
                name = {"usual": "a few thousand kinds", "apart": "each of its own kind"}
                print(
                    f"{name[make.__name__] + ', ' + kind:44}{this:>8.2f} s{other:>8.2f} s"
                    f"{this / other:>8.2f}{memory:>7.0f} MB"
                )
            os.remove(path)


if __name__ == "__main__":
    main()
