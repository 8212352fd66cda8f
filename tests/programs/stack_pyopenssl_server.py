"""A server of pyOpenSSL that listens before a late floor, and changes the context as for SNI."""

import socket

from OpenSSL import SSL

STACK = "pyopenssl"
NEEDS = ("OpenSSL",)
ROLE = "server"


def loose(job):
    context = SSL.Context(SSL.SSLv23_METHOD)
    context.use_certificate_chain_file(job["peer"])
    context.use_privatekey_file(job["peer"])
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    return context


def prepare(job):
    context, other = loose(job), loose(job)
    context.set_tlsext_servername_callback(lambda tls: tls.set_context(other))
    listener = SSL.Connection(context, socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    return listener


def main(job, listener):
    print(listener.getsockname()[1], flush=True)
    while True:
        tls, _ = listener.accept()
        try:  # the handshake happens inside of the read
            assert tls.recv(4096)
            tls.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
            tls.shutdown()
            tls.sock_shutdown(socket.SHUT_WR)
        except (SSL.Error, OSError):
            pass
        tls.close()
