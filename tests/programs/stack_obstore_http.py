"""obstore, which contains rustls: TLS 1.2 with ECDHE is its lowest."""

import obstore
from obstore.store import HTTPStore

STACK = "obstore"
NEEDS = ("obstore",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    store = HTTPStore(
        f"https://localhost:{port}",
        client_options={"allow_invalid_certificates": True},
        retry_config={"max_retries": 0},
    )
    page = bytes(obstore.get(store, "x").bytes())
    return page.decode().split(" : ")[1].strip()
