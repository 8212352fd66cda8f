"""awscrt: an HTTP client that asks for TLS 1.0, in a subclass, with asyncio."""

import asyncio

from awscrt.aio.http import AIOHttpClientConnection
from awscrt.http import HttpRequest
from awscrt.io import ClientTlsContext, TlsContextOptions, TlsVersion

STACK = "awscrt"
NEEDS = ("awscrt", "awscrt.aio")


class Lenient(ClientTlsContext):
    def __init__(self, ca):
        options = TlsContextOptions()
        options.override_default_trust_store_from_path(None, ca)
        options.min_tls_ver = TlsVersion.TLSv1
        super().__init__(options)


async def get(port, connection_options):
    connection_options.set_server_name("localhost")
    connection = await AIOHttpClientConnection.new(
        host_name="localhost", port=port, tls_connection_options=connection_options
    )
    stream = connection.request(HttpRequest("GET", "/"))
    page = b""
    while True:
        chunk = await stream.get_next_response_chunk()
        if not chunk:
            return page.decode().split(" : ")[1].strip()
        page += chunk


def connect(port, job, made):
    return asyncio.run(asyncio.wait_for(get(port, Lenient(job["ca"]).new_connection_options()), 20))
