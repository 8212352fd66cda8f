"""Write the events of one day of a fleet: ``python -m benchmarks.fleet_events FOLDER --lines N``.

The fleet is 10,000 hosts with 200 processes each. 10 million lines are what about one in 200 of
these processes writes in a day, that is, one for each host. Fewer lines are of fewer hosts.

When a process writes a line, and how many handshakes the line counts, is decided by the code that
decides it in a process: ``tlsfloor.events``, here with a clock that is moved forward. Only the
traffic of the programs is assumed: the tables below are the assumption.
"""

from __future__ import annotations

import argparse
import functools
import json
import operator
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tlsfloor import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    # A line of a schedule: seconds since the day began, which run of the program, which facts, and
    # how many events the line counts.
    Line = tuple[float, int, int, int]

HOSTS, PROCESSES = 10_000, 200
DAY = 86_400

#: 2025-03-03 00:00 UTC, a Monday: when the day begins.
BEGIN = 1_740_960_000

#: Lines of a host in a day, if all hosts write a share of the same size.
LINES_OF_A_HOST = 1000

#: One line of so many is damaged, and the last one of the day is cut off.
DAMAGED = 20_000

#: Files of a day, one for each group of hosts.
FILES = 16

#: Hosts in different zones have different proxies in front of them.
ZONES = 64

#: The clock of one host of so many begins in 1970.
WITHOUT_CLOCK = 1000

#: Days that are made for each service, of which each process has one.
VARIANTS = 4


class Connection(NamedTuple):
    """Handshakes that a process repeats: with whom, and after how many seconds, on average."""

    every: float
    port: int
    library: str
    version: str = "TLS 1.3"
    suite: str = "TLS_AES_256_GCM_SHA384"
    server: str = ""  # the name of the server; empty where the process is the server
    addresses: int = 1


class Behaviour(NamedTuple):
    """What a kind of program does: how often it starts in a day, how long it runs, and its peers.

    ``share`` is how many of 100 processes are of this kind.
    """

    name: str
    services: int
    share: int
    runs: int
    seconds: float
    connections: tuple[Connection, ...]


_GCM = "ECDHE-RSA-AES128-GCM-SHA256"
_CACHE = Connection(600, 6380, "redis/connection.py:1203", "TLS 1.2", _GCM, "cache", 2)
_STORE = Connection(300, 443, "urllib3/connection.py:704", server="store", addresses=40)
_TRACES = Connection(120, 4317, "requests/adapters.py:667", server="traces", addresses=3)

BEHAVIOURS = (
    Behaviour(
        "web",
        20,
        30,
        1,
        DAY,
        (
            _CACHE,
            _STORE,
            Connection(60, 443, "urllib3/connection.py:704", server="pay", addresses=4),
            Connection(180, 443, "httpcore/_sync/connection.py:163", server="users", addresses=3),
        ),
    ),
    Behaviour(
        "worker",
        20,
        25,
        1,
        DAY,
        (_STORE, Connection(900, 5671, "amqp/transport.py:472", "TLS 1.2", _GCM, "broker", 3)),
    ),
    Behaviour("agent", 5, 20, 1, DAY, (_TRACES,)),
    Behaviour("job", 10, 8, 288, 20, (_STORE, _TRACES, _CACHE)),
    Behaviour("tool", 3, 14, 1, DAY, ()),
    Behaviour("proxied", 2, 3, 1, DAY, (Connection(30, 8443, "gunicorn/sock.py:230"),)),
)

#: Services that also connect to an old server: (behaviour, number) -> the connection.
LEGACY = {
    ("web", 3): Connection(
        1800, 443, "urllib3/connection.py:704", "TLS 1.0", "AES128-SHA", "erp", 2
    ),
    ("worker", 7): Connection(
        3600, 636, "ldap3/core/tls.py:281", "TLS 1.1", "ECDHE-RSA-AES128-SHA", "directory", 2
    ),
    ("job", 4): Connection(20, 443, "suds/transport/https.py:61", "TLS 1.0", "AES128-SHA", "tax"),
    ("web", 19): Connection(
        1800, 443, "urllib3/connection.py:704", "TLS 1.0", "AES128-SHA", "erp", 2
    ),
}

#: Services that enforce the floor already: there, an old server is an event of another kind.
ENFORCING = {("web", 19), ("agent", 1)}


