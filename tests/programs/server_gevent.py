"""gevent's own server, patched first; its TLS sockets are not Python's."""

from gevent import monkey

monkey.patch_all()

import ssl

from gevent.server import StreamServer


def prepare(job):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(job["peer"])
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def answer(connection, address):
    print(connection.version(), flush=True)
    connection.recv(65536)
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
    connection.close()


def main(job, context):
    server = StreamServer(("127.0.0.1", 0), answer, ssl_context=context)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()
