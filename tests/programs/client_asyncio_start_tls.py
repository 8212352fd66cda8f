"""asyncio: a connection in plain text, upgraded by ``loop.start_tls``."""

import asyncio
import ssl


class Talk(asyncio.Protocol):
    def __init__(self):
        self.answered = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        if not self.answered.done():
            self.answered.set_result(data)


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def talk(port, context):
    loop = asyncio.get_running_loop()
    plain, protocol = await loop.create_connection(Talk, "localhost", port)
    tls = await loop.start_tls(plain, protocol, context, server_hostname="localhost")
    tls.write(b"GET / HTTP/1.0\r\n\r\n")
    assert await protocol.answered
    version = tls.get_extra_info("ssl_object").version()
    tls.close()
    return version


def connect(port, job, context):
    return asyncio.run(talk(port, context))
