"""pyqwest, whose rustls has no setting for a version."""

import pyqwest

STACK = "rust_http_clients"
ROW = "pyqwest._pyqwest"
NEEDS = ("pyqwest",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    with open(job["ca"], "rb") as file:
        transport = pyqwest.SyncHTTPTransport(tls_ca_cert=file.read())
    page = pyqwest.SyncClient(transport).get(f"https://localhost:{port}/").text()
    return page.split(" : ")[1].strip()
