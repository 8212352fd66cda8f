"""awscrt: an MQTT 5 client that asks for SSL 3.0."""

import queue

from awscrt import mqtt5
from awscrt.io import ClientTlsContext, TlsContextOptions, TlsVersion

STACK = "awscrt"
NEEDS = ("awscrt",)
AT_ONCE = True
PEER = "MQTT"


def prepare(job):
    options = TlsContextOptions()
    options.override_default_trust_store_from_path(None, job["ca"])
    options.min_tls_ver = TlsVersion.SSLv3
    return options


def connect(port, job, made):
    events = queue.Queue()
    client = mqtt5.Client(
        mqtt5.ClientOptions(
            host_name="localhost",
            port=port,
            tls_ctx=ClientTlsContext(made),
            connect_options=mqtt5.ConnectPacket(client_id="name"),
            on_lifecycle_event_connection_success_fn=lambda data: events.put(None),
            on_lifecycle_event_connection_failure_fn=lambda data: events.put(data.exception),
            on_lifecycle_event_stopped_fn=lambda data: events.put("stopped"),
        )
    )
    client.start()
    failure = events.get(timeout=20)
    client.stop()
    while events.get(timeout=20) != "stopped":
        pass
    if failure:
        raise failure
