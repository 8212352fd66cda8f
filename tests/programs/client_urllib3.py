"""urllib3: the minimum lowered through its own argument, the version read from the page."""

import urllib3
from urllib3.util import Retry


def prepare(job):
    return urllib3.PoolManager(
        ca_certs=job["ca"],
        ssl_minimum_version=0x301,
        ssl_maximum_version=0x304,
        retries=Retry(0),
    )


def connect(port, job, pool):
    page = pool.request("GET", f"https://localhost:{port}/").data
    return page.decode().split("Protocol : ")[1].strip()
