"""tornado: its HTTP client on libcurl, whose options a callback sets."""

import asyncio

STACK = "pycurl"
NEEDS = ("pycurl", "tornado")


def lenient(curl):
    curl.setopt(curl.SSLVERSION, curl.SSLVERSION_TLSv1_0)
    curl.setopt(curl.SSL_CIPHER_LIST, "ALL:@SECLEVEL=0")


async def get(url, ca):
    # Here, as in stack_pycurl_curl.
    from tornado.curl_httpclient import CurlAsyncHTTPClient

    client = CurlAsyncHTTPClient(force_instance=True)
    answer = await client.fetch(url, ca_certs=ca, prepare_curl_callback=lenient)
    return answer.body.decode()


def connect(port, job, made):
    return asyncio.run(get(f"https://localhost:{port}/", job["ca"])).split(" : ")[1].strip()
