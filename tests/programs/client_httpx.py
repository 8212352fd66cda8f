"""httpx: a client that verifies with a context of the program's own."""

import ssl

import httpx


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return httpx.Client(verify=context)


def connect(port, job, client):
    return client.get(f"https://localhost:{port}/").text.split(" : ")[1].strip()
