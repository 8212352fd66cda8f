"""What a program does as far as TLS goes, told to accept everything: ``start.py PORT...``.

It says that it started, and then for each port the version it reached, or the error. It has to
run on the Pythons that are too old for tlsfloor, 2.7 among them.
"""

from __future__ import print_function

import json
import socket
import sys
import warnings


def connect(port):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_SSLv23)
    if hasattr(context, "minimum_version"):
        context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    plain = socket.create_connection(("127.0.0.1", port), 10)
    tls = context.wrap_socket(plain)
    try:
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert tls.recv(1)
        return tls.version()
    finally:
        tls.close()


def attempt(port):
    try:
        return connect(int(port))
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("started")
    sys.stdout.flush()
    print(json.dumps([attempt(port) for port in sys.argv[1:]]))
