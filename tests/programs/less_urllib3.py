"""urllib3: ``ssl_version``, which 1.26 takes as it is and 2 turns into a minimum and a maximum."""

import ssl

import urllib3
from urllib3.util.ssl_ import create_urllib3_context


def prepare(job):
    assert urllib3.__version__.startswith(job["urllib3"])
    context = create_urllib3_context(ssl_version=ssl.PROTOCOL_TLSv1, ciphers="ALL:@SECLEVEL=0")
    return urllib3.PoolManager(ca_certs=job["ca"], ssl_context=context, retries=False)


def connect(port, job, pool):
    page = pool.request("GET", f"https://localhost:{port}/").data
    return page.decode().split(" : ")[1].strip()
