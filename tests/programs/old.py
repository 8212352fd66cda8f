"""What Pythons that are too old for tlsfloor reach: ``old.py JOB``, which parses on 2.7.

The job has the file that holds the floor there, the floor (a wire number), when it is armed
("never", "early", "late": after the contexts were made), and cases: a role, a way of asking for
less, and a port. In either role it connects to the port; as a server it then speaks TLS as one. It
prints what came of each, the version or the error, and the status.
"""

from __future__ import print_function

import json
import socket
import sys
import warnings

EVERYTHING = "ALL:@SECLEVEL=0"


def watch(job):
    if sys.version_info < (3,):
        import imp

        old = imp.load_source("tlsfloor_old", job["old"])
    else:
        from importlib.machinery import SourceFileLoader

        old = SourceFileLoader("tlsfloor_old", job["old"]).load_module()
    old.hold(job["floor"], "the test", lambda error: "tlsfloor: error: %s" % error)
    return old


def default(ssl, job, role):
    purpose = ssl.Purpose.CLIENT_AUTH if role == "server" else ssl.Purpose.SERVER_AUTH
    context = ssl.create_default_context(purpose, cafile=job["ca"])
    if role == "server":
        context.load_cert_chain(job["identity"])
    return context


def everything(ssl, job, role):
    context = default(ssl, job, role)
    context.set_ciphers(EVERYTHING)
    return context


def lowered(ssl, job, role):
    """By all that there is: each option by itself, all at once, and the bounds of 3.7."""
    context = everything(ssl, job, role)
    for name in ("OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1", "OP_NO_TLSv1_2"):
        context.options &= ~getattr(ssl, name)
    context.options = 0
    if hasattr(context, "minimum_version"):
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def past_the_class(ssl, job, role):
    """Through the attributes of the C type, as gevent and eventlet do."""
    context = everything(ssl, job, role)
    base = ssl.SSLContext.__mro__[1]
    base.options.__set__(context, 0)
    if hasattr(base, "minimum_version"):
        base.minimum_version.__set__(context, 0x301)
    return context


def subclass(ssl, job, role):
    class Own(ssl.SSLContext):
        def __init__(self, protocol):
            self.mine = protocol

    context = Own(ssl.PROTOCOL_SSLv23)
    context.set_ciphers(EVERYTHING)
    if role == "server":
        context.load_cert_chain(job["identity"])
    return context


def fixed(name):
    def way(ssl, job, role):
        context = ssl.SSLContext(getattr(ssl, name))
        context.set_ciphers(EVERYTHING)
        if role == "server":
            context.load_cert_chain(job["identity"])
        return context

    return way


def private(name):
    def way(ssl, job, role):
        context = getattr(ssl, name)()
        context.set_ciphers(EVERYTHING)
        return context

    return way


WAYS = {
    "default": default,
    "@SECLEVEL=0": everything,
    "lowered": lowered,
    "past the class": past_the_class,
    "subclass": subclass,
    "PROTOCOL_TLSv1": fixed("PROTOCOL_TLSv1"),
    "PROTOCOL_TLSv1_1": fixed("PROTOCOL_TLSv1_1"),
    "PROTOCOL_TLSv1_2": fixed("PROTOCOL_TLSv1_2"),
    "_create_unverified_context": private("_create_unverified_context"),
    "_create_stdlib_context": private("_create_stdlib_context"),
}


def wrap(ssl, job, role, plain, context):
    return context.wrap_socket(
        plain,
        server_side=role == "server",
        server_hostname=None if role == "server" else "localhost",
    )


def wrap_socket(ssl, job, role, plain, context):
    identity = job["identity"] if role == "server" else None
    return ssl.wrap_socket(
        plain, certfile=identity, server_side=role == "server", ciphers=EVERYTHING
    )


def wrap_before_connecting(ssl, job, role, plain, context):
    """The TLS object is born by connect()."""
    port = plain.getpeername()[1]
    plain.close()
    tls = everything(ssl, job, role).wrap_socket(socket.socket(), server_hostname="localhost")
    tls.connect(("127.0.0.1", port))
    return tls


def handshake_by_writing(ssl, job, role, plain, context):
    return everything(ssl, job, role).wrap_socket(
        plain, server_hostname="localhost", do_handshake_on_connect=False
    )


USES = {
    "ssl.wrap_socket": wrap_socket,
    "wrapped before connecting": wrap_before_connecting,
    "handshake by writing": handshake_by_writing,
}


def by_urlopen(job, port):
    if sys.version_info < (3,):
        from urllib2 import urlopen
    else:
        from urllib.request import urlopen
    answer = urlopen("https://localhost:%d/" % port, cafile=job["ca"], timeout=20)
    return answer.read().decode("ascii").split("Protocol : ")[1].strip()


def by_bio(ssl, job, port):
    """As asyncio does it."""
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = everything(ssl, job, "client").wrap_bio(received, to_send, server_hostname="localhost")
    plain = socket.create_connection(("127.0.0.1", port), 20)
    try:
        while True:
            try:
                tls.do_handshake()
                plain.sendall(to_send.read())
                return tls.version()
            except ssl.SSLWantReadError:
                plain.sendall(to_send.read())
                received.write(plain.recv(65536))
    finally:
        plain.close()


def reach(job, role, way, port, context):
    if way == "urlopen":
        return by_urlopen(job, port)
    import ssl

    if way == "wrap_bio":
        return by_bio(ssl, job, port)
    plain = socket.create_connection(("127.0.0.1", port), 20)
    try:
        tls = USES.get(way, wrap)(ssl, job, role, plain, context)
        try:
            if role == "server":
                received = b""
                while not received.endswith(b"\r\n\r\n"):  # TLS 1.0 comes in two records
                    received += tls.recv(100) or b"\r\n\r\n"
                tls.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
            else:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert tls.recv(1)
            return tls.version()
        finally:
            tls.close()
    finally:
        plain.close()


def attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)


def main(job):
    if job["when"] == "early":
        old = watch(job)
    import ssl

    made = [WAYS[way](ssl, job, role) if way in WAYS else None for role, way, _ in job["cases"]]
    if job["when"] == "late":
        old = watch(job)
    reached = [
        attempt(reach, job, role, way, port, context)
        for (role, way, port), context in zip(job["cases"], made)
    ]
    return {"reached": reached, "status": old.describe_state() if job["when"] != "never" else None}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(main(json.loads(sys.argv[1]))))
