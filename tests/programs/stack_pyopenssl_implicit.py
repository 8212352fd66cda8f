"""pyOpenSSL by default, except for the security level; a write completes the handshake.

The connections are older than a late floor, and each gets another context before its handshake.
"""

import socket

from OpenSSL import SSL

STACK = "pyopenssl"
NEEDS = ("OpenSSL",)


def loose():
    context = SSL.Context(SSL.SSLv23_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    return context


def prepare(job):
    made = {}
    for port in job["ports"].values():
        made[port] = SSL.Connection(loose(), socket.socket())
        made[port].set_context(loose())
        made[port].set_connect_state()
    return made


def connect(port, job, made):
    tls = made[port]
    tls.connect(("127.0.0.1", port))
    tls.send(b"GET / HTTP/1.0\r\n\r\n")
    assert tls.recv(4096)
    return tls.get_protocol_version_name()
