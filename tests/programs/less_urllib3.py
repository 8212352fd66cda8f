"""urllib3: ``ssl_version``, which 1.26 takes as it is and 2 turns into a minimum and a maximum."""

import importlib
import ssl

import urllib3


def prepare(job):
    assert urllib3.__version__.startswith(job["urllib3"])
    maker = importlib.import_module(job.get("maker", "urllib3.util.ssl_"))
    context = maker.create_urllib3_context(
        ssl_version=ssl.PROTOCOL_TLSv1, ciphers="ALL:@SECLEVEL=0"
    )
    return urllib3.PoolManager(ca_certs=job["ca"], ssl_context=context, retries=False)


def connect(port, job, pool):
    page = pool.request("GET", f"https://localhost:{port}/").data
    return page.decode().split(" : ")[1].strip()
