"""A program, and a WSGI application, that says which TLS versions it reaches.

It is copied into a folder with ``start.py`` and tlsfloor, and started by a launcher or a server.
With FLOOR_CALLED in the environment it calls ``enforce()`` first, as a user would write it.
"""

import json
import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # mod_wsgi does not

if "FLOOR_CALLED" in os.environ:
    import tlsfloor

    tlsfloor.enforce("1.2")

import start


def report(ports):
    return [start.attempt(port) for port in ports]


def application(environ, start_response):
    body = json.dumps(report(environ["QUERY_STRING"].split(","))).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def main():
    print(json.dumps(report(sys.argv[1:])))


if __name__ == "__main__":
    main()
