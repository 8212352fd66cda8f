"""The probe: it runs inside the interpreter under test, tries each case, and prints what happened.

It judges nothing and compares no versions, which is the work of the judge. The launcher passes this file over stdin, so
it is one file of ASCII that CPython 2.7 to 3.15 and PyPy can parse, and it uses the standard library only. Its argument
is a job in JSON:
  {"ca": FILE, "identity": FILE, "timeout": seconds, "cases": [{"id", "role", "library", "setup", "port"}, ...]}
In both roles it connects to the port. As a server it then speaks TLS as a server over that connection, so that the
judge does not have to find out where it listens.
"""
import sys

# The path of a script on stdin begins with the current folder, as an empty name or (PyPy 7.3.5) an absolute one. What lies
# there is not under test, so nothing but built-in modules may be imported before it is removed.
if __name__ == "__main__" and not (getattr(sys.flags, "isolated", 0) or getattr(sys.flags, "safe_path", False)):
    if sys.path[:1] != [""]:
        getcwd = __import__("posix" if "posix" in sys.builtin_module_names else "nt").getcwd
    if sys.path[:1] == [""] or sys.path[:1] == [getcwd()]:
        del sys.path[0]

import contextlib
import json
import os
import platform
import socket
import time

BEGIN, END = "\n<tlsfloor-facts>", "</tlsfloor-facts>\n"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
RESPONSE = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
# All cipher suites at the lowest security level. TLS libraries without security levels (AWS-LC, BoringSSL, OpenSSL 1.0.2)
# refuse the first text and get the second.
EVERYTHING = ("ALL:@SECLEVEL=0", "ALL")
FLAGS = ("ignore_environment", "isolated", "no_site", "no_user_site", "safe_path")


class Absent(Exception):
    """The case needs something that does not exist here, so no program can ask for it."""


def lower(ssl, context):
    """Ask a context for the lowest version that has a name."""
    for name in ("OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1", "OP_NO_TLSv1_2", "OP_NO_TLSv1_3"):
        if context.options & getattr(ssl, name, 0):
            context.options &= ~getattr(ssl, name)
    if hasattr(context, "minimum_version"):
        try:
            context.minimum_version = ssl.TLSVersion.SSLv3
        except (AttributeError, ValueError):  # an OpenSSL without it
            context.minimum_version = ssl.TLSVersion.TLSv1


def ask_for_everything(set_ciphers, refusal):
    """Ask for all cipher suites. ``refusal`` is what ``set_ciphers`` raises for a text that it does not know."""
    try:
        set_ciphers(EVERYTHING[0])
        return EVERYTHING[0]
    except refusal:
        set_ciphers(EVERYTHING[1])
        return EVERYTHING[1]


def default_context(ssl, role, job):
    purpose = ssl.Purpose.CLIENT_AUTH if role == "server" else ssl.Purpose.SERVER_AUTH
    return ssl.create_default_context(purpose, cafile=job["ca"])


