"""redis-py and a real redis-server: sync, asyncio, cluster, configured to accept every version."""

from __future__ import annotations

from typing import Iterator

import parts
import pytest
from programs import ROUTES, drive
from redis_server import redis_server

from tlsfloor.peers import handshakes

PROGRAMS = ("client_redis", "client_redis_asyncio", "client_redis_cluster")

#: What a server speaks -> the version at which it is reached: without a floor, and with each.
SERVERS = {
    "TLSv1.1": {"": "1.1", "1.2": "refused", "1.3": "refused"},
    "TLSv1.2": {"": "1.2", "1.2": "1.2", "1.3": "refused"},
    "TLSv1.2 TLSv1.3": {"": "1.3", "1.2": "1.3", "1.3": "1.3"},
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    parts.need("redis")
    # OpenSSL 3 speaks TLS 1.1 at this security level only.
    with redis_server(request.param, ciphers="ALL:@SECLEVEL=0", cluster=True) as port:
        yield request.param, port


@pytest.mark.parametrize("program", PROGRAMS)
def test_without_a_floor_every_server_is_reached(program: str, server: tuple[str, int]) -> None:
    assert outcome(program, "none", "", server[1]) == SERVERS[server[0]][""]


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_server_below_the_floor_is_reached(
    program: str, route: str, floor: str, server: tuple[str, int]
) -> None:
    assert outcome(program, route, floor, server[1]) == SERVERS[server[0]][floor]


def outcome(program: str, route: str, floor: str, port: int) -> str:
    told: str = drive(program, route, floor, {"ports": {"server": port}, "ca": handshakes.CA_FILE})[
        "server"
    ]
    return "refused" if told.startswith("refused: ") else told
