"""The part of the probe that tries other libraries than ssl: a function for each, which returns the version.

The launcher passes it to the interpreter under test in front of probe.py, in one text. So the functions can use what
probe.py defines, and nothing is imported here before probe.py has removed the current folder from the path.
"""


def version_in(page):
    """Return the version that the page of a peer names."""
    if isinstance(page, bytes):
        page = page.decode("ascii")
    return page.split("Protocol : ")[1].strip()


def version_in_error(error):
    """Return the version in an error that a peer sent. An error without one is of the library itself."""
    import re

    found = re.search(r"Protocol : ([\w.]+)", str(error))
    if not found:
        raise error
    return found.group(1)


def url(case):
    return "https://localhost:%d/" % case["port"]


def library_context(case, job):
    """Return the context that a program passes to a library to ask for less, None if it asks for nothing."""
    import ssl

    return make_context(ssl, "client", case["setup"], job) if case["setup"] != "default" else None


def through_urllib3(case, job):
    import urllib3

    context = library_context(case, job)
    options = {"ssl_context": context} if context else {"ca_certs": job["ca"]}
    pool = urllib3.PoolManager(retries=False, timeout=job["timeout"], cert_reqs="CERT_REQUIRED", **options)
    return version_in(pool.request("GET", url(case)).data)


def through_requests(case, job):
    import requests

    context = library_context(case, job)
    session = requests.Session()
    session.trust_env = False
    if context:
        session.get_adapter(url(case)).init_poolmanager(1, 1, ssl_context=context)
    return version_in(session.get(url(case), verify=job["ca"], timeout=job["timeout"]).text)


def through_botocore(case, job):
    import botocore.awsrequest
    import botocore.httpsession

    context = library_context(case, job)
    session = botocore.httpsession.URLLib3Session(verify=job["ca"], timeout=job["timeout"])
    if context:
        session._manager.connection_pool_kw["ssl_context"] = context
    return version_in(session.send(botocore.awsrequest.AWSRequest("GET", url(case)).prepare()).content)


def through_redis(case, job):
    import redis
    import ssl

    options = {}
    if case["setup"] != "default":
        ciphers = ask_for_everything(default_context(ssl, "client", job).set_ciphers, ssl.SSLError)
        options = {"ssl_min_version": ssl.TLSVersion.TLSv1, "ssl_ciphers": ciphers}
    try:
        connection = redis.SSLConnection(
            host="localhost", port=case["port"], ssl_ca_certs=job["ca"], socket_timeout=job["timeout"], **options
        )
    except TypeError as error:  # an older redis-py without these arguments
        raise Absent(str(error))
    try:
        connection.connect()
        return connection._sock.version()
    finally:
        connection.disconnect()


def through_aiohttp(case, job):
    import asyncio
    import aiohttp
    import ssl

    names = {}
    # Python 2.7 cannot parse "async def", and has to parse this file.
    exec(
        "async def get(client, url, context):\n"
        "    async with client() as session:\n"
        "        async with session.get(url, ssl=context) as response:\n"
        "            return await response.text()\n",
        names,
    )
    context = make_context(ssl, "client", case["setup"], job)
    return version_in(asyncio.run(names["get"](aiohttp.ClientSession, url(case), context)))


def through_httpx(case, job):
    import httpx
    import ssl

    context = make_context(ssl, "client", case["setup"], job)
    with httpx.Client(verify=context, timeout=job["timeout"], trust_env=False) as client:
        return version_in(client.get(url(case)).text)


