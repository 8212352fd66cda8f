"""psycopg2, with arguments that accept less."""

STACK = "psycopg2"
NEEDS = ("psycopg2",)
PEER = "POSTGRES"

import os

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

from psycopg2 import connect as connect_to


def connect(port, job, made):
    connection = connect_to(
        host="localhost",
        port=port,
        user="user",
        dbname="db",
        sslmode="verify-full",
        sslrootcert=job["ca"],
        ssl_min_protocol_version="TLSv1",
    )
    try:
        return connection.info.ssl_attribute("protocol")
    finally:
        connection.close()
