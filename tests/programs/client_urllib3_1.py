"""urllib3 1.26: its own context, lowered, since it has no argument for the minimum yet."""

import ssl

import urllib3
from urllib3.util.ssl_ import create_urllib3_context


def prepare(job):
    assert urllib3.__version__.startswith("1.26.")
    context = create_urllib3_context(ciphers="ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    return urllib3.PoolManager(ca_certs=job["ca"], ssl_context=context, retries=False)


def connect(port, job, pool):
    page = pool.request("GET", f"https://localhost:{port}/").data
    return page.decode().split(" : ")[1].strip()
