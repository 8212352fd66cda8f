"""awscrt: an MQTT 5 client that asks for SSL 3.0; it does not report the version."""

import threading

from awscrt import mqtt5
from awscrt.io import ClientTlsContext, TlsContextOptions, TlsVersion

STACK = "awscrt"
NEEDS = ("awscrt",)
PEER = "MQTT"


def connect(port, job, made):
    options = TlsContextOptions()
    options.override_default_trust_store_from_path(None, job["ca"])
    options.min_tls_ver = TlsVersion.SSLv3
    done, stopped, failures = threading.Event(), threading.Event(), []

    def note(data):
        failures.append(data.exception)
        done.set()

    client = mqtt5.Client(
        mqtt5.ClientOptions(
            host_name="localhost",
            port=port,
            tls_ctx=ClientTlsContext(options),
            connect_options=mqtt5.ConnectPacket(client_id="name"),
            on_lifecycle_event_connection_failure_fn=note,
            on_lifecycle_event_connection_success_fn=lambda data: done.set(),
            on_lifecycle_event_stopped_fn=lambda data: stopped.set(),
        )
    )
    client.start()
    assert done.wait(20)
    client.stop()
    assert stopped.wait(20)
    if failures:
        raise failures[0]
