"""Granian in asyncio: a server that was made before a late floor, and asks for TLS 1.2."""

import asyncio
import os
import pathlib

from granian.constants import Interfaces, SSLProtocols
from granian.server.embed import Server

STACK = "granian"
NEEDS = ("granian",)
ROLE = "server"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


def prepare(job):
    # It takes no socket that is bound, and a port of the system's choice may be another test's by
    # the time that it listens: this one is of no range that systems choose from.
    port = 20_000 + os.getpid() % 10_000
    identity = pathlib.Path(job["peer"])
    return Server(
        app,
        port=port,
        interface=Interfaces.ASGI,
        ssl_cert=identity,
        ssl_key=identity,
        ssl_protocol_min=SSLProtocols.tls12,
        log_enabled=False,
    )


def main(job, server):
    asyncio.run(serve(server))


async def serve(server):
    serving = asyncio.ensure_future(server.serve())
    while True:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", server.bind_port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            break
    print(server.bind_port, flush=True)
    await serving
