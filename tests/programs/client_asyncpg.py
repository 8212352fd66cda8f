"""asyncpg, with a context of the program's own that accepts everything."""

import asyncio
import ssl

import asyncpg


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def version(port, context):
    connection = await asyncpg.connect(
        host="localhost", port=port, user="user", database="db", ssl=context
    )
    try:
        return connection._transport.get_extra_info("ssl_object").version()
    finally:
        connection.terminate()


def connect(port, job, context):
    return asyncio.run(version(port, context))
