"""The functions that are measured. Each prepares something, and returns the call to repeat.

``python work.py NAME CALLS [ARGUMENT...]`` repeats one, with or without a floor.
This file imports nothing of its package, so that it runs in any interpreter.
"""

from __future__ import annotations

import socket
import ssl
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    Call = Callable[[], object]


def client_context() -> Call:
    """Create a context."""
    return lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def default_context() -> Call:
    """Create a context with the certificate authorities of the system."""
    return ssl.create_default_context


def wrap_bio() -> Call:
    """Create a TLS object in memory."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    return lambda: context.wrap_bio(one, other, server_hostname="localhost")


def wrap_socket() -> Call:
    """Create a TLS object on a socket, and detach the socket again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    plain, peer = socket.socketpair()

    def call() -> object:
        nonlocal plain
        held = context.wrap_socket(plain, do_handshake_on_connect=False)
        plain = socket.socket(fileno=held.detach())
        return peer  # keeps it open

    return call


def _contexts(version: str, pem: str, ca: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client = ssl.create_default_context(cafile=ca)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    server.minimum_version = server.maximum_version = ssl.TLSVersion[version]
    return client, server


def _connect(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(one, other, server_hostname="localhost")
    server = server_context.wrap_bio(other, one, server_side=True)
    waiting = [client, server]
    while waiting:
        for each in list(waiting):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(each)
    return client, server


def handshake(version: str, pem: str, ca: str) -> Call:
    """Complete a handshake in memory, both ends, and verify the server."""
    contexts = _contexts(version, pem, ca)
    return lambda: _connect(*contexts)


def counted(version: str, pem: str, ca: str, counts: str) -> Call:
    """Complete a handshake in a program with OpenTelemetry, which counts it or does not."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    events = sys.modules["tlsfloor.events"]
    if counts == "no":
        events.count_handshake = events.measure = None  # type: ignore[attr-defined]
    elif events.count_handshake is None:
        raise SystemExit("error: tlsfloor has no instruments")
    return handshake(version, pem, ca)


def new_client(version: str, pem: str, ca: str) -> Call:
    """Complete a handshake with a new context, as many programs do for each connection."""
    _, server = _contexts(version, pem, ca)
    return lambda: _connect(ssl.create_default_context(cafile=ca), server)


def transfer(size: str, pem: str, ca: str) -> Call:
    """Send bytes from one end of an open connection to the other."""
    client, server = _connect(*_contexts("TLSv1_3", pem, ca))
    data = b"x" * int(size)

    def call() -> None:
        client.write(data)
        left = len(data)
        while left:
            left -= len(server.read(left))

    return call


def urllib3(port: str, ca: str) -> Call:
    """Request a page, on a connection that is kept alive."""
    import urllib3

    pool = urllib3.HTTPSConnectionPool("localhost", int(port), ca_certs=ca, retries=False)
    return lambda: pool.request("GET", "/")


def boto3(port: str, ca: str) -> Call:
    """Ask a server in place of S3 whether a bucket exists."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=f"https://localhost:{port}",
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        verify=ca,
    )
    return lambda: client.head_bucket(Bucket="bucket")


def redis(port: str, ca: str) -> Call:
    """Send PING to a server in place of Redis."""
    import redis

    # Where redis is not installed, mypy knows no type.
    ping: Call = redis.Redis("localhost", int(port), ssl=True, ssl_ca_certs=ca).ping
    return ping


if __name__ == "__main__":
    call = globals()[sys.argv[1]](*sys.argv[3:])
    for _ in range(int(sys.argv[2])):
        call()
