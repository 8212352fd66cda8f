"""OpenTelemetry's metrics and logs: what they say, in whatever order a program loads things."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import parts
import pytest
from programs import IMPORT_PATH, PROGRAMS, armed_environment, clean_environment, python

from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METERED = str(PROGRAMS / "metered.py")

#: What each handshake of the program has in common.
CLIENT = {
    "tls.protocol.name": "tls",
    "server.address": "localhost",
    "tlsfloor.role": "client",
    "tlsfloor.stack": "ssl",
    "tlsfloor.floor": "1.2",
}


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    """The ports of a peer below the floor and of a peer at the floor."""
    parts.need("opentelemetry.sdk")
    with handshakes.ServerPeer(TLS1_0) as legacy, handshakes.ServerPeer(TLS1_2) as modern:
        yield [str(legacy.port), str(modern.port)]


def points(*args: str, **env: str) -> dict[str, list[Any]]:
    """Return the points of each metric of the program, attributes and value."""
    done = python("-W", "ignore", METERED, *args, env=armed_environment("1.2", **env))
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, list[Any]] = {}
    for name, attributes, value in json.loads(done.stdout):
        found.setdefault(name.partition("tlsfloor.")[2], []).append([attributes, value])
    return found


WHEN = [
    "first",
    "provider-last",
    "loaded-last",
    "gevent",
    pytest.param("fork", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")),
]


@pytest.mark.parametrize("when", WHEN)
def test_each_handshake_is_counted_once(when: str, ports: list[str]) -> None:
    """A provider may be set after the last connection, and a child counts only its own."""
    if when == "gevent":
        parts.need("gevent")
    found = points(when, *ports)
    modern = {**CLIENT, "tls.protocol.version": "1.2", "tlsfloor.mode": "enforce"}
    assert found["handshakes"] == [[{**modern, "tlsfloor.outcome": "at_floor"}, 1]]
    enforced = {"tlsfloor.mode": "enforce"}
    assert found["refusals"] == [
        [{"error.type": "refused", **enforced}, 0],
        [{"error.type": "discarded", **enforced}, 0],
        [{"error.type": "failed", "server.address": "localhost", **enforced}, 1],
    ]
    # It counts from the start, whether OpenTelemetry was loaded or not.
    clamped = 4 if when == "loaded-last" else 2
    assert [{"tlsfloor.kind": "clamped", **enforced}, clamped] in found["raises"]
    assert found["armed"] == [[{"tlsfloor.floor": "1.2", **enforced}, 1]]
    assert [{"tlsfloor.stack": "ssl", "tlsfloor.coverage": "guarded"}, 1] in found["stacks"]
    assert found["problems"] == [[{}, 0]]
    assert "exemption.expiry" not in found


def test_an_observed_floor_counts_what_is_below_it(ports: list[str]) -> None:
    found = points("first", *ports, TLSFLOOR_MODE="observe")
    observed = {**CLIENT, "tlsfloor.mode": "observe"}
    legacy = {"tls.protocol.version": "1.0", "tlsfloor.outcome": "below_floor"}
    modern = {"tls.protocol.version": "1.2", "tlsfloor.outcome": "at_floor"}
    assert found["handshakes"] == [[{**observed, **legacy}, 1], [{**observed, **modern}, 1]]
    assert found["armed"] == [[{"tlsfloor.floor": "1.2", "tlsfloor.mode": "observe"}, 1]]
    assert "refusals" not in found
    assert [{"tlsfloor.kind": "clamped", "tlsfloor.mode": "observe"}, 2] in found["raises"]


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_exemptions_are_counted_and_say_when_they_end(
    mode: str, ports: list[str], tmp_path: Path
) -> None:
    parts.need(*([] if sys.version_info >= (3, 11) else ["tomli"]))
    file = tmp_path / "exemptions.toml"
    text = '[[exemption]]\nhost = "{}"\nminimum = "1.0"\nreason = "old"\nexpires = {}\n'
    last = dt.datetime.now(dt.timezone.utc).date() + dt.timedelta(days=1)
    past = last - dt.timedelta(days=9)
    file.write_text(text.format("localhost", last) + text.format("gone.example", past))
    done = python(
        *("-W", "ignore", METERED, "first", *ports),
        env=armed_environment("1.2", TLSFLOOR_MODE=mode, TLSFLOOR_EXEMPTIONS=str(file)),
    )
    assert f"it expired on {past}" in done.stderr
    found = json.loads(done.stdout)
    exempted = {
        **CLIENT,
        "tls.protocol.version": "1.0",
        "tlsfloor.mode": mode,
        "tlsfloor.outcome": "exempted",
        "tlsfloor.exemption": "localhost",
    }
    assert ["tlsfloor.handshakes", exempted, 1] in found
    ends = dt.datetime(last.year, last.month, last.day, tzinfo=dt.timezone.utc).timestamp() + 86_400
    assert ["tlsfloor.exemption.expiry", {"tlsfloor.exemption": "localhost"}, ends] in found
    assert ["tlsfloor.problems", {}, 1] in found


CHILD = """
import json, os, sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
temporality = {ObservableCounter: AggregationTemporality.DELTA}
readers = [InMemoryMetricReader(preferred_temporality=temporality), InMemoryMetricReader()]
metrics.set_meter_provider(MeterProvider(readers))
import tlsfloor
tlsfloor.enforce("1.2", mode="observe")
from tlsfloor import events
def connect(times):
    for _ in range(times):
        events.count_handshake(0x304, "client", "pay.example", dict)
    return [
        {metric.name: [[point.value, point.attributes.get("process.pid")] for point in points]
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if (points := metric.data.data_points) and metric.name[9:] in ("handshakes", "start")}
        for reader in readers
    ]
