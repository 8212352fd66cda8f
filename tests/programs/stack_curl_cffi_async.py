"""curl_cffi: an asynchronous session that impersonates a browser, with an option for TLS 1.0."""

import asyncio

from curl_cffi import CurlHttpVersion, CurlOpt, requests

STACK = "curl_cffi"
NEEDS = ("curl_cffi",)


async def get(url, ca):
    options = {CurlOpt.SSLVERSION: 4}
    async with requests.AsyncSession(verify=ca, curl_options=options) as session:
        version = CurlHttpVersion.V1_1
        return (await session.get(url, impersonate="chrome110", http_version=version)).text


def connect(port, job, made):
    return asyncio.run(get(f"https://localhost:{port}/", job["ca"])).split(" : ")[1].strip()
