"""Runs a redis-server with TLS on loopback, with the certificate of the verifier's peers."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator

import parts
from ports import reserved_port

from tlsfloor.peers import handshakes

#: Seconds until it answers. It takes a tenth of a second.
TIME_LIMIT = 20

#: The bus port of a cluster's node, minus its port: a constant of Redis.
_BUS_OFFSET = 10_000


@contextlib.contextmanager
def redis_server(protocols: str, *, ciphers: str = "", cluster: bool = False) -> Iterator[int]:
    """Run a server that speaks these ``tls-protocols`` only; yield its port.

    With ``cluster`` it is the only node of a cluster, and has all slots.
    """
    program = parts.need_program("redis-server")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        control = str(Path(folder) / "control.sock")
        port = reserved_port(_BUS_OFFSET)
        options = {
            "port": "0",
            "tls-port": str(port),
            "tls-protocols": protocols,
            "tls-cert-file": handshakes.PEER_FILE,
            "tls-key-file": handshakes.PEER_FILE,
            "tls-ca-cert-file": handshakes.CA_FILE,
            "tls-auth-clients": "no",
            "bind": "127.0.0.1",
            "unixsocket": control,  # for commands without TLS
            "dir": folder,
            "save": "",
            **({"tls-ciphers": ciphers} if ciphers else {}),
            **({"cluster-enabled": "yes", "tls-cluster": "yes"} if cluster else {}),
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        log = stack.enter_context(open(Path(folder) / "log", "w+", encoding="utf-8"))
        server = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
        stack.callback(_stop, server)
        try:
            _wait_for(["PING"], "PONG", control, server)
            if cluster:
                _ask(control, ["CLUSTER", "ADDSLOTS", *map(str, range(16384))])
                _wait_for(["CLUSTER", "INFO"], "cluster_state:ok", control, server)
        except TimeoutError as error:
            log.seek(0)
            raise RuntimeError(f"redis-server: {error}:\n{log.read()}") from error
        yield port


def _wait_for(
    command: list[str], answer: str, control: str, server: subprocess.Popen[bytes]
) -> None:
    end = time.monotonic() + TIME_LIMIT
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            if answer in _ask(control, command):
                return
        time.sleep(0.02)
    raise TimeoutError(f"no {answer} to {' '.join(command)}")


def _ask(control: str, command: list[str]) -> str:
    """Send a command; return the first part of the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIME_LIMIT)
        connection.connect(control)
        words = "".join(f"${len(word)}\r\n{word}\r\n" for word in command)
        connection.sendall(f"*{len(command)}\r\n{words}".encode())
        return connection.recv(2**16).decode()


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(TIME_LIMIT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
