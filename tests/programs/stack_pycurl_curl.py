"""pycurl: a handle that is reset and copied, and asks for TLS 1.0 each time."""

import io

STACK = "pycurl"
NEEDS = ("pycurl",)


def connect(port, job, made):
    # Here, since a late floor finds it uncovered once it was imported: see test_stack_libcurl.
    import pycurl
    from pycurl import Curl

    page = io.BytesIO()
    first = Curl()
    first.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_0 | pycurl.SSLVERSION_MAX_DEFAULT)
    first.reset()
    curl = first.duphandle()
    curl.setopt(curl.SSLVERSION, pycurl.SSLVERSION_TLSv1)
    curl.setopt(pycurl.SSL_CIPHER_LIST, "ALL:@SECLEVEL=0")
    curl.setopt(pycurl.URL, f"https://localhost:{port}/")
    curl.setopt(pycurl.CAINFO, job["ca"])
    curl.setopt(pycurl.WRITEDATA, page)
    curl.perform()
    return page.getvalue().decode().split(" : ")[1].strip()
