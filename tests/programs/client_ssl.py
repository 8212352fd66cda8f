"""``ssl`` itself: a verifying context that was told to accept everything."""

import socket
import ssl


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()
