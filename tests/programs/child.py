"""What a child process does: the lowest connection it can get, and what it claims about a floor.

A module by the name ``child`` for the children of ``multiprocessing``, and a program of its own for
``subprocess``: ``child.py PORT CA``.
"""

import json
import socket
import ssl
import sys
import warnings


def attempt(port, ca):
    """Return the version that was reached, or the error, and the floor that is claimed."""
    warnings.simplefilter("ignore")
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                reached = tls.version()
        except ssl.SSLError as error:
            reached = error.reason
    import tlsfloor

    return [reached, tlsfloor.status().floor]


if __name__ == "__main__":
    print(json.dumps(attempt(int(sys.argv[1]), sys.argv[2])))
