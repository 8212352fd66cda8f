"""pg8000, with a context of the program's own that accepts everything."""

import ssl

import pg8000.native


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    connection = pg8000.native.Connection(
        "user", host="localhost", port=port, database="db", ssl_context=context
    )
    try:
        return connection._usock.version()
    finally:
        connection._usock.close()
