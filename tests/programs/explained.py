"""Connects with a context that asks for less: ``explained.py LIBRARY PORT CA LOW HIGH [PROXY]``.

LOW and HIGH are bounds of the context, 0 for none; LOW "fixed" is TLS 1.0 and no other. PROXY is
the port of an HTTP proxy on the way. It prints as JSON what a user sees of the error: the last line
of the traceback, and the text; and of the SSLError beneath it what other programs look at.
"""

import asyncio
import copy
import json
import pickle
import ssl
import sys
import traceback
import warnings

library, port, ca, low, high, *proxy = sys.argv[1:]
proxy = f"http://127.0.0.1:{proxy[0]}" if proxy else None
url = f"https://localhost:{port}/"


def context():
    if low == "fixed":
        made = ssl.SSLContext(ssl.PROTOCOL_TLSv1)
        made.load_verify_locations(ca)
    else:
        made = ssl.create_default_context(cafile=ca)
        if int(low):
            made.minimum_version = int(low)
        if int(high):
            made.maximum_version = int(high)
    made.set_ciphers("ALL:@SECLEVEL=0")
    return made


def by_ssl():
    import socket

    context().wrap_socket(
        socket.create_connection(("localhost", port)), server_hostname="localhost"
    )


def by_http_client():
    import http.client

    connection = http.client.HTTPSConnection("localhost", int(port), context=context())
    if proxy:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", int(proxy.split(":")[-1]), context=context()
        )
        connection.set_tunnel("localhost", int(port))
    connection.request("GET", "/")
    connection.getresponse()


def by_urllib_request():
    import urllib.request

    urllib.request.urlopen(url, context=context())


def by_smtplib():
    import smtplib

    smtplib.SMTP_SSL("localhost", int(port), context=context())


def by_gevent():
    from gevent import monkey

    monkey.patch_all()
    by_urllib_request()


def by_eventlet():
    import eventlet

    eventlet.monkey_patch()
    by_urllib_request()


def by_urllib3():
    import urllib3

    if proxy:
        pool = urllib3.ProxyManager(proxy, ssl_context=context(), retries=False)
    else:
        pool = urllib3.PoolManager(ssl_context=context(), retries=False)
    pool.request("GET", url)


def by_requests():
    import requests
    import requests.adapters

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args, **kwargs):
            super().init_poolmanager(*args, **kwargs, ssl_context=context())

        def proxy_manager_for(self, *args, **kwargs):
            return super().proxy_manager_for(*args, **kwargs, ssl_context=context())

    session = requests.Session()
    session.mount("https://", Adapter(max_retries=1))
    session.get(url, verify=ca, proxies={"https": proxy} if proxy else {})


def by_httpx():
    import httpx

    httpx.Client(verify=context(), proxy=proxy, trust_env=False).get(url)


async def httpx_async():
    import httpx

    async with httpx.AsyncClient(verify=context(), proxy=proxy, trust_env=False) as client:
        await client.get(url)


def by_httpx_asyncio():
    asyncio.run(httpx_async())


def by_httpx_uvloop():
    import uvloop

    uvloop.install()
    by_httpx_asyncio()


def by_anyio():
    import anyio

    async def connect():
        await anyio.connect_tcp("localhost", int(port), ssl_context=context(), tls=True)

    anyio.run(connect)


def by_trio():
    import trio

    async def connect():
        stream = await trio.open_ssl_over_tcp_stream("localhost", int(port), ssl_context=context())
        await stream.do_handshake()

    trio.run(connect)


def by_ldap3():
    import ldap3

    class Tls(ldap3.Tls):
        def wrap_socket(self, connection, do_handshake=False):
            connection.socket = context().wrap_socket(
                connection.socket, server_hostname="localhost"
            )

    server = ldap3.Server("localhost", int(port), use_ssl=True, tls=Tls())
    ldap3.Connection(server).open()


def careless_botocore():
    import botocore.httpsession

    made = botocore.httpsession.create_urllib3_context

    def careless(*args, **kwargs):
        given = made(*args, **kwargs)
        given.minimum_version = int(low)
        given.set_ciphers("ALL:@SECLEVEL=0")
        return given

    botocore.httpsession.create_urllib3_context = careless


def s3(make, config):
    return make(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        verify=ca,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        config=config,
    )


def by_botocore():
    import botocore.config
    import botocore.session

    careless_botocore()
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    s3(botocore.session.get_session().create_client, config).list_buckets()


def by_boto3():
    import boto3
    import botocore.config

    careless_botocore()
    proxies = {"https": proxy} if proxy else {}
    config = botocore.config.Config(retries={"total_max_attempts": 2}, proxies=proxies)
    s3(boto3.client, config).list_buckets()


REDIS = {"port": int(port), "ssl": True, "ssl_ca_certs": ca, "ssl_ciphers": "ALL:@SECLEVEL=0"}


def by_redis():
    import redis

    redis.Redis("localhost", ssl_min_version=ssl.TLSVersion(int(low)), **REDIS).ping()


def by_redis_asyncio():
    import redis.asyncio

    async def ping():
        async with redis.asyncio.Redis(
            host="localhost", ssl_min_version=ssl.TLSVersion(int(low)), **REDIS
        ) as client:
            await client.ping()

    asyncio.run(ping())


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


def beneath(error):
    """Return the SSLError that is wrapped in another error."""
    left = [error]
    while left:
        error = left.pop()
        if type(error).__module__ in ("ssl", "tlsfloor.errors"):
            return error
        others = (error.__cause__, error.__context__, getattr(error, "reason", None))
        left += [each for each in others if isinstance(each, BaseException)]
        left += [each for each in error.args if isinstance(each, BaseException)]
    return None


def look(error):
    """Return what programs look at, and whether it survives being copied and pickled."""
    again = [pickle.loads(pickle.dumps(error)), copy.copy(error)]
    facts = {
        "class": type(error).__name__,
        "reason": error.reason,
        "library": error.library,
        "errno": error.errno,
        "text": str(error),
        "strerror": error.strerror,
        "args": list(error.args),
        "notes": getattr(error, "__notes__", []),
    }
    whole = (str(error), error.args, vars(error), type(error))
    facts["copies"] = all((str(e), e.args, vars(e), type(e)) == whole for e in again)
    return facts


warnings.simplefilter("ignore")
try:
    globals()[f"by_{library}"]()
    print(json.dumps({"reached": True}))
except Exception as error:
    lines = traceback.format_exc().splitlines()
    told = {"class": type(error).__name__, "text": str(error), "last": lines[-1], "lines": lines}
    found = beneath(error)
    print(json.dumps({**told, "beneath": found and look(found)}))
