"""rnet as its documentation begins: a client of asyncio with its defaults."""

import asyncio

import rnet

STACK = "wreq"
ROW = "rnet.rnet"
NEEDS = ("rnet",)
REFUSED = ("1.3",)


def connect(port, job, made):
    return asyncio.run(ask(port))


async def ask(port):
    response = await rnet.Client(verify=False).get(f"https://localhost:{port}/")
    return (await response.text()).split(" : ")[1].strip()
