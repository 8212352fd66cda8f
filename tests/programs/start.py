"""What a program does as far as TLS goes, told to accept everything: ``start.py [WAY] PORT...``.

It says that it started, then for each port the version it reached, or the error, and with which
flags it runs. With a way it lets a child do so: fork, spawn, subprocess, or cleared: a subprocess
without environment. It has to run on the Pythons that are too old for tlsfloor, 2.7 among them.
"""

from __future__ import print_function

import json
import socket
import sys
import warnings

FLAGS = ("ignore_environment", "isolated", "safe_path", "no_site", "no_user_site")


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


def tell(ports):
    warnings.simplefilter("ignore")
    print("started")
    sys.stdout.flush()
    print(json.dumps([attempt(port) for port in ports]))
    print(json.dumps([name for name in FLAGS if getattr(sys.flags, name, 0)]))
    sys.stdout.flush()


def start(way, ports):
    if way in ("subprocess", "cleared"):
        import subprocess

        env = {} if way == "cleared" else None
        subprocess.check_call([sys.executable, __file__] + ports, env=env)
    else:
        import multiprocessing

        if way == "fork" and sys.version_info < (3, 4):
            context = multiprocessing  # it has no other way there
        else:
            context = multiprocessing.get_context(way)
        child = context.Process(target=tell, args=(ports,))
        child.start()
        child.join()


def main(words):
    if words and not words[0].isdigit():
        start(words[0], words[1:])
    else:
        tell(words)


if __name__ == "__main__":
    main(sys.argv[1:])
