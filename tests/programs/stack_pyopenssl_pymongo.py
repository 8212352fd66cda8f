"""pymongo, which prefers pyOpenSSL if it is installed; its peers are not MongoDB, and hang up."""

import os

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

import pymongo
from pymongo.errors import ServerSelectionTimeoutError

STACK = "pyopenssl"
NEEDS = ("OpenSSL", "pymongo", "service_identity")
AT_ONCE = True


def connect(port, job, made):
    client = pymongo.MongoClient(
        f"mongodb://localhost:{port}/",
        tls=True,
        tlsCAFile=job["ca"],
        serverSelectionTimeoutMS=500,
        tlsDisableOCSPEndpointCheck=True,
    )
    try:
        client.admin.command("ping")
    except ServerSelectionTimeoutError:
        return None  # whether TLS came to be is the peer's to say
    finally:
        client.close()