found = [connect(5), connect(1)]
if os.fork():
    os.wait()
    sys.exit()
print(json.dumps([os.getpid(), *found, connect(2), connect(1)]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_never_takes_away_what_its_parent_has_counted() -> None:
    """Their provider remembers the parent's counts, and would report a difference below zero."""
    parts.need("opentelemetry.sdk")
    done = python("-W", "ignore", "-c", CHILD, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.returncode, done.stderr) == (0, "")
    pid, *found = json.loads(done.stdout)
    counts = [[each["tlsfloor.handshakes"] for each in both] for both in found]
    assert counts[:2] == [[[[5, None]], [[5, None]]], [[[1, None]], [[6, None]]]]
    assert counts[2:] == [[[[2, pid]], [[2, pid]]], [[[1, pid]], [[3, pid]]]]
    starts = [each["tlsfloor.start"][0][0] for both in found for each in both]
    assert starts[0] < starts[4]
    assert starts == [starts[0]] * 4 + [starts[4]] * 4


UNCOVERED = """
import sys
import opentelemetry.metrics
import tlsfloor
tlsfloor.enforce("1.2", mode="observe")
import ssl, tlslite.handshakesettings
from tlsfloor import floor, metrics
floor.unknown_observed.update(f"package{number}" for number in range(1000))
found = {each["tlsfloor.stack"]: each["tlsfloor.coverage"] for _, each in metrics._stack_points()}
print(found["ssl"], found["tlslite.handshakesettings"], [*found.values()].count("unknown"))
"""


def test_stacks_that_nobody_sees_are_in_a_metric() -> None:
    parts.need("opentelemetry.metrics", "tlslite")
    done = python("-W", "ignore", "-c", UNCOVERED, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.stderr, done.stdout) == ("", "observed uncovered 100\n")


NAMES = """
import opentelemetry.metrics
import tlsfloor
tlsfloor.enforce("1.2", mode="observe")
from tlsfloor import events, exemptions, floor, metrics
def none():
    return {"role": "client", "server_name": None}
def exempted():
    return {"role": "client", "server_name": host, "exempted": "old"}
for number in range(10**6):
    events.count_handshake(0x304, "client", f"host{number}.example", none)
for number in range(1000):
    events.count_handshake(0x301, "client", f"legacy{number}.example", none)
points = list(metrics._handshake_points())
rest = [value for value, each in points if each["server.address"] == "_OTHER"]
print(len(points), sum(value for value, _ in points), rest)
hosts = [f"exempted{number}.example" for number in range(1000)]
exemptions.known[:] = [exemptions.Exemption(each, None, 0, "old", "2999-12-31") for each in hosts]
for host in hosts:
    events.count_handshake(0x301, "client", "old.example", exempted)
    events.measure("failed", {"role": "client", "server_name": host})
print(len({each.get("tlsfloor.exemption") for _, each in metrics._handshake_points()}) - 1)
print(len(list(metrics._counted("error.type", "failed"))))
floor.is_command = True  # what a command does is not counted
events.count_handshake(0x302, "client", "old.example", none)
points = metrics._handshake_points()
print(len([each for _, each in points if each["tls.protocol.version"] == "1.1"]))
"""


def test_a_million_names_are_a_hundred_series_and_the_rest() -> None:
    """What is below the floor has its own limit: modern servers do not hide a legacy one."""
    parts.need("opentelemetry.metrics")
    done = python("-c", NAMES, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.stderr, done.stdout) == ("", "202 1001000 [999900, 900]\n101\n101\n0\n")


TUNNEL = """
import runpy, ssl, sys
sys.argv = [sys.argv[1], "first", sys.argv[2]]
program = runpy.run_path(sys.argv[0])
from tlsfloor.peers import base
class Transport:
    def getpeername(self):
        raise RuntimeError("a tunnel has no peer")
class Channel:
    _transport = Transport()
    def connect(self):
        here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = context.wrap_bio(here, there)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(base.PEER_FILE)
        server = context.wrap_bio(there, here, server_side=True)
        for end in [client, server] * 3:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
        return client.version()
print(Channel().connect())
for name, attributes, value in program["points"]():
    if name == "tlsfloor.problems" or attributes.get("tls.protocol.version") == "1.3":
        print(attributes.get("tlsfloor.role", name), value)
"""


def test_an_address_that_cannot_be_found_ends_no_handshake(ports: list[str]) -> None:
    """What the program's own transport raises is not for the program that connects."""
    done = python("-W", "ignore", "-c", TUNNEL, METERED, ports[1], env=armed_environment("1.2"))
    assert done.returncode == 0, done.stderr
    printed, version, *counted = done.stdout.splitlines()
    assert "handshakes" in printed
    assert version == "TLSv1.3"
    assert sorted(counted) == ["client 1", "server 1", "tlsfloor.problems 0"]


def test_opentelemetry_is_never_imported(ports: list[str]) -> None:
    program = f"""
import sys, runpy
sys.argv = ["start.py", "{ports[1]}"]
runpy.run_path({str(PROGRAMS / "start.py")!r}, run_name="__main__")
print(sorted(name for name in sys.modules if "opentelemetry" in name or "metrics" in name))
"""
    done = python("-W", "ignore", "-c", program, env=armed_environment("1.2"))
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


LOGS = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export
exporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter
exporter = exporter()
try:
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
except ImportError:
    from opentelemetry.sdk._logs import LoggingHandler
provider = LoggerProvider()
provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
sys.path.insert(0, sys.argv[1])
import start
for port in sys.argv[2:]:
    start.attempt(port)
for each in exporter.get_finished_logs():
    record = each.log_record
    print(json.dumps([str(record.body), record.severity_text, dict(record.attributes)]))
"""


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_records_of_the_logging_bridge_have_semantic_attributes(
    mode: str, ports: list[str]
) -> None:
    env = armed_environment("1.2", TLSFLOOR_MODE=mode)
    done = python("-c", LOGS, str(PROGRAMS), *ports, env=env)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    kind = "failed" if mode == "enforce" else "handshake"
    [(body, severity, attributes)] = [
        each for each in found if each[2].get("tlsfloor.kind") == kind
    ]
    assert severity.startswith("WARN")
    assert body.startswith(f"{kind}: mode {mode}, floor 1.2")
    expected = {
        "server.address": "127.0.0.1",
        "server.port": int(ports[0]),
        "network.peer.address": "127.0.0.1",
        "tlsfloor.mode": mode,
        "tlsfloor.floor": "1.2",
        "tlsfloor.role": "client",
        "tlsfloor.count": 1,
        **(
            {"error.type": "failed"}
            if mode == "enforce"
            else {"tls.protocol.name": "tls", "tls.protocol.version": "1.0"}
        ),
    }
    assert {name: attributes.get(name) for name in expected} == expected
    assert "start.py:" in attributes["tlsfloor.where"]
