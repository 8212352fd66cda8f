"""An asyncio server, told to accept everything. It prints its port, then what it was handed.

And why it refused, since asyncio drops the connection without sending OpenSSL's alert.
"""

import asyncio
import logging
import ssl


class Refusals(logging.Handler):
    def emit(self, record):
        if record.exc_info and isinstance(record.exc_info[1], ssl.SSLError):
            print("refused:" + record.exc_info[1].reason, flush=True)


def prepare(job):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(job["peer"])
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def answer(reader, writer):
    print(writer.get_extra_info("ssl_object").version(), flush=True)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
    writer.close()


async def serve(context):
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    asyncio.get_event_loop().set_debug(True)  # asyncio tells of failed handshakes only so
    log = logging.getLogger("asyncio")
    log.setLevel(logging.DEBUG)
    log.addHandler(Refusals())
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(job, context):
    asyncio.run(serve(context))
