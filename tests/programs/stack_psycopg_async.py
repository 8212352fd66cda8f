"""psycopg 3's asynchronous class, over ctypes; a URI and a class made before a late floor."""

STACK = "psycopg"
NEEDS = ("psycopg", "psycopg_binary")
PEER = "POSTGRES"

import asyncio
import ctypes.util
import importlib.util
import os

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")
os.environ["PSYCOPG_IMPL"] = "python"

# The libpq of the wheel: not every machine has one of its own.
_site = os.path.dirname(os.path.dirname(importlib.util.find_spec("psycopg_binary").origin))
_libs = os.path.join(_site, "psycopg_binary.libs")
_libpq = next(name for name in os.listdir(_libs) if name.startswith("libpq"))
_find_library = ctypes.util.find_library


def find_library(name):
    return os.path.join(_libs, _libpq) if name == "pq" else _find_library(name)


ctypes.util.find_library = find_library

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
