"""TLS objects that were born before the floor was armed, and shake hands after it."""

import socket
import ssl


def lowest(ca):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def prepare(job):
    made = {}
    for name in WAYS:
        plain = socket.create_connection(("127.0.0.1", job["port"]), 20)
        made[name] = lowest(job["ca"]).wrap_socket(
            plain, server_hostname="localhost", do_handshake_on_connect=False
        )
    return made


def shake_hands(tls):
    tls.do_handshake()
    return tls.version()


def write(tls):
    """No method of the socket is called for this handshake: OpenSSL shakes hands as it writes."""
    tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert tls.recv(1)
    return tls.version()


def read(tls):
    tls.settimeout(1)
    try:
        tls.recv(1)
    except socket.timeout:  # the peer waits for a request, after the handshake
        pass
    return tls.version()


WAYS = {"do_handshake": shake_hands, "write": write, "read": read}


def main(job, made):
    result = {}
    for name, way in WAYS.items():
        try:
            result[name] = way(made[name])
        except ssl.SSLError as error:
            result[name] = error.reason
        # A program that ignores the error must not go on in plain text.
        try:
            made[name].sendall(b"a secret")
            result[name + " afterwards"] = "sent"
        except OSError as error:
            result[name + " afterwards"] = type(error).__name__
        made[name].close()
    return result
