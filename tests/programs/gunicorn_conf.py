"""The configuration of gunicorn; ``TEST_JOB`` of the environment says what for."""

import json
import os

job = json.loads(os.environ["TEST_JOB"])

if job["route"] == "early":
    import tlsfloor

    tlsfloor.enforce(job["floor"])

bind = "127.0.0.1:0"
workers = 1
worker_class = job["worker"]
loglevel = "warning"
certfile = keyfile = job["peer"]
ciphers = "ALL:@SECLEVEL=0"
if job["client_certificates"]:
    cert_reqs = 2  # ssl.CERT_REQUIRED
    ca_certs = job["ca"]
if job["shakes_hands_on_connect"]:
    do_handshake_on_connect = True


def ssl_context(conf, default_ssl_context_factory):
    context = default_ssl_context_factory()
    context.minimum_version = 0x301
    return context


def when_ready(server):
    print(server.LISTENERS[0].getsockname()[1], flush=True)
