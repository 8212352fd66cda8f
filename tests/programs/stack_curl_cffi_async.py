"""curl_cffi: an asynchronous session that impersonates a browser, with TLS 1.0 for an option."""

import asyncio

from curl_cffi import CurlOpt, requests

STACK = "curl_cffi"
NEEDS = ("curl_cffi",)


async def get(url, ca):
    options = {CurlOpt.SSLVERSION: 4}
    async with requests.AsyncSession(
        verify=ca, curl_options=options, impersonate="chrome", http_version="v1"
    ) as session:
        return (await session.get(url)).text


def connect(port, job, made):
    return asyncio.run(get(f"https://localhost:{port}/", job["ca"])).split(" : ")[1].strip()
