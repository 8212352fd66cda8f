"""Compute what a fleet writes, keeps and reads: ``python -m benchmarks.fleet_model``.

It takes some minutes: a real process connects over loopback for two of them, and the events of a
host, a cluster and the fleet are condensed by the command that users have.
"""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import RESULTS, fleet_events
from benchmarks.fleet_events import BEHAVIOURS, HOSTS, PROCESSES, SERVICES, VARIANTS
from benchmarks.measure import environment
from tlsfloor.peers.base import CA_FILE, PEER_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FILE = RESULTS / "fleet-model.json"

#: Hosts of a cluster.
CLUSTER = 500

#: Lines that are condensed in place of all of a cluster, or of the fleet. Both have all connections
#: of all services in them, and more lines would only count them more often.
SAMPLES = {"cluster": (CLUSTER, 2_000_000), "fleet": (HOSTS, 10_000_000)}

#: The real process: how long it runs, and after how many seconds it connects to each server again.
SECONDS, EVERY = 140, (1, 7, 45)

#: It observes a floor, and prints when each of its handshakes was complete.
PROCESS = """
import socket, ssl, sys, time
import tlsfloor
ca, seconds, *ports = sys.argv[1:]
tlsfloor.enforce("1.2", mode="observe")
context = ssl.create_default_context(cafile=ca)
begin = time.time()
due = {tuple(map(int, each.split("/"))): begin for each in ports}
while time.time() < begin + int(seconds):
    for (port, every), when in due.items():
        if time.time() >= when:
            with socket.create_connection(("localhost", port)) as plain:
                with context.wrap_socket(plain, server_hostname="localhost"):
                    print(time.time(), port, flush=True)
            due[port, every] = when + every
    time.sleep(0.01)
print(time.time(), 0)
"""


#: It connects once to each server, and prints how many series OpenTelemetry's metrics then have.
METRICS = """
import socket, ssl, sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import tlsfloor
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
tlsfloor.enforce("1.2", mode="observe")
context = ssl.create_default_context(cafile=sys.argv[1])
for name in ("localhost", "ip6-localhost", "127.0.0.1")[: int(sys.argv[2])]:
    with socket.create_connection(("localhost", int(sys.argv[3]))) as plain:
        context.check_hostname = False
        context.wrap_socket(plain, server_hostname=name).close()
found = reader.get_metrics_data().resource_metrics[0].scope_metrics
print(sum(len(each.data.data_points) for scope in found for each in scope.metrics))
"""


@contextmanager
def serving() -> Iterator[str]:
    """Run a server, and yield its port."""
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), PEER_FILE]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield server.stdout.readline().strip() if server.stdout else ""
    finally:
        server.kill()
        server.communicate()


def said(program: str, *args: object, **more: str) -> str:
    """Return what a program prints that runs with this checkout."""
    command = [sys.executable, "-c", program, CA_FILE, *map(str, args)]
    env = environment(str(Path(__file__).parent.parent), **more)
    return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


def series() -> dict[str, int]:
    """Return how many series a process has, for itself and for each server that it connects to."""
    with serving() as port:
        one, three = (int(said(METRICS, number, port)) for number in (1, 3))
    each = (three - one) // 2
    return {"process": one - each, "server": each}


def real_process(folder: Path, seconds: int = SECONDS) -> dict[str, Any]:
    """Run the real process; return what it wrote, and whether the simulation writes the same."""
    file = folder / "process.jsonl"
    with ExitStack() as stack:
        peers = [f"{stack.enter_context(serving())}/{every}" for every in EVERY]
        printed = said(PROCESS, seconds, *peers, TLSFLOOR_EVENTS=str(file))
    lines = file.read_bytes().splitlines(keepends=True)
    wrote = [json.loads(line) for line in lines]
    steps: list[tuple[float, str, dict[str, Any]]]
    steps = [(wrote[0]["time"], "armed", {"port": None})]
    steps += [
        (float(when), "handshake", {"port": int(port)})
        for when, port in map(str.split, printed.splitlines())
    ]
    end, _, _ = steps.pop()
    simulated = [
        (each["kind"], each["port"], each["count"]) for each in fleet_events.counted(steps, end)
    ]
    return {
        "seconds": seconds,
        "handshakes": len(steps) - 1,
        "lines": len(lines),
        "bytes": sum(map(len, lines)),
        "same": simulated == [(each["kind"], each.get("port"), each["count"]) for each in wrote],
    }


def behaviours() -> list[dict[str, Any]]:
    """Return what a process of each behaviour does in a day, on average."""
    found: list[dict[str, Any]] = []
    chance = random.Random(1)
    for behaviour in BEHAVIOURS:
        which = [
            (service, variant)
            for service in SERVICES
            if service.behaviour is behaviour
            for variant in range(VARIANTS)
        ]
        lines = [fleet_events.process_lines(*each, 1, chance) for each in which]
        sums = {
            "handshakes": sum(fleet_events.schedule(*each).handshakes for each in which),
            "lines": sum(map(len, lines)),
            "bytes": sum(len(line) for each in lines for line in each),
        }
        means = {key: value / len(which) for key, value in sums.items()}
        found.append({"name": behaviour.name, "share": behaviour.share, **means})
    return found


def condensed(folder: Path) -> dict[str, Any]:
    """Condense the files of a folder; return their size, and that of the result."""
    files = sorted(folder.glob("*.jsonl"))
    out = folder / "condensed"
    command = [sys.executable, "-m", "tlsfloor", "report", "--quiet", "--condense", str(out)]
    done = subprocess.run(
        [*command, *map(str, files)], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1, 3), done.stderr
    raw = out.read_bytes()
    return {
        "lines": sum(_lines_of(each) for each in files),
        "bytes": sum(each.stat().st_size for each in files),
        "condensed_lines": raw.count(b"\n"),
        "condensed_bytes": len(raw),
        "condensed_gzip": len(gzip.compress(raw, 6)),
    }


def _lines_of(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def host(folder: Path) -> dict[str, Any]:
    """Write the day of all processes of one host, and condense it."""
    chance = random.Random(2)
    file = folder / "host.jsonl"
    lines = [line for _ in range(PROCESSES) for line in fleet_events.host_lines(1, chance)]
    lines.sort(key=lambda line: float(line.split(", ", 2)[1].split()[1]))  # as they are written
    file.write_text("".join(lines))
    compressed = len(gzip.compress(file.read_bytes(), 6))
    return {**condensed(folder), "gzip": compressed}


def sample(folder: Path, hosts: int, lines: int) -> dict[str, Any]:
    """Write the day of a part of the processes of some hosts, and condense it."""
    fleet_events.write_day(folder, lines, hosts=hosts)
    return condensed(folder)


def main() -> None:
    """Compute the figures, and write the file that the page is written from."""
    found: dict[str, Any] = {"behaviours": behaviours(), "series": series()}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        found["process"] = real_process(folder)
        for name in ("host", *SAMPLES):
            below = folder / name
            below.mkdir()
            found[name] = sample(below, *SAMPLES[name]) if name in SAMPLES else host(below)
            for file in below.iterdir():
                file.unlink()
    FILE.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
