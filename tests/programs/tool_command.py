"""What a command runs: it connects to ``$PORTS``, and appends what came of it to ``$TOLD``.

It is a program, a test for pytest, and a module with a contract for crosshair.
"""

import json
import os
import socket
import ssl
import warnings


def make():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = 0x301
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context


def attempt(port, context):
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 10)) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()
    except OSError as error:
        return str(error)


def main():
    import tlsfloor

    if os.environ["WHEN"] == "call":
        tlsfloor.enforce("1.2")
    reached = [attempt(port, make()) for port in os.environ["PORTS"].split()]
    with open(os.environ["TOLD"], "a") as file:
        file.write(json.dumps([reached, tlsfloor.status().held]) + "\n")


def double(number: int) -> int:
    """
    post: _ != 14
    """
    return number * 2


def test_nothing():
    assert double(1) == 2


main()
