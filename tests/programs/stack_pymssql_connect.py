"""pymssql with a lenient configuration, and a server that asks for TLS.

TDS carries the TLS handshake in packets of its own (MS-TDS, section 2.2.6.5 "PRELOGIN"), which the
peer knows nothing of: a relay in this program unpacks them.
"""

import os
import socket
import tempfile
import threading

# freetds.conf(5); without it TLS 1.1 is the least.
with tempfile.NamedTemporaryFile("w", delete=False) as file:
    file.write("[global]\n enable tls v1 = yes\n")
os.environ["FREETDSCONF"] = file.name

import pymssql

STACK = "pymssql"
NEEDS = ("pymssql",)
REFUSED = ("1.2", "1.3")

PRELOGIN, RESPONSE = 0x12, 0x04

#: A version, and that encryption is on (2.2.6.5): two options, their offsets and lengths, the end.
ANSWER = bytes([0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 16, 0, 0, 0, 0, 0, 1])


def connect(port, job, made):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=relay, args=(server, port), daemon=True).start()
        try:
            pymssql.connect("127.0.0.1", "x", "x", port=server.getsockname()[1], login_timeout=2)
        except pymssql.OperationalError:
            return  # the peer is no SQL Server


def relay(server, port):
    client, _ = server.accept()
    with client, socket.create_connection(("127.0.0.1", port), 10) as peer:
        packet(client)
        client.sendall(framed(RESPONSE, ANSWER))
        threading.Thread(target=back, args=(peer, client), daemon=True).start()
        while True:
            data = packet(client)
            if not data:
                return
            peer.sendall(data)


def back(peer, client):
    while True:
        try:
            data = peer.recv(4000)
            if not data:
                return client.shutdown(socket.SHUT_RDWR)
            client.sendall(framed(PRELOGIN, data))
        except OSError:
            return  # the other side has left


def packet(client):
    """Return what one packet carries; nothing at the end, or once TLS is no longer packed."""
    head = client.recv(8, socket.MSG_WAITALL)
    if len(head) < 8 or head[0] != PRELOGIN:
        return b""
    return client.recv(int.from_bytes(head[2:4], "big") - 8, socket.MSG_WAITALL)


def framed(kind, data):
    return bytes([kind, 1]) + (len(data) + 8).to_bytes(2, "big") + bytes([0, 0, 1, 0]) + data
