"""requests: an adapter that brings a context, the recipe of its own documentation."""

import ssl

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context


class Lenient(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        context = create_urllib3_context(ciphers="ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        super().init_poolmanager(*args, ssl_context=context, **kwargs)


def prepare(job):
    assert urllib3.__version__.startswith(job["urllib3"])
    session = requests.Session()
    session.mount("https://", Lenient())
    return session


def connect(port, job, session):
    page = session.get(f"https://localhost:{port}/", verify=job["ca"]).text
    return page.split(" : ")[1].strip()
