"""M2Crypto: a server whose context was made before a late floor, and allows every version."""

import socket

from M2Crypto import SSL

STACK = "m2crypto"
NEEDS = ("M2Crypto",)
ROLE = "server"


def prepare(job):
    context = SSL.Context("tls", weak_crypto=1)
    context.set_cipher_list("ALL:@SECLEVEL=0")
    context.load_cert_chain(job["peer"], job["peer"])
    return context, socket.create_server(("127.0.0.1", 0))


def main(job, made):
    context, listener = made
    print(listener.getsockname()[1], flush=True)
    while True:
        connection = SSL.Connection(context, listener.accept()[0])
        connection.setup_ssl()
        connection.set_accept_state()
        try:
            if connection.accept_ssl() == 1:
                connection.recv(4096)
                connection.sendall(b"hello")
        except SSL.SSLError:
            pass
        finally:
            connection.close()
