"""aiohttp: a connector that is given a context."""

import asyncio
import ssl

import aiohttp


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def get(url, context):
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        return await answer.text()


def connect(port, job, context):
    return asyncio.run(get(f"https://localhost:{port}/", context)).split(" : ")[1].strip()
