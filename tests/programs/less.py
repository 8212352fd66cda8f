"""Ways to ask ``ssl`` for less than the floor: ``job["way"]`` says which."""

import socket
import ssl

LOWEST = ssl.TLSVersion.MINIMUM_SUPPORTED
OLDEST = ssl.TLSVersion.TLSv1


def client(ca):
    return at_level_0(ssl.create_default_context(cafile=ca))


def at_level_0(context):
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def default(ca):
    return ssl.create_default_context(cafile=ca)


def minimum_lowered(ca):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = OLDEST
    context.set_ciphers("ALL")
    return context


def level_lowered(ca):
    context = client(ca)
    context.minimum_version = OLDEST
    return context


def minimum_supported(ca):
    context = client(ca)
    context.minimum_version = LOWEST
    return context


def options_cleared(ca):
    context = client(ca)
    context.minimum_version = LOWEST
    context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    return context


def maximum_lowered(ca):
    context = client(ca)
    context.minimum_version = OLDEST
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def unverified(ca):
    context = at_level_0(ssl._create_unverified_context())
    context.minimum_version = OLDEST
    return context


def fixed(name):
    def way(ca):
        context = at_level_0(ssl.SSLContext(getattr(ssl, name)))
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = True
        return context

    return way


class OwnSetter(ssl.SSLContext):
    """Reaches around the properties of its base, as those of gevent, eventlet, truststore do."""

    @property
    def minimum_version(self):
        return super().minimum_version

    @minimum_version.setter
    def minimum_version(self, value):
        super(ssl.SSLContext, ssl.SSLContext).minimum_version.__set__(self, value)


class OwnInit(ssl.SSLContext):
    """Has an ``__init__`` that does not call the next one."""

    def __init__(self, protocol):
        self.note = "mine"


class Note:
    def __init__(self, protocol, note):
        self.note = note


class Mixin(ssl.SSLContext, Note):
    """Has no ``__init__`` of its own: the mixin's, with its argument, is the one to be called."""


def subclass(cls, *args):
    def way(ca):
        context = at_level_0(cls(ssl.PROTOCOL_TLS_CLIENT, *args))
        context.load_verify_locations(ca)
        context.minimum_version = OLDEST
        assert not args or context.note == args[0], "an __init__ was left out"
        return context

    return way


WAYS = {
    "default": default,
    "minimum lowered": minimum_lowered,
    "minimum and security level lowered": level_lowered,
    "MINIMUM_SUPPORTED": minimum_supported,
    "options cleared": options_cleared,
    "maximum lowered": maximum_lowered,
    "_create_unverified_context": unverified,
    "PROTOCOL_TLSv1": fixed("PROTOCOL_TLSv1"),
    "PROTOCOL_TLSv1_1": fixed("PROTOCOL_TLSv1_1"),
    "PROTOCOL_TLSv1_2": fixed("PROTOCOL_TLSv1_2"),
    "subclass with setters of its own": subclass(OwnSetter),
    "subclass with an __init__ of its own": subclass(OwnInit),
    "subclass with a mixin": subclass(Mixin, "mine"),
}


def prepare(job):
    return WAYS[job["way"]](job["ca"])


def connect(port, job, context):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()
