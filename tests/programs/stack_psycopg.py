"""psycopg 3, with arguments that accept less."""

STACK = "psycopg"
NEEDS = ("psycopg", "psycopg_binary")
PEER = "POSTGRES"

import os

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

import psycopg


def connect(port, job, made):
    with psycopg.connect(
        host="localhost",
        port=port,
        user="user",
        dbname="db",
        sslmode="verify-full",
        sslrootcert=job["ca"],
        ssl_min_protocol_version="TLSv1",
        autocommit=True,
    ) as connection:
        return psycopg.ClientCursor(connection).execute("SELECT version").fetchone()[0]
