"""redis-py's RedisCluster, which drops ``ssl_min_version``: what it asks ``ssl`` for is lowered."""

import ssl

import redis


def prepare(job):
    make = ssl.create_default_context

    def lenient(*args, **kwargs):
        context = make(*args, **kwargs)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    ssl.create_default_context = lenient


def connect(port, job, made):
    client = redis.RedisCluster(
        "localhost",
        port,
        protocol=2,
        ssl=True,
        ssl_ca_certs=job["ca"],
        # A peer does not know its own port, nor a real server the name on its certificate.
        address_remap=lambda address: ("localhost", port),
    )
    try:
        assert client.set("key", "value")
        node = client.get_redis_connection(client.get_default_node())
        return node.connection_pool.get_connection("SET")._sock.version()
    finally:
        client.close()
