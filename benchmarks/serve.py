"""A server for clients that keep their connection: HTTP with empty answers, and a little of Redis.

``python serve.py FILE`` uses the key and certificate in FILE, and prints its port.
"""

from __future__ import annotations

import socketserver
import ssl
import sys

HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

#: The answers of Redis to commands. HELLO is answered by a map (RESP3), here with one key.
REDIS = {b"PING": b"+PONG\r\n", b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}


def reply(data: bytes) -> bytes:
    """Answer a request that arrived in one piece, by the first word of each command."""
    if not data.startswith(b"*"):
        return HTTP
    lines = data.split(b"\r\n")
    commands = [lines[place + 2] for place, line in enumerate(lines) if line.startswith(b"*")]
    return b"".join(REDIS.get(command.upper(), b"+OK\r\n") for command in commands)


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answer until the client closes the connection."""
        with context.wrap_socket(self.request, server_side=True) as connection:
            while data := connection.recv(2**16):
                connection.sendall(reply(data))


class Server(socketserver.ThreadingTCPServer):
    """Runs a thread for each connection, which ends with the process."""

    daemon_threads = True
    request_queue_size = 100


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    with Server(("localhost", 0), Handler) as listening:
        print(listening.server_address[1], flush=True)
        listening.serve_forever()