def through_OpenSSL(case, job):
    from OpenSSL import SSL

    context = SSL.Context(getattr(SSL, "TLS_METHOD", SSL.SSLv23_METHOD))
    context.load_verify_locations(job["ca"])
    context.set_verify(SSL.VERIFY_PEER, lambda *arguments: arguments[-1])
    if case["setup"] != "default":
        ask_for_everything(lambda text: context.set_cipher_list(text.encode("ascii")), SSL.Error)
        if hasattr(context, "set_min_proto_version"):
            context.set_min_proto_version(0)  # the lowest that there is (OpenSSL, SSL_CTX_set_min_proto_version)
    with connect(case, job) as plain:
        plain.settimeout(None)  # with a timeout pyOpenSSL raises WantReadError in place of waiting
        tls = SSL.Connection(context, plain)
        tls.set_tlsext_host_name(b"localhost")
        tls.set_connect_state()
        tls.sendall(REQUEST)
        return tls.get_protocol_version_name() if tls.recv(100) else ""


def through_pycurl(case, job):
    import io
    import pycurl

    body = io.BytesIO()
    with contextlib.closing(pycurl.Curl()) as curl:
        curl.setopt(pycurl.URL, url(case))
        curl.setopt(pycurl.CAINFO, job["ca"])
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.TIMEOUT, int(job["timeout"]) or 1)
        curl.setopt(pycurl.WRITEFUNCTION, body.write)
        if case["setup"] != "default":
            curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_0)
            # curl looks at the suites only after it has connected, so they cannot be tried first.
            levels = "OpenSSL/" in pycurl.version and "OpenSSL/1.0." not in pycurl.version
            curl.setopt(pycurl.SSL_CIPHER_LIST, EVERYTHING[0 if levels else 1])
        curl.perform()
    return version_in(body.getvalue())


def through_awscrt(case, job):
    import awscrt.http
    import awscrt.io

    options = awscrt.io.TlsContextOptions()
    options.override_default_trust_store_from_path(None, job["ca"])
    if case["setup"] != "default":
        options.min_tls_ver = awscrt.io.TlsVersion.SSLv3
    tls = awscrt.io.ClientTlsContext(options).new_connection_options()
    tls.set_server_name("localhost")
    connecting = awscrt.http.HttpClientConnection.new(
        host_name="localhost", port=case["port"], tls_connection_options=tls
    )
    connection = connecting.result(job["timeout"])
    body = bytearray()
    request = awscrt.http.HttpRequest("GET", "/")
    stream = connection.request(request, on_body=lambda http_stream, chunk: body.extend(chunk))
    stream.activate()
    stream.completion_future.result(job["timeout"])
    return version_in(bytes(body))


def libpq_options(case, job, version):
    """Return how a program connects by libpq. It has no setting for cipher suites."""
    options = {"sslmode": "verify-full", "sslrootcert": job["ca"], "connect_timeout": int(job["timeout"]) or 1}
    options.update(host="localhost", hostaddr="127.0.0.1", port=case["port"], user="tlsfloor", dbname="tlsfloor")
    if case["setup"] != "default":
        if version < 130000:
            raise Absent("libpq %d has no ssl_min_protocol_version" % version)
        options["ssl_min_protocol_version"] = "TLSv1"  # the lowest that it knows
    return options


def through_psycopg(case, job):
    import psycopg

    with contextlib.closing(psycopg.connect(**libpq_options(case, job, psycopg.pq.version()))) as connection:
        return connection.info.parameter_status("tls_version")


def through_psycopg2(case, job):
    import psycopg2.extensions

    options = libpq_options(case, job, psycopg2.extensions.libpq_version())
    with contextlib.closing(psycopg2.connect(**options)) as connection:
        return connection.get_parameter_status("tls_version")


