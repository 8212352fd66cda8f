"""A client of Temporal, whose core is over rustls."""

import asyncio

from temporalio.client import Client, TLSConfig

STACK = "temporal"
NEEDS = ("temporalio",)
PEER = "h2"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    with open(job["ca"], "rb") as file:
        tls = TLSConfig(server_root_ca_cert=file.read())
    asyncio.run(call(port, tls))


async def call(port, tls):
    try:
        await Client.connect(f"localhost:{port}", tls=tls)
    except RuntimeError:
        return  # the peer is no Temporal, and hangs up
