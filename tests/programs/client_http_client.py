"""``http.client``: an HTTPSConnection that is given a context."""

import http.client
import ssl


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    connection = http.client.HTTPSConnection("localhost", port, context=context)
    try:
        connection.connect()
        version = connection.sock.version()
        connection.request("GET", "/")
        assert version in connection.getresponse().read().decode()
        return version
    finally:
        connection.close()
