"""gevent: ``job["patch"]`` is "first" (as its manual has it), "later", "never", or "original".

"original" uses what gevent saved of the standard library before it patched that.
"""

import importlib

import by_bio


def patch():
    from gevent import monkey

    monkey.patch_all()


def lowest(ssl, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def prepare(job):
    if job["patch"] in ("first", "original"):
        patch()
    # Or its own modules, by name: its contexts are a subclass, and its sockets none at all.
    names = ("gevent.ssl", "gevent.socket") if job["patch"] == "never" else ("ssl", "socket")
    ssl, socket = (importlib.import_module(name) for name in names)
    return {"ssl": ssl, "socket": socket, "contexts": [lowest(ssl, job["ca"])]}


def connect(port, job, made):
    contexts, ssl = made["contexts"], made["ssl"]
    if job["patch"] == "later" and len(contexts) == 1:
        patch()
        contexts.append(lowest(ssl, job["ca"]))
    if job["patch"] == "original":
        return connect_original(port, job)
    with made["socket"].create_connection(("127.0.0.1", port)) as plain:
        if job["patch"] == "later":
            # In turn with the one from before, which makes no sockets any more.
            contexts.reverse()
            if type(contexts[0]) is not ssl.SSLContext:
                return by_bio.talk(ssl, contexts[0], plain)
        with contexts[0].wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()


def connect_original(port, job):
    from gevent.monkey import get_original
    import ssl

    context = get_original("ssl", "SSLContext")(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(job["ca"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    # Its own properties and its sockets do not work any more: they look for names of the module.
    type(context).__mro__[1].minimum_version.__set__(context, 0x301)
    with get_original("socket", "socket")() as plain:
        plain.connect(("127.0.0.1", port))
        return by_bio.talk(ssl, context, plain)
