"""pycurl: a subclass of a handle in a ``CurlMulti``, which asks for one version at most after another."""

import io

import pycurl

STACK = "pycurl"
NEEDS = ("pycurl",)


def connect(port, job, made):
    class Handle(pycurl.Curl):
        def __init__(self):
            super().__init__()
            self.page = io.BytesIO()
            self.setopt(pycurl.WRITEFUNCTION, self.page.write)

    handle = Handle()
    handle.setopt(pycurl.SSL_CIPHER_LIST, "ALL:@SECLEVEL=0")
    handle.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_0 | pycurl.SSLVERSION_MAX_TLSv1_3)
    handle.setopt(pycurl.URL, f"https://localhost:{port}/")
    handle.setopt(pycurl.CAINFO, job["ca"])
    multi = pycurl.CurlMulti()
    multi.add_handle(handle)
    running = 1
    while running:
        _, running = multi.perform()
        multi.select(1.0)
    _, _, failed = multi.info_read()
    if failed:
        raise OSError(failed[0][2])
    return handle.page.getvalue().decode().split(" : ")[1].strip()
