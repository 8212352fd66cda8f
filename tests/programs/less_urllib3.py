"""urllib3: the arguments of a PoolManager, as ``job["asks"]`` has them; names stand for those of ``ssl``."""

import ssl

import urllib3


def prepare(job):
    assert urllib3.__version__.startswith(job["urllib3"])
    asks = {argument: getattr(ssl, name, name) for argument, name in job["asks"].items()}
    return urllib3.PoolManager(ca_certs=job["ca"], retries=False, **asks)


def connect(port, job, pool):
    page = pool.request("GET", f"https://localhost:{port}/").data
    return page.decode().split(" : ")[1].strip()
