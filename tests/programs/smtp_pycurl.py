"""pycurl: mail by SMTP and STARTTLS, asking for TLS 1.0; libcurl does not tell the version."""

import io

import pycurl


def connect(port, job, made):
    curl = pycurl.Curl()
    curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_0)
    curl.setopt(pycurl.SSL_CIPHER_LIST, "ALL:@SECLEVEL=0")
    curl.setopt(pycurl.USE_SSL, pycurl.USESSL_ALL)
    curl.setopt(pycurl.URL, f"smtp://localhost:{port}/")
    curl.setopt(pycurl.CAINFO, job["ca"])
    curl.setopt(pycurl.WRITEDATA, io.BytesIO())
    curl.perform()
