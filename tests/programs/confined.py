"""A program that gives up what it needs no more before it uses TLS: ``confined.py HOW PORT``.

Printed is what it reaches with a context from before, with a new one, and with one that asks for
less; then what ``status()`` says of events, if it can still be asked. ``confined.py HOW PORT
fixed``: what one reaches that speaks TLS 1.0 only.
"""

import encodings.idna  # noqa: F401 - what socket would load later, as such programs have to
import os
import socket
import ssl
import sys
import tempfile
import warnings


def nothing():
    pass


def imports():
    sys.path[:] = sys.meta_path[:] = []


def root():
    os.chroot(tempfile.mkdtemp())
    os.chdir("/")


def files():
    """One more descriptor, for the socket."""
    import resource

    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, free + 1))


def sandbox():
    def hook(event, args):
        if event in ("open", "import", "compile"):
            raise RuntimeError(f"{event} is not allowed any more")

    sys.addaudithook(hook)


def make(protocol=ssl.PROTOCOL_TLS_CLIENT):
    context = ssl.SSLContext(protocol)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def make_lower():
    context = make()
    context.minimum_version = 0x301
    return context


def connect(context, port):
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20)) as tls:
            return tls.version()
    except ssl.SSLError as error:
        return error.reason


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    older, importers = make(), (sys.path[:], sys.meta_path[:])
    globals()[sys.argv[1]]()
    kinds = (lambda: older, make, make_lower)
    if "fixed" in sys.argv:
        kinds = (lambda: make(ssl.PROTOCOL_TLSv1),)
    print(*[connect(kind(), int(sys.argv[2])) for kind in kinds])
    if sys.argv[1] == "imports":
        sys.path[:], sys.meta_path[:] = importers
        if hasattr(sys, "_tlsfloor"):
            import tlsfloor

            print(tlsfloor.status().held, tlsfloor.status().events)
