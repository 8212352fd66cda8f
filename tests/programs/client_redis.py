"""redis-py: a minimum below the floor, through its own argument."""

import ssl

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(port, job, made):
    client = redis.Redis(
        "localhost",
        port,
        protocol=2,
        ssl=True,
        ssl_ca_certs=job["ca"],
        ssl_min_version=ssl.TLSVersion.TLSv1,
        ssl_ciphers="ALL:@SECLEVEL=0",
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )
    try:
        assert client.set("key", "value")
        return client.connection._sock.version()
    finally:
        client.close()
