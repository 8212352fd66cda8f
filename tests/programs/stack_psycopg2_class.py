"""psycopg2: a subclass that a program uses directly; the environment accepts less."""

STACK = "psycopg2"
NEEDS = ("psycopg2",)
PEER = "POSTGRES"

import os

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")
os.environ["PGSSLMINPROTOCOLVERSION"] = "TLSv1"

from psycopg2.extensions import connection


def prepare(job):
    class Connection(connection):
        def __init__(self, name, dsn):
            super().__init__(dsn)
            self.name = name

    return Connection


def connect(port, job, kind):
    options = f"sslmode=verify-full sslrootcert='{job['ca']}'"
    made = kind("mine", f"host=localhost port={port} user=user dbname=db {options}")
    assert isinstance(made, connection)
    try:
        return made.info.ssl_attribute("protocol")
    finally:
        made.close()
