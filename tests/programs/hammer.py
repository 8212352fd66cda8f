"""Threads lower a shared context as gevent does, beneath ``ssl.SSLContext``, while others use it.

There is a moment between the gate of use and OpenSSL's copy of the bounds: nothing may be lowered
in it.
"""

import collections
import socket
import ssl
import sys
import threading
import time


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def by_socket(context, plain):
    with context.wrap_socket(plain, server_hostname="localhost") as tls:
        return tls.version()


def by_socket_later(context, plain):
    with context.wrap_socket(
        plain, server_hostname="localhost", do_handshake_on_connect=False
    ) as tls:
        tls.do_handshake()
        return tls.version()


def by_writing(context, plain):
    """The handshake happens inside of the first write."""
    with context.wrap_socket(
        plain, server_hostname="localhost", do_handshake_on_connect=False
    ) as tls:
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert tls.recv(1)
        return tls.version()


def by_bio(context, plain):
    """As asyncio does it."""
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, to_send, server_hostname="localhost")
    while True:
        try:
            tls.do_handshake()
            return tls.version()
        except ssl.SSLWantReadError:
            plain.sendall(to_send.read())
            received.write(plain.recv(65536))


def main(job, context):
    put = super(ssl.SSLContext, ssl.SSLContext).minimum_version.__set__
    use = globals()[job["use"]]
    outcomes = collections.Counter()
    begun = time.monotonic()
    # Hand the interpreter over so often that the moment comes ten times in a second.
    sys.setswitchinterval(1e-5)

    def going():
        return time.monotonic() - begun < job["seconds"]

    def hammer():
        while going():
            for _ in range(500):
                put(context, 0x301)

    def client():
        while going():
            with socket.create_connection(("127.0.0.1", job["port"]), 20) as plain:
                try:
                    outcome = use(context, plain)
                except Exception as error:
                    outcome = type(error).__name__
            outcomes[outcome] += 1

    threads = [threading.Thread(target=function) for function in [hammer] * 2 + [client] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
