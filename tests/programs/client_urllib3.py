"""urllib3 2: a minimum below the floor, through its own argument."""

import urllib3
from urllib3.util.ssl_ import create_urllib3_context


def prepare(job):
    assert urllib3.__version__.startswith("2.")
    context = create_urllib3_context(ssl_minimum_version=0x301, ciphers="ALL:@SECLEVEL=0")
    return urllib3.PoolManager(ca_certs=job["ca"], ssl_context=context, retries=False)


def connect(port, job, pool):
    page = pool.request("GET", f"https://localhost:{port}/").data
    return page.decode().split(" : ")[1].strip()
