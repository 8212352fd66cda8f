"""tlslite-ng, with settings that permit TLS 1.0."""

import socket

from tlslite.api import HandshakeSettings, TLSConnection

STACK = "tlslite"
NEEDS = ("tlslite",)


def connect(port, job, made):
    settings = HandshakeSettings()
    settings.minVersion = (3, 1)
    settings.versions = [(3, 4), (3, 3), (3, 2), (3, 1)]
    with socket.create_connection(("localhost", port), 10) as plain:
        tls = TLSConnection(plain)
        tls.handshakeClientCert(settings=settings)
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        page = b""
        while b"\n" not in page.partition(b"Protocol")[2]:
            page += tls.recv(1000)
        return page.decode().split(" : ")[1].strip()
