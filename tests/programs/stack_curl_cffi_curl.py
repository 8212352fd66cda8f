"""curl_cffi: a handle that was set to TLS 1.0 before a late floor, and a copy of it."""

import io

from curl_cffi import Curl, CurlOpt

STACK = "curl_cffi"
NEEDS = ("curl_cffi",)


def prepare(job):
    curl = Curl(cacert=job["ca"])
    curl.setopt(CurlOpt.SSLVERSION, 4)
    return curl


def connect(port, job, made):
    page = io.BytesIO()
    curl = made.duphandle()
    curl.setopt(CurlOpt.URL, f"https://localhost:{port}/".encode())
    curl.setopt(CurlOpt.WRITEDATA, page)
    curl.perform()
    return page.getvalue().decode().split(" : ")[1].strip()
