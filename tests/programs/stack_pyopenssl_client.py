"""pyOpenSSL on a socket, set to accept every version; the context is older than a late floor."""

import socket

from OpenSSL import SSL

STACK = "pyopenssl"
NEEDS = ("OpenSSL",)


def prepare(job):
    context = SSL.Context(SSL.SSLv23_METHOD)
    if hasattr(context, "set_min_proto_version"):
        context.set_min_proto_version(0x301)
        context.set_max_proto_version(0x304)
    context.set_options(SSL.OP_ALL)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.load_verify_locations(job["ca"])
    context.set_verify(SSL.VERIFY_PEER, lambda *args: args[-1])
    return context


def connect(port, job, context):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        tls = SSL.Connection(context, plain)
        tls.set_connect_state()
        tls.do_handshake()
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert tls.recv(4096)
        return tls.get_protocol_version_name()
