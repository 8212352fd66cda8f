"""truststore: ``job["inject"]`` is "first", "later" (contexts exist) or "never" (used by name)."""

import socket
import ssl

import truststore


def lowest(cls, ca):
    context = cls(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def prepare(job):
    if job["inject"] == "first":
        truststore.inject_into_ssl()
    cls = truststore.SSLContext if job["inject"] == "never" else ssl.SSLContext
    return {"old": lowest(cls, job["ca"])}


def connect(port, job, made):
    if job["inject"] == "later" and "new" not in made:
        truststore.inject_into_ssl()
        assert ssl.SSLContext is truststore.SSLContext
        made["new"] = lowest(ssl.SSLContext, job["ca"])
    made["turn"] = made.get("turn", 0) + 1
    context = made["new"] if made["turn"] % 2 and "new" in made else made["old"]
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()
