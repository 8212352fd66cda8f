"""asyncio streams: a context that is given to ``open_connection``."""

import asyncio
import ssl


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def talk(port, context):
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert await reader.readline()
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    return version


def connect(port, job, context):
    return asyncio.run(talk(port, context))
