"""wreq: TLS 1.0 is set by a client, and by its TlsOptions, which win."""

import wreq
import wreq.blocking

STACK = "wreq"
ROW = "wreq.wreq"
NEEDS = ("wreq",)


def connect(port, job, made):
    oldest = wreq.TlsVersion.TLS_1_0
    options = {"tls_options": wreq.TlsOptions(min_tls_version=oldest)} if port % 2 else {}
    client = wreq.blocking.Client(tls_verify=False, tls_min_version=oldest, **options)
    return client.get(f"https://localhost:{port}/").text().split(" : ")[1].strip()
