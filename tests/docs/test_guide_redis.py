"""``docs/how-to/redis.md``: the page, followed; and what it says of redis-py's own settings."""

from __future__ import annotations

from pathlib import Path

import parts
import pytest
from follow import follow
from programs import armed_environment, python

PAGE = "how-to/redis.md"


@pytest.mark.timeout(600)
def test_a_cluster_is_moved_to_tls_and_no_client_fails_because_of_the_floor(tmp_path: Path) -> None:
    for program in ("redis-server", "redis-cli", "openssl"):
        parts.need_program(program)
    ports = [f"{kind}0{number}" for kind in (70, 71) for number in range(1, 7)]
    follow(PAGE, tmp_path, ports=ports)


LOWERED = """
import ssl, redis
def minimum_of_connection(minimum):
    connection = redis.SSLConnection(ssl_min_version=minimum)
    minimums = []
    ssl.SSLContext.wrap_socket = lambda self, *_, **__: minimums.append(self.minimum_version)
    connection._wrap_socket_with_ssl(None)
    return minimums[0].name
print(minimum_of_connection(ssl.TLSVersion.TLSv1), minimum_of_connection(ssl.TLSVersion.TLSv1_3))
"""


def test_a_lower_minimum_of_redis_py_is_raised_and_a_higher_one_stays() -> None:
    parts.need("redis")
    assert python("-Wignore", "-c", LOWERED).stdout == "TLSv1 TLSv1_3\n"
    armed = python("-Wignore", "-c", LOWERED, env=armed_environment("1.2"))
    assert armed.stdout == "TLSv1_2 TLSv1_3\n", armed.stderr
