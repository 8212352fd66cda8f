"""pycurl: a subclass of a handle in a ``CurlMulti``, by an HTTPS proxy, for TLS 1.0 to 1.3."""

import io

STACK = "pycurl"
NEEDS = ("pycurl",)


def connect(port, job, made):
    import pycurl  # here, as in stack_pycurl_curl

    class Handle(pycurl.Curl):
        def __init__(self):
            super().__init__()
            self.page = io.BytesIO()
            self.setopt(pycurl.WRITEFUNCTION, self.page.write)

    handle = Handle()
    bounds = pycurl.SSLVERSION_TLSv1_0 | pycurl.SSLVERSION_MAX_TLSv1_3
    handle.setopt(pycurl.PROXY_SSLVERSION, bounds)
    handle.setopt(pycurl.PROXY_SSL_CIPHER_LIST, "ALL:@SECLEVEL=0")
    handle.setopt(pycurl.PROXY_CAINFO, job["ca"])
    handle.setopt(pycurl.PROXY, f"https://localhost:{port}")
    handle.setopt(pycurl.URL, "http://example.invalid/")
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
