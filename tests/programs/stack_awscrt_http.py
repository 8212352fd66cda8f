"""awscrt: an HTTP client with the default minimum, which is TLS 1.0."""

from awscrt.http import HttpClientConnection, HttpRequest
from awscrt.io import ClientTlsContext, TlsContextOptions

STACK = "awscrt"
NEEDS = ("awscrt",)


def get(port, connection_options):
    connection_options.set_server_name("localhost")
    connection = HttpClientConnection.new(
        host_name="localhost", port=port, tls_connection_options=connection_options
    ).result(20)
    page = bytearray()
    stream = connection.request(
        HttpRequest("GET", "/"), on_body=lambda http_stream, chunk: page.extend(chunk)
    )
    stream.activate()
    stream.completion_future.result(20)
    return page.decode().split(" : ")[1].strip()


def prepare(job):
    options = TlsContextOptions()
    options.override_default_trust_store_from_path(None, job["ca"])
    return options


def connect(port, job, options):
    return get(port, ClientTlsContext(options).new_connection_options())
