"""pyOpenSSL in memory: a connection without a socket, that began before a late floor is armed."""

import socket

from OpenSSL import SSL

STACK = "pyopenssl"
NEEDS = ("OpenSSL",)


def prepare(job):
    made = {}
    for port in job["ports"].values():
        context = SSL.Context(SSL.SSLv23_METHOD)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        tls = made[port] = SSL.Connection(context, None)
        tls.set_connect_state()
        if job.get("begun", True):
            try:  # its hello is written now
                tls.do_handshake()
            except SSL.WantReadError:
                pass
    return made


def connect(port, job, made):
    tls = made[port]
    with socket.create_connection(("127.0.0.1", port)) as plain:

        def pump(call):
            while True:
                try:
                    return call()
                except SSL.WantReadError:
                    flush()
                    data = plain.recv(65536)
                    if not data:
                        raise ConnectionError("the peer left")
                    tls.bio_write(data)
                finally:
                    flush()

        def flush():
            try:
                while True:
                    plain.sendall(tls.bio_read(65536))
            except SSL.WantReadError:
                pass

        pump(tls.do_handshake)
        pump(lambda: tls.send(b"GET / HTTP/1.0\r\n\r\n"))
        assert pump(lambda: tls.recv(4096))
        return tls.get_protocol_version_name()
