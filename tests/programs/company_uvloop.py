"""uvloop: its own TLS protocol, in C, over the stdlib's TLS objects."""

import asyncio
import ssl

import uvloop


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(talk(port, context))
    finally:
        loop.close()


async def talk(port, context):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert await reader.read(1)
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    return version
