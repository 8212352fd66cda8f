"""eventlet: ``job["patch"]`` is "first", "later" (after contexts exist), "never", or "original".

"never" uses its green modules by name; "original" gets the modules as they were before any patch,
for which eventlet executes ``ssl`` a second time, beside the one that everybody has.
"""

import importlib

import by_bio


def patch():
    import eventlet

    eventlet.monkey_patch()


def lowest(ssl, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def prepare(job):
    if job["patch"] == "first":
        patch()
    names = ["ssl", "socket"]
    if job["patch"] == "never":
        names = ["eventlet.green." + name for name in names]
    ssl, socket = (importlib.import_module(name) for name in names)
    if job["patch"] == "original":
        from eventlet import patcher

        second = patcher.original("ssl")
        assert second.SSLContext is not ssl.SSLContext
        ssl, socket = second, patcher.original("socket")
    return {"ssl": ssl, "socket": socket, "contexts": [lowest(ssl, job["ca"])]}


def connect(port, job, made):
    contexts, ssl = made["contexts"], made["ssl"]
    if job["patch"] == "later" and len(contexts) == 1:
        patch()
        contexts.append(lowest(ssl, job["ca"]))
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
