"""Connects with a context that asks for less: ``explained.py LIBRARY PORT CA LOW HIGH``.

LOW and HIGH are bounds of the context, 0 for none. It prints what it reached, or the traceback.
"""

import asyncio
import ssl
import sys
import traceback
import warnings

library, port, ca, low, high = sys.argv[1:]
url = f"https://localhost:{port}/"


def context():
    made = ssl.create_default_context(cafile=ca)
    if int(low):
        made.minimum_version = int(low)
    if int(high):
        made.maximum_version = int(high)
    made.set_ciphers("ALL:@SECLEVEL=0")
    return made


def by_ssl():
    import http.client

    connection = http.client.HTTPSConnection("localhost", int(port), context=context())
    connection.request("GET", "/")
    connection.getresponse()


def by_urllib3():
    import urllib3

    urllib3.PoolManager(ssl_context=context(), retries=False).request("GET", url)


def by_requests():
    import requests
    import requests.adapters

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args, **kwargs):
            super().init_poolmanager(*args, **kwargs, ssl_context=context())

    session = requests.Session()
    session.mount("https://", Adapter())
    session.get(url, verify=ca)


def by_botocore():
    import botocore.config
    import botocore.httpsession
    import botocore.session

    made = botocore.httpsession.create_urllib3_context

    def careless(*args, **kwargs):
        given = made(*args, **kwargs)
        given.minimum_version = int(low)
        given.set_ciphers("ALL:@SECLEVEL=0")
        return given

    botocore.httpsession.create_urllib3_context = careless
    client = botocore.session.get_session().create_client(
        "s3",
        "us-east-1",
        endpoint_url=url,
        verify=ca,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )
    client.list_buckets()


def by_redis():
    import redis

    options = {"ssl_min_version": ssl.TLSVersion(int(low)), "ssl_ciphers": "ALL:@SECLEVEL=0"}
    redis.Redis("localhost", int(port), ssl=True, ssl_ca_certs=ca, **options).ping()


def by_aiohttp():
    import aiohttp

    async def get():
        async with aiohttp.ClientSession() as session:
            await session.get(url, ssl=context())

    asyncio.run(get())


def by_asyncio():
    async def connect():
        reader, writer = await asyncio.open_connection("localhost", int(port), ssl=context())
        writer.close()

    asyncio.run(connect())


warnings.simplefilter("ignore")
try:
    globals()[f"by_{library}"]()
    print("reached")
except Exception as error:
    traceback.print_exc(file=sys.stdout)
    notes = []
    while error is not None:
        notes += getattr(error, "__notes__", [])
        for each in error.args:  # urllib3 carries what it met in an argument too
            notes += getattr(getattr(each, "reason", None), "__notes__", [])
        error = error.__cause__ or error.__context__
    print("notes:", *notes)
