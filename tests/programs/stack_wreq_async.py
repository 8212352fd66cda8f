"""wreq as in its documentation: a client of asyncio, set to TLS 1.0."""

import asyncio

import wreq

STACK = "wreq"
ROW = "wreq.wreq"
NEEDS = ("wreq",)


def connect(port, job, made):
    return asyncio.run(ask(port))


async def ask(port):
    client = wreq.Client(tls_verify=False, tls_min_version=wreq.TlsVersion.TLS_1_0)
    response = await client.get(f"https://localhost:{port}/")
    return (await response.text()).split(" : ")[1].strip()
