"""A server of Twisted that listens before a late floor is armed."""

from OpenSSL import SSL
from twisted.internet import protocol, reactor, ssl

STACK = "pyopenssl"
NEEDS = ("OpenSSL", "twisted", "service_identity")
ROLE = "server"


class Hello(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        self.transport.loseConnection()


def prepare(job):
    options = ssl.DefaultOpenSSLContextFactory(job["peer"], job["peer"], SSL.SSLv23_METHOD)
    options.getContext().set_cipher_list(b"ALL:@SECLEVEL=0")
    return reactor.listenSSL(0, protocol.Factory.forProtocol(Hello), options, interface="127.0.0.1")


def main(job, listening):
    print(listening.getHost().port, flush=True)
    reactor.run()
