"""impit, whose rustls has no setting for a version."""

import impit

STACK = "rust_http_clients"
ROW = "impit.impit"
NEEDS = ("impit",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    page = impit.Client(verify=False).get(f"https://localhost:{port}/").text
    return page.split(" : ")[1].strip()