class Service(NamedTuple):
    """One of the services of a behaviour."""

    behaviour: Behaviour
    number: int

    @property
    def program(self) -> str:
        """What ``sys.argv[0]`` is there."""
        return f"/srv/{self.behaviour.name}-{self.number}/main.py"

    @property
    def mode(self) -> str:
        """Whether the service observes or enforces the floor."""
        is_enforcing = (self.behaviour.name, self.number) in ENFORCING
        return "enforce" if is_enforcing else "observe"

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Return its connections, with the one to an old server."""
        legacy = LEGACY.get((self.behaviour.name, self.number))
        return (*self.behaviour.connections, *([legacy] if legacy else []))


SERVICES = [
    Service(behaviour, number) for behaviour in BEHAVIOURS for number in range(behaviour.services)
]
WEIGHTS = [each.behaviour.share / each.behaviour.services for each in SERVICES]


class Schedule(NamedTuple):
    """What a process of a service writes in a day."""

    facts: list[tuple[str, dict[str, Any]]]
    lines: list[Line]
    handshakes: int


class _Clock:
    now = 0.0

    def time(self) -> float:
        return self.now


def counted(steps: Iterable[tuple[float, str, dict[str, Any]]], end: float) -> Iterator[Any]:
    """Yield the events that a process delivers: it does these things, and ends.

    A step is when something happened, the kind of event, and its facts.
    """
    clock = _Clock()
    vars(events)["time"] = clock  # it has the only function that is called
    try:
        events._forget_parent()
        for number, (when, kind, facts) in enumerate(steps):
            clock.now = when
            if not number:
                events._last_delivery = when
            yield from events._count(kind, facts)
        clock.now = end
        yield from events._undelivered()
    finally:
        vars(events)["time"] = time
        events._forget_parent()


@functools.lru_cache(None)
def schedule(service: Service, seed: int) -> Schedule:
    """Let ``tlsfloor.events`` count what a process of a service does in a day."""
    chance = random.Random(f"{service} {seed}")
    known: dict[str, int] = {}
    kept: list[tuple[str, dict[str, Any]]] = []
    lines: list[Line] = []
    handshakes = 0
    for run in range(service.behaviour.runs):
        begin = run * DAY / service.behaviour.runs + chance.random() * 5
        end = begin + service.behaviour.seconds
        steps = [(begin, "armed", _armed(service)), *_traffic(service, chance, begin, end)]
        handshakes += len(steps) - 1
        for event in counted(steps, end):
            header = {name: event.pop(name) for name in events._HEADER}
            key = json.dumps([header["kind"], event])
            if key not in known:
                known[key] = len(kept)
                kept.append((header["kind"], event))
            lines.append((header["time"], run, known[key], header["count"]))
    return Schedule(kept, lines, handshakes)


def _traffic(
    service: Service, chance: random.Random, begin: float, end: float
) -> list[tuple[float, str, dict[str, Any]]]:
    """Return the handshakes of a process; it connects to each peer soon after its start."""
    found = []
    for each in service.connections:
        when = begin + 1 + chance.random()
        while when < end:
            found.append((when, *_facts(service, each, chance)))
            when += chance.expovariate(1 / each.every)
    return sorted(found, key=operator.itemgetter(0))


def _armed(service: Service) -> dict[str, Any]:
    text = "start-up file: /opt/tlsfloor/bootstrap on PYTHONPATH"
    return {"floor": "1.2", "mode": service.mode, "text": text}


def _facts(
    service: Service, connection: Connection, chance: random.Random
) -> tuple[str, dict[str, Any]]:
    """Return kind and facts of a handshake, in the order in which a process has them."""
    address = chance.randrange(connection.addresses)
    facts: dict[str, Any] = {"mode": service.mode, "floor": "1.2", "stack": "ssl"}
    name = f"{connection.server}-{service.number % 8}.internal.example"
    fails = service.mode == "enforce" and connection.version < "TLS 1.2"
    if fails:
        facts["text"] = (
            f"tlsfloor: {name}:{connection.port} offers nothing at or above TLS 1.2, which is the "
            "floor of this process, set by PYTHONPATH"
        )
    else:
        facts["version"] = connection.version
    facts["role"] = "client" if connection.server else "server"
    if not fails:
        facts["suite"] = connection.suite
    if connection.server:
        facts["server_name"] = name
        facts["peer"] = f"10.{connection.port % 200}.{service.number}.{address + 10}"
    else:
        facts["peer"] = f"10.ZONE.7.{chance.randrange(3) + 10}"
    line = 12 + connection.port % 90
    where = {"where": f"{service.program}:{line}", "library": connection.library}
    return "failed" if fails else "handshake", {**facts, "port": connection.port, **where}


@functools.lru_cache(None)
def _templates(service: Service, variant: int, zone: int) -> tuple[list[str], list[Line]]:
    """Return the lines without time, host, process and count, and the schedule."""
    made = schedule(service, variant)
    texts = []
    for kind, facts in made.facts:
        header = dict.fromkeys(events._HEADER, "HERE")
        header.update(program=service.program, kind=kind)
        text = json.dumps({**header, "schema": events.SCHEMA, **facts}).replace("%", "%%")
        text = text.replace("10.ZONE.", f"10.{zone}.")
        for form in ("%r", '"%s"', "%d", "%d"):  # in the order of the header
            text = text.replace('"HERE"', form, 1)
        texts.append(text + "\n")
    return texts, made.lines


def process_lines(service: Service, variant: int, number: int, chance: random.Random) -> list[str]:
    """Return what a process of a service writes in a day, on the host with this number."""
    texts, lines = _templates(service, variant, number % ZONES)
    host, pid = f"node-{number:05}", chance.randrange(300, 30_000)
    begin = chance.random() + (BEGIN if number % WITHOUT_CLOCK else 0)
    return [
        texts[facts] % (round(begin + when, 3), host, pid + run, count)
        for when, run, facts, count in lines
    ]


def host_lines(number: int, chance: random.Random) -> list[str]:
    """Return what one of the processes of a host writes in a day."""
    [service] = chance.choices(SERVICES, WEIGHTS)
    return process_lines(service, chance.randrange(VARIANTS), number, chance)


def _damaged(line: str, kind: int) -> bytes:
    """Return a line as something on its way may have left it."""
    text = line.encode()
    half = len(text) // 2
    return (
        text[:half] + b"\n",
        text[:half] + text,  # two processes wrote at once
        text.replace(b"/srv/", b"/srv\xff/", 1),
        text[:half] + bytes(200) + b"\n",
        text.replace(b'"schema": 1', b'"schema": 99', 1),
        text.replace(b'"kind"', b'"kin"', 1),
        text.replace(b'"count": ', b'"count": -', 1),
        text.replace(b'"text"', b'"more"', 1)[:-2] + b', "text": "' + b"x" * 70_000 + b'"}\n',
        b"Traceback (most recent call last):\n",
    )[kind % 9]


def write_group(path: Path, hosts: range, lines: int, seed: int, damage: int) -> int:
    """Write exactly so many lines of some hosts; return how many of them are damaged."""
    chance = random.Random(f"{seed} {hosts}")
    left, damaged = lines, 0
    with path.open("wb") as file:
        while left:
            for number in hosts:
                made = host_lines(number, chance)[:left]
                left -= len(made)
                file.write("".join(made).encode())
                for _ in range(min(left, int(len(made) / damage + chance.random()))):
                    file.write(_damaged(chance.choice(made), damaged))
                    left -= 1
                    damaged += 1
                if not left:
                    break
        if not hosts.start:  # its writer was interrupted
            file.seek(-9, os.SEEK_END)
            file.truncate()
            damaged += 1
    return damaged


def write_day(
    folder: Path, lines: int, seed: int = 20, damage: int = DAMAGED, hosts: int = 0
) -> int:
    """Write the files of a day; return how many of the lines are damaged.

    The same numbers give the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hosts = hosts or min(HOSTS, max(FILES, lines // LINES_OF_A_HOST))
    if hosts > len(SERVICES) * VARIANTS:  # else only a part of them is needed
        for service in SERVICES:  # before the pool, so that its processes do not repeat it
            for variant in range(VARIANTS):
                schedule(service, variant)
    with ProcessPoolExecutor() as pool:
        parts = [
            pool.submit(
                write_group,
                folder / f"group-{number:02}.jsonl",
                range(hosts * number // FILES, hosts * (number + 1) // FILES),
                lines * (number + 1) // FILES - lines * number // FILES,
                seed,
                damage,
            )
            for number in range(FILES)
        ]
        return sum(part.result() for part in parts)


def main() -> None:
    """Write the day that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lines", type=int, default=10_000_000, help="default: 10000000")
    parser.add_argument("--seed", type=int, default=20, help="default: 20")
    parser.add_argument(
        "--damage", type=int, default=DAMAGED, help=f"damage one of so many (default: {DAMAGED})"
    )
    arguments = parser.parse_args()
    begin = time.perf_counter()
    damaged = write_day(arguments.folder, arguments.lines, arguments.seed, arguments.damage)
    size = sum(each.stat().st_size for each in arguments.folder.glob("*.jsonl"))
    print(
        f"{arguments.lines} lines, {damaged} of them damaged, {size / 1e6:.0f} MB, in "
        f"{time.perf_counter() - begin:.0f} s"
    )


if __name__ == "__main__":
    main()
