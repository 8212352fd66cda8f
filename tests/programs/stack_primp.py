"""primp, which impersonates Safari."""

import primp

STACK = "rust_http_clients"
ROW = "primp.primp"
NEEDS = ("primp",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    client = primp.Client(ca_cert_file=job["ca"], impersonate="safari_26")
    return client.get(f"https://localhost:{port}/").text.split(" : ")[1].strip()
