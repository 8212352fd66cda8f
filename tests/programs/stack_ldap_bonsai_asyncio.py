"""bonsai in asyncio, StartTLS."""

import asyncio

import bonsai

STACK = "ldap"
NEEDS = ("bonsai",)
PEER = "ldap"


def connect(port, job, made):
    asyncio.run(use(port))


async def use(port):
    client = bonsai.LDAPClient(f"ldap://localhost:{port}", tls=True)
    client.set_cert_policy("never")
    connection = await client.connect(is_async=True, timeout=10)
    connection.close()
