"""A server of tlslite-ng, which accepts TLS 1.0 and prints the version."""

import socket

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.messages import ApplicationData

STACK = "tlslite"
NEEDS = ("tlslite",)
ROLE = "server"


def prepare(job):
    with open(job["peer"]) as file:
        pem = file.read()
    chain = X509CertChain()
    chain.parsePemList(pem)
    settings = HandshakeSettings()
    settings.minVersion = (3, 1)
    settings.versions = [(3, 4), (3, 3), (3, 2), (3, 1)]
    settings.eccCurves = ["secp256r1", "x25519"]
    server = socket.create_server(("127.0.0.1", 0))
    return server, {"certChain": chain, "privateKey": parsePEMKey(pem, True), "settings": settings}


def main(job, made):
    server, options = made
    print(server.getsockname()[1], flush=True)
    while True:
        plain, _ = server.accept()
        with plain:
            tls = TLSConnection(plain)
            try:
                tls.handshakeServer(**options)
                tls.recv(1000)
                # At once: in TLS 1.0 it would send the first byte by itself.
                for _ in tls._sendMsg(
                    ApplicationData().create(b"hello"), randomizeFirstBlock=False
                ):
                    pass
                tls.close()
            except Exception as error:
                print(error, flush=True)