def new_file(data):
    """Return a file with some data, and its path. It is in memory where Python can do that: a disk may be read-only."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("tlsfloor")
        path = "/proc/self/fd/%d" % file
    else:
        import tempfile

        file, path = tempfile.mkstemp()
    os.write(file, data)
    return file, path


def through_MySQLdb(case, job):
    import MySQLdb

    options = {"host": "127.0.0.1", "port": case["port"], "user": "tlsfloor", "ssl": {"ca": job["ca"]}}
    options["connect_timeout"] = int(job["timeout"]) or 1
    file, path = None, ""
    if case["setup"] != "default":
        # There is no argument for the version. MySQL and MariaDB have different names for TLS 1.0.
        file, path = new_file(b"[client]\ntls_version=TLSv1,TLSv1.0,TLSv1.1,TLSv1.2,TLSv1.3\n")
        options["read_default_file"] = path
        options["ssl"]["cipher"] = EVERYTHING[0]
    try:
        MySQLdb.connect(**options).close()
    except MySQLdb.OperationalError as error:
        return version_in_error(error)
    finally:
        if file is not None:
            os.close(file)
        if path and not path.startswith("/proc/"):
            os.remove(path)


def through_ldap(case, job):
    import ldap

    connection = ldap.initialize("ldaps://127.0.0.1:%d" % case["port"])  # libldap renames localhost
    connection.set_option(ldap.OPT_TIMEOUT, job["timeout"])  # not for the handshake, which only the peer can end
    connection.set_option(ldap.OPT_X_TLS_CACERTFILE, job["ca"])
    if case["setup"] != "default":
        gnutls = ldap.get_option(ldap.OPT_X_TLS_PACKAGE) == "GnuTLS"  # without security levels
        connection.set_option(ldap.OPT_X_TLS_PROTOCOL_MIN, 0x300)
        connection.set_option(ldap.OPT_X_TLS_CIPHER_SUITE, "NORMAL:+VERS-TLS-ALL" if gnutls else EVERYTHING[0])
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    try:
        connection.simple_bind_s()
    except ldap.INVALID_CREDENTIALS as error:
        return version_in_error(error)
    finally:
        connection.unbind_s()


def through_confluent_kafka(case, job):
    import confluent_kafka.admin

    errors = []
    options = {"bootstrap.servers": "127.0.0.1:%d" % case["port"], "error_cb": errors.append, "log_level": 0}
    options.update({"security.protocol": "ssl", "ssl.ca.location": job["ca"]})
    if case["setup"] != "default":
        options["ssl.cipher.suites"] = EVERYTHING[0]  # it has no setting for a minimum
    client = confluent_kafka.admin.AdminClient(options)
    end, wait = time.time() + job["timeout"], 0.01
    while True:  # the client itself tries to connect for ever
        try:
            return client.list_topics(timeout=wait).cluster_id
        except confluent_kafka.KafkaException:
            client.poll(0)  # it calls error_cb
            if errors or time.time() > end:
                raise RuntimeError(", ".join(map(str, errors)) or "timed out")
            wait *= 2


def through_grpc(case, job):
    import grpc

    with open(job["ca"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    options = [("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0), ("grpc.ssl_target_name_override", "localhost")]
    with contextlib.closing(grpc.secure_channel("127.0.0.1:%d" % case["port"], credentials, options)) as channel:
        try:
            channel.unary_unary("/tlsfloor/version")(b"", timeout=job["timeout"])
        except grpc.RpcError as error:
            return version_in_error(error)


def through_pygit2(case, job):
    import pygit2
    import shutil
    import tempfile

    for name in ("server_connect_timeout", "server_timeout"):
        if hasattr(pygit2.settings, name):
            setattr(pygit2.settings, name, int(job["timeout"] * 1000))
    pygit2.settings.set_ssl_cert_locations(job["ca"], None)
    if case["setup"] != "default":
        if not hasattr(pygit2.settings, "set_ssl_ciphers"):
            raise Absent("no pygit2.settings.set_ssl_ciphers")
        pygit2.settings.set_ssl_ciphers(EVERYTHING[0])
    folder = None
    try:
        collection = getattr(getattr(pygit2, "remotes", None), "RemoteCollection", None)
        if hasattr(collection, "create_anonymous"):
            pygit2.Repository().remotes.create_anonymous(url(case)).connect()  # in memory
        else:
            folder = tempfile.mkdtemp()
            pygit2.init_repository(folder).remotes.create("origin", url(case)).fetch()
    except pygit2.GitError as error:
        return version_in_error(error)
    finally:
        if folder:
            shutil.rmtree(folder)
