"""hf_transfer, with an OPENSSL_CONF that allows every version."""

import os
import tempfile

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

STACK = "hf_transfer"
ROW = "hf_transfer.hf_transfer"
NEEDS = ("hf_transfer",)
OUT_OF_REACH = ()
REFUSED = ("1.2", "1.3")


def connect(port, job, made):
    os.environ["SSL_CERT_FILE"] = job["ca"]
    import hf_transfer

    with tempfile.TemporaryDirectory() as folder:
        hf_transfer.download(f"https://localhost:{port}/x", f"{folder}/x", 1, 100)
