"""aiomysql: a context of the program's own."""

import asyncio
import ssl

import aiomysql


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def version(port, context):
    database = await aiomysql.connect(host="localhost", port=port, user="me", ssl=context)
    try:
        return database._writer.get_extra_info("ssl_object").version()
    finally:
        database.close()


def connect(port, job, context):
    return asyncio.run(version(port, context))
