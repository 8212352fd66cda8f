"""The guide to TLS in a running Redis cluster, as its page has it, against a cluster of six nodes.

Clients that write and read all the time go through the whole migration, armed by each route and not
armed, side by side: so that whatever befalls the armed can be held against what befalls the others.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Iterator, NamedTuple

import parts
import pytest
import redis_server
from drive import REFUSALS
from guides import DOCS, block, commands, write_files
from programs import armed_environment, clean_environment, python
from ports import reserved_port

from tlsfloor.peers import handshakes

PAGE = "how-to/redis.md"

#: Seconds for anything that takes one or two.
TIME_LIMIT = 30

#: How a client gets its floor.
ROUTES = ("none", "PYTHONPATH", "call")


class Node(NamedTuple):
    """A node: its plain port, its TLS port, and where the tests talk to it without either."""

    port: int
    tls_port: int
    control: str


class Client:
    """``client.py`` of the page; what it prints is kept with the time at which it came."""

    def __init__(self, folder: Path, route: str, url: str) -> None:
        self.route = route
        self.lines: list[tuple[float, str]] = []
        self.errors = tempfile.TemporaryFile("w+", dir=folder)
        self.process = subprocess.Popen(
            [sys.executable, "by_call.py" if route == "call" else "client.py", url],
            cwd=folder,
            env=armed_environment() if route == "PYTHONPATH" else clean_environment(),
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend((time.monotonic(), line.rstrip("\n")) for line in self.process.stdout)

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + TIME_LIMIT
        while not any(text in line for _, line in self.lines):
            running = self.process.poll() is None and time.monotonic() < end
            assert running, f"{self.route}: no {text}: {self.lines[-3:]}\n{self.complaints()}"
            time.sleep(0.05)

    def complaints(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def failures(self, before: float = float("inf")) -> list[str]:
        return [line for when, line in self.lines if line.startswith("failed: ") and when < before]

    def stop(self) -> int:
        """End it; return how many operations it has done."""
        self.process.terminate()
        self.process.wait(TIME_LIMIT)
        self.reader.join(TIME_LIMIT)
        told = re.fullmatch(r"(\d+) done, (\d+) failed", self.lines[-1][1])
        assert told, (self.lines[-3:], self.complaints())
        assert int(told[2]) == len(self.failures())
        return int(told[1])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join(TIME_LIMIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.errors.close()


def wait_until(true: object, what: str) -> None:
    end = time.monotonic() + TIME_LIMIT
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, f"it did not come: {what}"
        time.sleep(0.05)


def refused(failure: str) -> bool:
    """Tell whether an operation failed for a version of TLS: all that a floor can do to it."""
    return any(word in failure for word in REFUSALS)


@pytest.fixture
def cluster() -> Iterator[list[Node]]:
    """Three masters with a replica each, which speak no TLS yet."""
    parts.need("redis")
    server, cli = parts.need_program("redis-server"), parts.need_program("redis-cli")
    ports = [reserved_port(redis_server.BUS) for _ in range(12)]
    nodes = []
    with contextlib.ExitStack() as stack:
        # Not pytest's folder: the name of a socket has to be short.
        base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context(open(base / "log", "w+", encoding="utf-8"))
        for port, tls_port in zip(ports[:6], ports[6:]):
            folder = base / str(port)
            folder.mkdir()
            control = str(folder / "sock")
            options = {
                "port": str(port),
                "bind": "127.0.0.1",
                "unixsocket": control,
                "cluster-enabled": "yes",
                "cluster-node-timeout": "5000",
                "repl-diskless-sync-delay": "0",
                "save": "",
                "dir": str(folder),
            }
            words = [word for name, value in options.items() for word in (f"--{name}", value)]
            process = subprocess.Popen([server, *words], stdout=log, stderr=log)
            stack.callback(redis_server.stop, process)
            redis_server.wait_for(["PING"], "PONG", control, process)
            nodes.append(Node(port, tls_port, control))
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        words = [*addresses, "--cluster-replicas", "1", "--cluster-yes"]
        subprocess.run([cli, "--cluster", "create", *words], check=True, stdout=log, stderr=log)
        for node in nodes:
            wait_until(lambda node=node: settled(node), "a cluster that is settled")
        yield nodes


def settled(node: Node) -> bool:
    """Tell whether a node finds its cluster whole, and has its replica or its master."""
    ask = redis_server.ask
    replication = ask(node.control, ["INFO", "replication"])
    linked = "master_link_status:up" in replication or "state=online" in replication
    return linked and "cluster_state:ok" in ask(node.control, ["CLUSTER", "INFO"])


def heard_since(node: Node, moment: float) -> bool:
    """Tell whether every other node has answered a ping of this one after a moment."""
    lines = redis_server.ask(node.control, ["CLUSTER", "NODES"]).splitlines()
    others = [
        fields for fields in map(str.split, lines) if len(fields) > 7 and "myself" not in fields[2]
    ]
    return len(others) == 5 and all(int(fields[5]) > moment * 1000 for fields in others)


@pytest.fixture
def folder(tmp_path: Path, cluster: list[Node]) -> Path:
    """The files of the page, and what it says is there: the nodes and the certificates."""
    write_files(PAGE, tmp_path)
    lines = block(PAGE, "nodes").splitlines()
    assert len(lines) == len(cluster)
    (tmp_path / "nodes").write_text("".join(f"127.0.0.1 {n.port} {n.tls_port}\n" for n in cluster))
    by_call = block(PAGE, "by call") + (tmp_path / "client.py").read_text("utf-8")
    (tmp_path / "by_call.py").write_text(by_call)
    shutil.copy(handshakes.CA_FILE, tmp_path / "ca.pem")
    shutil.copy(handshakes.PEER_FILE, tmp_path / "cert.pem")
    shutil.copy(handshakes.PEER_FILE, tmp_path / "key.pem")
    return tmp_path


def sh(folder: Path, script: str, printed: str) -> None:
    """Run a script of the page, and see that each node answered the same."""
    done = subprocess.run(
        ["sh", script, str(folder)],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    assert re.fullmatch(rf"(?:{printed}\n){{6}}", done.stdout), (script, done.stdout, done.stderr)


def test_a_cluster_is_moved_to_tls_and_no_client_fails_for_the_floor(
    cluster: list[Node], folder: Path
) -> None:
    with contextlib.ExitStack() as stack:

        def start(route: str, url: str) -> Client:
            client = Client(folder, route, url)
            stack.callback(client.close)
            return client

        plain = [start(route, f"redis://127.0.0.1:{cluster[0].port}") for route in ROUTES]
        for client in plain:
            client.wait_for("connected")

        sh(folder, "preferred.sh", "OK")
        would_the_floor_cut_off(cluster, folder)
        url = f"rediss://127.0.0.1:{cluster[0].tls_port}?ssl_ca_certs={folder}/ca.pem"
        tls = [start(route, url) for route in ROUTES]
        for client in tls:
            client.wait_for("connected")
        switched = time.time()
        for node in cluster:
            wait_until(lambda node=node: heard_since(node, switched), "the other nodes, over TLS")
            wait_until(lambda node=node: settled(node), "replication over TLS")

        moved = time.monotonic()
        with socket.create_connection(("127.0.0.1", cluster[0].port), TIME_LIMIT) as open_before:
            sh(folder, "required.sh", "OK")
            open_before.sendall(b"PING\r\n")
            assert open_before.recv(100) == b"+PONG\r\n"
            sh(folder, "drop.sh", r"\d+")
            assert open_before.recv(100) == b""
        for client in plain:
            client.wait_for("Connection refused")
            failed = len(client.failures())
            wait_until(lambda: len(client.failures()) > failed + 10, "further tries")  # noqa: B023

        for client in plain:
            assert client.stop() > 100
            assert client.failures(before=moved) == []
            assert not any(map(refused, client.failures()))
        for client in tls:
            assert client.stop() > 100
            assert client.failures() == []
        # Whoever was left behind fails, with a floor or without, since nobody is there any more.
        for client in plain:
            lost = [
                re.search("Connection (refused|reset|closed)", line) for line in client.failures()
            ]
            assert lost
            assert all(lost), client.failures()

        only_tls_1_1(cluster, folder, start)


def kind(failure: str) -> str:
    """What befell an operation, without the port and the folder in which it did."""
    there = r"127\.0\.0\.1:\d+|port \d+|\(_ssl\.c:\d+\)|through \S+;"
    return re.sub(there, "…", failure)


def would_the_floor_cut_off(cluster: list[Node], folder: Path) -> None:
    """``tlsfloor check`` answers for the nodes what the page says."""
    [(command, printed)] = commands(block(PAGE, "check"))
    done = run(with_ports(command, cluster), folder)
    assert done.returncode == 0, done.stderr
    assert squeeze(done.stdout) == squeeze(with_ports(printed, cluster))


def only_tls_1_1(cluster: list[Node], folder: Path, start: object) -> None:
    """A node is limited to TLS 1.1: refused by the floor alone, and with words that say why."""
    setting = re.search(r"`CONFIG SET (tls-protocols .+?)`", (DOCS / PAGE).read_text("utf-8"))
    assert setting
    assert redis_server.ask(cluster[0].control, ["CONFIG", "SET", *setting[1].split()]).startswith(
        "+OK"
    )
    (control, reached), (command, said) = commands(block(PAGE, "old"))
    assert run(with_ports(control, cluster), folder).stdout == reached
    done = run(with_ports(command, cluster), folder)
    assert kind(done.stdout) == kind(with_ports(said, cluster))

    # It shows too that a failure of that kind would have been seen, and counted, above.
    url = f"rediss://127.0.0.1:{cluster[1].tls_port}?ssl_ca_certs={folder}/ca.pem"
    client = start("PYTHONPATH", url)  # type: ignore[operator]
    wait_until(lambda: len(client.failures()) > 3, "operations on that node")
    done = client.stop()
    assert all(map(refused, client.failures()))
    assert done > 0


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=clean_environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


def with_ports(text: str, cluster: list[Node]) -> str:
    for number, node in enumerate(cluster, 1):
        text = text.replace(f":{7100 + number}", f":{node.tls_port}")
    return text


def squeeze(text: str) -> list[str]:
    """The words of each line: how wide a table is depends on the ports."""
    return [" ".join(line.split()) for line in text.splitlines()]


LOWERED = """
import ssl, redis
def made(minimum):
    connection = redis.SSLConnection(ssl_min_version=minimum)
    seen = []
    ssl.SSLContext.wrap_socket = lambda self, *_, **__: seen.append(self.minimum_version)
    connection._wrap_socket_with_ssl(None)
    return seen[0].name
print(made(ssl.TLSVersion.TLSv1), made(ssl.TLSVersion.TLSv1_3))
"""


def test_a_lower_minimum_of_redis_py_is_clamped_and_a_higher_one_holds() -> None:
    parts.need("redis")
    assert python("-Wignore", "-c", LOWERED).stdout == "TLSv1 TLSv1_3\n"
    armed = python("-Wignore", "-c", LOWERED, env=armed_environment("1.2"))
    assert armed.stdout == "TLSv1_2 TLSv1_3\n", armed.stderr
