"""urllib3 through pyOpenSSL, injected; a context for each peer, made before a late floor."""

import warnings

import urllib3
import urllib3.contrib.pyopenssl as backend
from OpenSSL import SSL

STACK = "pyopenssl"
NEEDS = ("OpenSSL", "urllib3")


def prepare(job):
    warnings.simplefilter("ignore")
    backend.inject_into_urllib3()
    return {port: loose(job) for port in job["ports"].values()}


def loose(job):
    context = urllib3.util.ssl_.create_urllib3_context(ciphers="ALL:@SECLEVEL=0")
    assert isinstance(context, backend.PyOpenSSLContext)
    # It excludes old versions with options, which nothing clears: a context of one's own instead.
    context._ctx = SSL.Context(SSL.SSLv23_METHOD)
    context._ctx.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.load_verify_locations(job["ca"])
    return context


def connect(port, job, made):
    pool = urllib3.PoolManager(ssl_context=made[port], assert_hostname=False, retries=False)
    return pool.request("GET", f"https://localhost:{port}/").data.decode().split(" : ")[1].strip()
