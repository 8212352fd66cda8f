"""Servers that people use, told to accept everything: no client below the floor gets an answer.

Each runs as a process of its own. The clients are tlslite-ng's, one version each; the server itself
says which connections it was handed.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
from typing import Any, TYPE_CHECKING

import pytest

import parts
from peers import LADDER, NAMES, call, call_with_certificate
from programs import (
    PROGRAMS,
    ROUTES,
    Server,
    armed_environment,
    clean_environment,
    serving,
    serving_program,
)
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

if TYPE_CHECKING:
    from collections.abc import Iterator

every_floor = pytest.mark.parametrize("floor", ["1.2", "1.3"])
every_route = pytest.mark.parametrize("route", ROUTES)


@contextlib.contextmanager
def gunicorn(route: str, floor: str, **options: Any) -> Iterator[Server]:
    """Serve the Flask application with gunicorn, armed by a route."""
    job = {
        "worker": "sync",
        "client_certificates": False,
        "shakes_hands_on_connect": False,
        **options,
    }
    job.update(route=route, floor=floor, peer=handshakes.PEER_FILE, ca=handshakes.CA_FILE)
    env = armed_environment(floor) if route == "PYTHONPATH" else clean_environment()
    env["TEST_JOB"] = json.dumps(job)
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn_conf.py", "gunicorn_app:app"]
    with serving(command, env) as server:
        yield server


def assert_serves(server: Server, floor: str, **options: Any) -> None:
    """Assert that each client at the floor or above is answered, and each below is refused."""
    answered, dropped = [], []
    for peer in LADDER:
        name = peer.split()[0]
        got = call(server.port, peer, **options)
        if FLOORS[name] >= FLOORS[floor]:
            assert got == NAMES[FLOORS[name]], (peer, got)
            answered.append(got)
        elif got.startswith("TLSAbruptCloseError"):
            dropped.append("refused:UNSUPPORTED_PROTOCOL")
        else:
            assert "protocol_version" in got, (peer, got)
    server.process.terminate()
    assert server.process.stdout is not None
    handed = server.process.stdout.read().split()
    # Whom it dropped without a word it must have refused for its version, by its own account, which
    # asyncio gives twice.
    refusals = [each for each in handed if each.startswith("refused:")]
    assert set(refusals) == set(dropped)
    assert len(refusals) >= len(dropped)
    assert [each for each in handed if not each.startswith("refused:")] == answered


def assert_serves_all(server: Server, **options: Any) -> None:
    """The control: without a floor every client is answered."""
    assert_serves(server, "1.0", **options)


SERVERS = {"server_asyncio": (), "server_http": (), "server_gevent": ("gevent",)}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_without_a_floor_serves_every_version(name: str) -> None:
    parts.need(*SERVERS[name])
    with serving_program(name, "none", "") as server:
        assert_serves_all(server)


@every_floor
@every_route
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_serves_no_client_below_the_floor(name: str, route: str, floor: str) -> None:
    parts.need(*SERVERS[name])
    with serving_program(name, route, floor) as server:
        assert_serves(server, floor)


#: gunicorn: sync workers let the handshake happen inside of the first read, unless told otherwise.
GUNICORNS = {
    "as it comes": {},
    "shakes hands on connect": {"shakes_hands_on_connect": True},
    "threads": {"worker": "gthread"},
    "gevent": {"worker": "gevent"},
    "client certificates": {"client_certificates": True},
}


def need_gunicorn(kind: str) -> dict[str, Any]:
    parts.need("flask", "gunicorn", *(["gevent"] if kind == "gevent" else []))
    return GUNICORNS[kind]


@pytest.mark.parametrize("kind", GUNICORNS)
def test_gunicorn_without_a_floor_serves_every_version(kind: str) -> None:
    options = need_gunicorn(kind)
    with gunicorn("none", "", **options) as server:
        assert_serves_all(server, client_certificate=kind == "client certificates")


@every_floor
@every_route
@pytest.mark.parametrize("kind", GUNICORNS)
def test_gunicorn_serves_no_client_below_the_floor(kind: str, route: str, floor: str) -> None:
    options = need_gunicorn(kind)
    with gunicorn(route, floor, **options) as server:
        assert_serves(server, floor, client_certificate=kind == "client certificates")


@every_route
def test_a_required_client_certificate_stays_required(route: str) -> None:
    """The floor does not change that a client needs a certificate."""
    options = need_gunicorn("client certificates")
    with gunicorn(route, "1.2", **options) as server:
        assert "TLSv1" not in call(server.port, "1.2 ecdhe")
        assert "TLSv1" not in call_with_certificate(server.port, certificate=None)
        assert call_with_certificate(server.port) == "TLSv1.3"


#: Servers whose context speaks TLS 1.0 and nothing else.
REFUSED = {"http": (), "asyncio": (), "uvloop": ("uvloop",), "gevent": ("gevent",)}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_server_that_refuses_every_client_warns_once(kind: str) -> None:
    parts.need(*REFUSED[kind])
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    file = str(PROGRAMS / "refused_server.py")
    command = [sys.executable, file, kind, handshakes.PEER_FILE]
    with serving(command, clean_environment()) as server:
        assert call(server.port, "1.0 rsa") == "TLSv1"  # the control
    with serving(command, armed_environment("1.2")) as server:
        # Each is dropped at once: nothing of ours keeps a connection that the server lets go.
        got = [call(server.port, "1.0 rsa") for _ in range(3)]
    assert "TLSv1" not in got
    if sys.implementation.name == "cpython":  # PyPy closes it some time later
        assert [each for each in got if "timed out" in each] == []
    [line] = [each for each in server.stderr.splitlines() if each.startswith("tlsfloor: ")]
    where = "a server" if kind == "uvloop" else f"the server at 127.0.0.1:{server.port}"
    assert line.startswith(
        f"tlsfloor: error: {where} refuses every client: this context speaks TLS 1.0 only, and "
        "the floor is 1.2, set by TLSFLOOR=1.2, read by "
    )
    assert line.endswith(", or PROTOCOL_TLS_SERVER for a server")
