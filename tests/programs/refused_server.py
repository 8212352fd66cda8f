"""A server whose context speaks TLS 1.0 only: ``refused_server.py KIND PEER``; prints its port."""

import asyncio
import ssl
import sys
import warnings

kind, peer = sys.argv[1:]
warnings.simplefilter("ignore")
if kind == "gevent":
    from gevent import monkey

    monkey.patch_all()
context = ssl.SSLContext(ssl.PROTOCOL_TLSv1)
context.load_cert_chain(peer)
context.set_ciphers("ALL:@SECLEVEL=0")


async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
    writer.close()


async def serve():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if kind in ("asyncio", "uvloop"):
    if kind == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(serve())
else:
    from http.server import HTTPServer, SimpleHTTPRequestHandler

    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()
