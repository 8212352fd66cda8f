"""pyOpenSSL asked for TLS 1.0 only. ``how``: what of it is older than a late floor, or special."""

import socket

from OpenSSL import SSL


class Own(SSL.Connection):
    """Shakes hands without the method of the class above."""

    def do_handshake(self):
        result = SSL._lib.SSL_do_handshake(self._ssl)
        if result != 1:
            self._raise_ssl_error(self._ssl, result)


def prepare(job):
    made = {}
    for port in job["ports"].values():
        context = SSL.Context(SSL.TLSv1_METHOD)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        kind = Own if job["how"] == "own" else SSL.Connection
        made[port] = context
        if job["how"] != "context":
            made[port] = kind(context, socket.socket())
            made[port].set_connect_state()
    return made


def connect(port, job, made):
    tls = made[port]
    if job["how"] == "context":
        tls = SSL.Connection(tls, socket.socket())
    tls.connect(("127.0.0.1", port))
    if job["how"] != "implicit":
        tls.do_handshake()
    tls.send(b"GET / HTTP/1.0\r\n\r\n")
    assert tls.recv(4096)
    return tls.get_protocol_version_name()
