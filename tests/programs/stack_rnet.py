"""rnet: a client that impersonates an old Safari when it is made and again at each update."""

import rnet

STACK = "wreq"
ROW = "rnet.rnet"
NEEDS = ("rnet",)
REFUSED = ("1.3",)


def connect(port, job, made):
    client = rnet.BlockingClient(
        verify=False,
        impersonate=rnet.Impersonate.SafariIos17_2,
        min_tls_version=rnet.TlsVersion.TLS_1_0,
    )
    client.update(impersonate=rnet.Impersonate.Safari16)
    return client.get(f"https://localhost:{port}/").text().split(" : ")[1].strip()
