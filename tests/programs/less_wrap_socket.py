"""``ssl.wrap_socket``, which Python had up to 3.11, with a fixed version."""

import socket
import ssl


def connect(port, job, made):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with ssl.wrap_socket(
            plain,
            ssl_version=ssl.PROTOCOL_TLSv1,
            cert_reqs=ssl.CERT_REQUIRED,
            ca_certs=job["ca"],
            ciphers="ALL:@SECLEVEL=0",
        ) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()
