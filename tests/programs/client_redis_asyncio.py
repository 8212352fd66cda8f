"""redis-py's asyncio client: a minimum below the floor, through its own argument."""

import asyncio
import ssl

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


async def talk(port, job):
    client = redis.asyncio.Redis(
        host="localhost",
        port=port,
        protocol=2,
        ssl=True,
        ssl_ca_certs=job["ca"],
        ssl_min_version=ssl.TLSVersion.TLSv1,
        ssl_ciphers="ALL:@SECLEVEL=0",
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )
    try:
        assert await client.set("key", "value")
        return client.connection._writer.get_extra_info("ssl_object").version()
    finally:
        await client.aclose()


def connect(port, job, made):
    return asyncio.run(talk(port, job))
