"""A client whose handshakes OpenTelemetry counts: ``metered.py WHEN PORT...``.

It prints the points of tlsfloor's metrics as JSON. WHEN says when it loads OpenTelemetry and sets a
meter provider: ``first``, before anything of TLS; ``provider-last``, it sets the provider after its
last connection; ``loaded-last``, it loads OpenTelemetry after its first connection; ``gevent``,
first, with gevent's ssl; ``fork``, first, and a child connects.
"""

import json
import os
import socket
import sys

when, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]


readers = []


def provide():
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    readers.append(InMemoryMetricReader())
    metrics.set_meter_provider(MeterProvider(readers))


def connect(port):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    plain = socket.create_connection(("127.0.0.1", port), 10)
    try:
        context.wrap_socket(plain, server_hostname="localhost").close()
    except ssl.SSLError:
        plain.close()


def points():
    found = []
    for resource in readers[0].get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    found.append([metric.name, dict(point.attributes), point.value])
    return found


if when == "gevent":
    from gevent import monkey

    monkey.patch_all()
if when == "provider-last":
    from opentelemetry import metrics  # noqa: F401
elif when != "loaded-last":
    provide()
for port in ports:
    connect(port)
if when == "fork" and os.fork():
    os.wait()
    sys.exit()
if when in ("provider-last", "loaded-last"):
    provide()
if when in ("loaded-last", "fork"):
    for port in ports:
        connect(port)
print(json.dumps(points()))
