"""What a program does under an agent: ``traced.py [--gevent] PORT...``, a request to each port.

It asks for as little as it can, and says in one line what it reached, what the agent noted of it,
what a Python that it started reached, and what tlsfloor claims. What OpenTelemetry noted is on
stdout too, from its own console exporter, as JSON of its own.
"""

import sys

if "--gevent" in sys.argv:
    sys.argv.remove("--gevent")
    import gevent.monkey

    gevent.monkey.patch_all()

import json
import os
import ssl
import subprocess
import warnings

import requests
from requests.adapters import HTTPAdapter

import tlsfloor

noted = []


class Lowest(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = 0x301
        context.set_ciphers("ALL:@SECLEVEL=0")
        super().init_poolmanager(*args, **kwargs, ssl_context=context)


def fetch(port):
    with requests.Session() as session:
        session.mount("https://", Lowest())
        try:
            return session.get(f"https://127.0.0.1:{port}/", verify=False, timeout=10).text.strip()
        except requests.exceptions.SSLError as error:
            return str(error)


def fetch_all():
    return [fetch(port) for port in sys.argv[1:]]


def under_ddtrace():
    from ddtrace.trace import TraceFilter, tracer

    class Keep(TraceFilter):
        def process_trace(self, trace):
            noted.extend(span.get_tag("http.url") for span in trace)  # and nothing is sent

    tracer.configure(trace_processors=[Keep()])
    return fetch_all()


def under_elasticapm():
    import elasticapm
    from elasticapm.transport.base import Transport

    class Keep(Transport):
        def queue(self, event_type, data, flush=False):
            if event_type == "span":
                noted.append(data["context"]["http"]["url"])

        def close(self):
            pass

    sys.modules["keep"] = sys.modules["__main__"]
    globals()["Keep"] = Keep
    client = elasticapm.Client(transport_class="keep.Keep")
    client.begin_transaction("traced")
    reached = fetch_all()
    client.end_transaction("traced")
    return reached


def child():
    start = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.py")
    said = subprocess.check_output([sys.executable, start, *sys.argv[1:]])
    return json.loads(said.splitlines()[1])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    under = {"ddtrace": under_ddtrace, "elasticapm": under_elasticapm}
    reached = next((under[name] for name in under if name in sys.modules), fetch_all)()
    status = tlsfloor.status()
    first = os.environ.get("PYTHONPATH", "").split(os.pathsep)[0]
    told = {
        "reached": reached,
        "noted": noted,
        "held": bool(status),
        "child": child(),
        "first": first,
    }
    print(json.dumps({**told, "armings": status.armings, "problems": status.problems}), flush=True)
