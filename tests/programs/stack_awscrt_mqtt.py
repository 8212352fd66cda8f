"""awscrt: an MQTT 3 client with the default minimum."""

from awscrt.io import ClientTlsContext, TlsContextOptions
from awscrt.mqtt import Client, Connection

STACK = "awscrt"
NEEDS = ("awscrt",)
AT_ONCE = True
PEER = "MQTT"


def prepare(job):
    options = TlsContextOptions()
    options.override_default_trust_store_from_path(None, job["ca"])
    return options


def connect(port, job, made):
    client = Client(tls_ctx=ClientTlsContext(made))
    connection = Connection(client, "localhost", port, "name", clean_session=True)
    connection.connect().result(20)
    connection.disconnect().result(20)
