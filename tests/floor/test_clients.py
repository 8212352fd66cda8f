"""Popular clients, configured to accept every version: none connects below the floor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import parts
import pytest
import peers
from programs import ROUTES, assert_held


class Client(NamedTuple):
    """A program of ``programs/``, what it needs, and the peers that it is run against."""

    program: str
    needs: tuple[str, ...] = ()
    urllib3: str = ""  # the major version that it is run with
    peer_options: dict[str, Any] | None = None
    out_of_reach: tuple[str, ...] = ()
    since: tuple[int, int] = (3, 8)  # what is out of reach depends on Python's default ciphers

    def __str__(self) -> str:
        return self.program + (f" with urllib3 {self.urllib3}" if self.urllib3 else "")


CLIENTS = [
    Client("client_ssl"),
    Client("client_http_client"),
    Client("client_urllib_request"),
    Client("client_smtplib", peer_options=peers.SMTP),
    Client("client_imaplib", peer_options=peers.IMAP),
    Client("client_asyncio"),
    Client("client_asyncio_start_tls"),
    Client("client_urllib3", urllib3="2"),
    Client("client_urllib3_1", urllib3="1"),
    Client("client_requests", urllib3="2"),
    Client("client_requests", urllib3="1"),
    Client("client_aiohttp", needs=("aiohttp",)),
    Client("client_httpx", needs=("httpx",)),
    Client("client_boto3", needs=("boto3",), peer_options={"reply": peers.list_buckets}),
    Client("client_asyncpg", needs=("asyncpg",), peer_options=peers.PROTOCOLS["POSTGRES"]),
    Client("client_pg8000", needs=("pg8000",), peer_options=peers.PROTOCOLS["POSTGRES"]),
    Client("client_redis", needs=("redis",)),
    Client("client_redis_asyncio", needs=("redis",)),
    Client("client_redis_cluster", needs=("redis",), peer_options={"reply": peers.redis_node}),
    Client("client_pymysql", needs=("pymysql",), peer_options=peers.MYSQL),
    Client("client_aiomysql", needs=("aiomysql",), peer_options=peers.MYSQL),
    Client(
        "client_mysql_connector_pure",
        needs=("mysql",),
        peer_options=peers.MYSQL,
        out_of_reach=("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa"),
        since=(3, 10),
    ),
]


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_no_connection_below_the_floor(
    client: Client, route: str, floor: str, urllib3_path: Callable[[str], list[str]]
) -> None:
    parts.need(*client.needs, since=client.since)
    job: dict[str, Any] = {}
    if client.urllib3:
        job = {"urllib3": client.urllib3, "path": urllib3_path(client.urllib3)}
    assert_held(
        client.program,
        route,
        floor,
        out_of_reach=client.out_of_reach,
        peer_options=client.peer_options,
        **job,
    )