def make_context(ssl, role, setup, job):
    name = setup.split(",")[0]
    needed = name if name.startswith("PROTOCOL_") else "TLSVersion" if name == "MINIMUM_SUPPORTED" else "SSLContext"
    if not hasattr(ssl, needed):
        raise Absent("no ssl." + needed)
    if name.startswith("PROTOCOL_"):
        context = ssl.SSLContext(getattr(ssl, name))
    else:
        context = default_context(ssl, role, job)
    if name == "lowered":
        lower(ssl, context)
    if name == "MINIMUM_SUPPORTED":
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if setup.endswith("@SECLEVEL=0"):
        ask_for_everything(context.set_ciphers, ssl.SSLError)
    if role == "client":
        if name.startswith("PROTOCOL_"):  # a default context has loaded it
            context.load_verify_locations(job["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    elif job["identity"]:
        context.load_cert_chain(job["identity"])
    return context


def connect(case, job):
    plain = socket.create_connection(("127.0.0.1", case["port"]), job["timeout"])
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # otherwise TLS 1.3 waits 40 ms for each request
    return contextlib.closing(plain)


def through_ssl(case, job):
    import ssl

    context = make_context(ssl, case["role"], case["setup"], job)
    is_server = case["role"] == "server"
    name = None if is_server else "localhost"
    with connect(case, job) as plain:
        with contextlib.closing(context.wrap_socket(plain, server_side=is_server, server_hostname=name)) as tls:
            if not is_server:
                tls.sendall(REQUEST)
            received = tls.recv(100)
            if is_server:
                tls.sendall(RESPONSE)
            return tls.version() if received else ""


def version_in(page):
    """Return the version that the page of a peer names."""
    if isinstance(page, bytes):
        page = page.decode("ascii")
    return page.split("Protocol : ")[1].strip()


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


def attempt(case, job):
    """Return what happened: the version that this side saw, or the error and its causes."""
    try:
        try:
            __import__(case["library"])
        except ImportError as error:
            raise Absent(str(error))
        return {"id": case["id"], "version": globals()["through_" + case["library"]](case, job)}
    except Absent as error:
        return {"id": case["id"], "absent": str(error)}
    except Exception as error:
        texts = []
        while error is not None and len(texts) < 8:
            texts.append("%s: %s" % (type(error).__name__, error))
            error = getattr(error, "__cause__", None) or getattr(error, "__context__", None)
        return {"id": case["id"], "error": " < ".join(texts)}


def facts(job):
    """Return what a reader of the report needs to know about this interpreter."""
    found = {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "flags": [name for name in FLAGS if getattr(sys.flags, name, 0)],
        "openssl_conf_variable": os.environ.get("OPENSSL_CONF"),
        "sys_path": sys.path,
        "standard_library": os.path.dirname(os.__file__),
    }
    try:
        import ssl
    except ImportError as error:
        ssl = None
        found["ssl_error"] = str(error)
    # Not before: the import of ssl loads tlsfloor.floor, which replaces this state.
    state = getattr(sys, "_tlsfloor", None) or {}
    if state:
        found["startup_files"] = [each["file"] for each in state.get("files", ())]
        found["arming_failure"] = state.get("failure")
    if ssl is None:
        return found
    found["openssl"] = ssl.OPENSSL_VERSION
    # OPENSSL_VERSION can be the version of the build. These are the files in use; only Linux names them.
    try:
        with open("/proc/self/maps", "rb") as maps:
            names = text(sorted(set(line.split(None, 5)[5].rstrip(b"\n") for line in maps if b"/" in line)))
        found["loaded_libraries"] = [name for name in names if "ssl" in os.path.basename(name) or "libcrypto" in name]
    except EnvironmentError:
        pass
    try:
        import sysconfig

        found["py_ssl_default_ciphers"] = sysconfig.get_config_var("PY_SSL_DEFAULT_CIPHERS")
        folder = os.path.dirname(ssl.get_default_verify_paths().openssl_cafile)
        found["openssl_config_file"] = found["openssl_conf_variable"] or os.path.join(folder, "openssl.cnf")
        with open(found["openssl_config_file"]) as file:
            lines = [line.strip() for line in file]
        found["openssl_config_lines"] = [line for line in lines if line.startswith(("MinProtocol", "CipherString"))]
    except Exception as error:
        found["openssl_config_error"] = "%s: %s" % (type(error).__name__, error)
    context = default_context(ssl, "client", job)  # with the one authority of the job: a system has hundreds
    for name in ("minimum_version", "security_level"):
        if hasattr(context, name):
            found[name] = int(getattr(context, name))
    try:
        found["all_ciphers"] = ask_for_everything(context.set_ciphers, ssl.SSLError)
    except ssl.SSLError as error:
        found["all_ciphers"] = "refused: %s" % error
    if "armings" in state:
        found["armings"] = [arming_as_dict(each) for each in state["armings"]]
        known = getattr(sys.modules.get("tlsfloor.exemptions"), "known", ())
        found["exemptions"] = [each.as_dict() for each in known]
    return found


def arming_as_dict(arming):
    """Return an arming as `tlsfloor status --json` shows it, but with the number of the floor."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(arming["since"]))
    return dict(((key, arming[key]) for key in ("floor", "mode", "route", "set_by")), since=since)


def text(value):
    """Return a value with all bytes decoded as Python 3 decodes the names of files (PEP 383)."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return dict((text(key), text(each)) for key, each in value.items())
    return [text(each) for each in value] if isinstance(value, (list, tuple)) else value


def main():
    import warnings

    if str is bytes:  # Python 2 does not have this error handler
        import codecs

        codecs.register_error(
            "surrogateescape",
            lambda error: (unichr(0xDC00 + ord(error.object[error.start])), error.start + 1),
        )
    warnings.simplefilter("ignore")
    job = json.loads(sys.argv[1])
    output = {"facts": facts(job), "cases": [attempt(case, job) for case in job["cases"]]}
    sys.stdout.write(BEGIN + json.dumps(text(output)) + END)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
