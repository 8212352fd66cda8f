"""psycopg 3's asynchronous class, over ctypes; a URI and a class made before a late floor."""

STACK = "psycopg"
NEEDS = ("psycopg", "psycopg_binary")
PEER = "POSTGRES"

import asyncio
import os

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

import wheel_libpq

wheel_libpq.use()

import psycopg


def prepare(job):
    class Connection(psycopg.AsyncConnection):
        pass

    return Connection.connect


async def version(connect_to, uri):
    connection = await connect_to(uri, autocommit=True)
    async with connection:
        cursor = await psycopg.AsyncClientCursor(connection).execute("SELECT version")
        return (await cursor.fetchone())[0]


def connect(port, job, connect_to):
    assert psycopg.pq.__impl__ == "python"
    options = f"sslmode=verify-full&sslrootcert={job['ca']}&ssl_min_protocol_version=tlsv1"
    return asyncio.run(version(connect_to, f"postgresql://user@localhost:{port}/db?{options}"))
