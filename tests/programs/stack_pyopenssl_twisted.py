"""A client of Twisted, which uses pyOpenSSL in memory; its options are older than the floor."""

import threading

from OpenSSL import SSL
from twisted.internet import protocol, reactor, ssl

STACK = "pyopenssl"
NEEDS = ("OpenSSL", "twisted", "service_identity")


class Factory(ssl.ContextFactory):
    def __init__(self):
        self.context = SSL.Context(SSL.SSLv23_METHOD)
        self.context.set_cipher_list(b"ALL:@SECLEVEL=0")

    def getContext(self):
        return self.context


class Page(protocol.Protocol):
    def connectionMade(self):
        self.page = b""
        self.transport.write(b"GET / HTTP/1.0\r\n\r\n")

    def dataReceived(self, data):
        self.page += data

    def connectionLost(self, reason):
        self.factory.done(self.page, reason)


def prepare(job):
    threading.Thread(target=reactor.run, args=(False,), daemon=True).start()
    return Factory()


def connect(port, job, options):
    ended = threading.Event()
    came = []

    def done(page, reason):
        came[:] = [page, reason]
        ended.set()

    def begin():
        factory = protocol.ClientFactory()
        factory.protocol, factory.done = Page, done
        reactor.connectSSL("127.0.0.1", port, factory, options)

    reactor.callFromThread(begin)
    assert ended.wait(20)
    if not came[0]:
        raise came[1].value
    return came[0].decode().split(" : ")[1].strip()
