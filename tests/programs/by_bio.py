"""What other programs of this folder share: TLS as asyncio does it, without a TLS socket.

For contexts from before something exchanged the classes of ``ssl``: their sockets work no more.
"""


def talk(ssl, context, plain):
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, to_send, server_hostname="localhost")
    step(tls.do_handshake, ssl, plain, received, to_send)
    tls.write(b"GET / HTTP/1.0\r\n\r\n")
    assert step(lambda: tls.read(1), ssl, plain, received, to_send)
    return tls.version()


def step(function, ssl, plain, received, to_send):
    while True:
        try:
            return function()
        except ssl.SSLWantReadError:
            plain.sendall(to_send.read())
            received.write(plain.recv(65536))
        finally:
            if to_send.pending:
                plain.sendall(to_send.read())
