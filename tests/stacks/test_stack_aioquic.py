"""Stacks that are inherent: they speak no version below the floor, and no guard changes them."""

from __future__ import annotations

import json

import pytest

from parts import need
from peers import LADDER
from programs import ROUTES, armed_environment, python, serving_program
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

SAY = """
import json, tlsfloor, {0}
status = tlsfloor.status()
print(json.dumps([status.held, status.stacks[{0!r}]]))
"""

STACKS = [
    ("polars", "_polars_runtime_32._polars_runtime"),
    ("deltalake", "deltalake._internal"),
    ("grpc", "grpc._cython.cygrpc"),
    ("obstore", "obstore._obstore"),
    ("opendal", "opendal._opendal"),
    ("primp", "primp.primp"),
]


@pytest.mark.parametrize(("package", "module"), STACKS)
@pytest.mark.parametrize(("floor", "coverage"), [("1.2", "inherent"), ("1.3", "guarded")])
def test_a_stack_is_inherent_up_to_its_lowest_version(
    package: str, module: str, floor: str, coverage: str
) -> None:
    need(package)
    done = python("-c", SAY.format(module), env=armed_environment(floor))
    assert json.loads(done.stdout) == [True, coverage], done.stderr


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_a_stack_that_has_no_other_version_is_inherent(floor: str) -> None:
    need("aioquic")
    done = python("-c", SAY.format("aioquic.tls"), env=armed_environment(floor))
    assert json.loads(done.stdout)[1] == "inherent", done.stderr


@pytest.mark.parametrize("route", ["none", *ROUTES])
def test_a_server_of_grpc_speaks_nothing_below_1_2(route: str) -> None:
    need("grpc")
    with serving_program("server_grpc", route, "" if route == "none" else "1.2") as server:
        reached = {
            peer
            for peer in LADDER
            for name, key_exchange in [peer.split()]
            if handshakes.call(
                "127.0.0.1", server.port, FLOORS[name], key_exchange, request=b""
            ).version
        }
    assert reached == {peer for peer in LADDER if FLOORS[peer.split()[0]] >= FLOORS["1.2"]}
