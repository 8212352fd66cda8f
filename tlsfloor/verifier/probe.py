# The probe: runs inside the interpreter under test, tries what it is told to, and prints what happened.
#
# It judges nothing and compares no versions: that is the judge's work. It is handed over stdin, one file of
# ASCII that CPython 2.7 to 3.15 and PyPy parse, standard library only. Its argument is a job in JSON:
#   {"ca": FILE, "identity": FILE, "timeout": seconds, "cases": [{"id", "role", "via", "way", "port"}, ...]}
# For either role it connects to the port; as a server it then speaks TLS as one over that connection, so
# that the judge need not find out where it listens.
import sys

# A script on stdin has the current folder first on its path, by an empty name or (PyPy 7.3.5) by its own: what lies
# there is not under test, so nothing may be imported before but what is built in.
if __name__ == "__main__" and not (getattr(sys.flags, "isolated", 0) or getattr(sys.flags, "safe_path", False)):
    if sys.path[:1] != [""]:
        getcwd = __import__("posix" if "posix" in sys.builtin_module_names else "nt").getcwd
    if sys.path[:1] == [""] or sys.path[:1] == [getcwd()]:
        del sys.path[0]

import json
import os
import platform
import socket

BEGIN, END = "\n<tlsfloor-facts>", "</tlsfloor-facts>\n"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
RESPONSE = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
# All cipher suites at the lowest security level. What has no such level (AWS-LC, BoringSSL, OpenSSL 1.0.2) refuses the
# whole text, and then gets the first part of it.
EVERYTHING = ("ALL:@SECLEVEL=0", "ALL")
FLAGS = ("ignore_environment", "isolated", "no_site", "no_user_site", "safe_path")


class Absent(Exception):
    """What the case needs does not exist here, so nobody can ask for it."""


def lower(ssl, context):
    """Ask a context for the least that it can be asked for by name."""
    for name in ("OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1", "OP_NO_TLSv1_2", "OP_NO_TLSv1_3"):
        if context.options & getattr(ssl, name, 0):
            context.options &= ~getattr(ssl, name)
    if hasattr(context, "minimum_version"):
        try:
            context.minimum_version = ssl.TLSVersion.SSLv3
        except (AttributeError, ValueError):  # an OpenSSL that has forgotten it
            context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def ask_for_everything(set_ciphers, refusal):
    """Ask for all cipher suites, by a function and what it raises for a text that it does not know."""
    for each in EVERYTHING:
        try:
            set_ciphers(each)
        except refusal:
            if each == EVERYTHING[-1]:
                raise
        else:
            return each


def default_context(ssl, role, job):
    purpose = ssl.Purpose.CLIENT_AUTH if role == "server" else ssl.Purpose.SERVER_AUTH
    return ssl.create_default_context(purpose, cafile=job["ca"])


def make_context(ssl, role, way, job):
    name = way.split(",")[0]
    needed = name if name.startswith("PROTOCOL_") else "TLSVersion" if name == "MINIMUM_SUPPORTED" else "SSLContext"
    if not hasattr(ssl, needed):
        raise Absent("no ssl." + needed)
    if way.startswith("PROTOCOL_"):
        context = ssl.SSLContext(getattr(ssl, name))
    else:
        context = default_context(ssl, role, job)
    if way.startswith("lowered"):
        lower(ssl, context)
    if way == "MINIMUM_SUPPORTED":
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if way.endswith("@SECLEVEL=0"):
        ask_for_everything(context.set_ciphers, ssl.SSLError)
    if role == "client":
        if name.startswith("PROTOCOL_"):  # a default context has it already
            context.load_verify_locations(job["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    elif job["identity"]:
        context.load_cert_chain(job["identity"])
    return context


def connect(case, job):
    plain = socket.create_connection(("127.0.0.1", case["port"]), job["timeout"])
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else TLS 1.3 waits 40 ms for each request
    return plain


def through_ssl(case, job):
    import ssl

    context = make_context(ssl, case["role"], case["way"], job)
    plain = connect(case, job)
    try:
        if case["role"] == "server":
            tls = context.wrap_socket(plain, server_side=True)
        else:
            tls = context.wrap_socket(plain, server_hostname="localhost")
        try:
            if case["role"] == "server":
                received = tls.recv(100)
                tls.sendall(RESPONSE)
            else:
                tls.sendall(REQUEST)
                received = tls.recv(100)
            return tls.version() if received else ""
        finally:
            tls.close()
    finally:
        plain.close()


def page(text):
    """Return the version that a peer's page names."""
    if isinstance(text, bytes):
        text = text.decode("ascii")
    return text.split("Protocol : ")[1].strip()


def url(case):
    return "https://localhost:%d/" % case["port"]


def library_context(case, job):
    """Return the context that a program hands to a library to ask for less, None where it asks nothing."""
    import ssl

    return make_context(ssl, "client", case["way"], job) if case["way"] != "default" else None


def through_urllib3(case, job):
    import urllib3

    context = library_context(case, job)
    more = {"ssl_context": context} if context else {"ca_certs": job["ca"]}
    pool = urllib3.PoolManager(retries=False, timeout=job["timeout"], cert_reqs="CERT_REQUIRED", **more)
    return page(pool.request("GET", url(case)).data)


def through_requests(case, job):
    import requests
    import requests.adapters

    context = library_context(case, job)

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args, **kwargs):
            if context:
                kwargs["ssl_context"] = context
            return requests.adapters.HTTPAdapter.init_poolmanager(self, *args, **kwargs)

    session = requests.Session()
    session.trust_env = False
    session.mount("https://", Adapter())
    return page(session.get(url(case), verify=job["ca"], timeout=job["timeout"]).text)


def through_botocore(case, job):
    import botocore.awsrequest
    import botocore.httpsession

    context = library_context(case, job)

    class Session(botocore.httpsession.URLLib3Session):
        def _get_ssl_context(self):
            return context or botocore.httpsession.URLLib3Session._get_ssl_context(self)

    session = Session(verify=job["ca"], timeout=job["timeout"])
    return page(session.send(botocore.awsrequest.AWSRequest("GET", url(case)).prepare()).content)


def through_redis(case, job):
    import redis
    import ssl

    more = {}
    if case["way"] != "default":
        ciphers = ask_for_everything(default_context(ssl, "client", job).set_ciphers, ssl.SSLError)
        more = {"ssl_min_version": ssl.TLSVersion.TLSv1, "ssl_ciphers": ciphers}
    try:
        connection = redis.SSLConnection(
            host="localhost", port=case["port"], ssl_ca_certs=job["ca"], socket_timeout=job["timeout"], **more
        )
    except TypeError as error:  # an older redis-py has no argument for it
        raise Absent(str(error))
    try:
        connection.connect()
        return connection._sock.version()
    finally:
        connection.disconnect()


def through_aiohttp(case, job):
    import asyncio

    import aiohttp

    async_get = {}
    # "async def" does not parse on 2.7, and nothing here may fail to.
    exec(
        "async def get(client, url, context):\n"
        "    async with client() as session:\n"
        "        async with session.get(url, ssl=context) as response:\n"
        "            return await response.text()\n",
        async_get,
    )
    import ssl

    context = library_context(case, job) or default_context(ssl, "client", job)
    return page(asyncio.run(async_get["get"](aiohttp.ClientSession, url(case), context)))


def through_httpx(case, job):
    import httpx
    import ssl

    context = library_context(case, job) or default_context(ssl, "client", job)
    with httpx.Client(verify=context, timeout=job["timeout"], trust_env=False) as client:
        return page(client.get(url(case)).text)


def through_OpenSSL(case, job):
    from OpenSSL import SSL

    context = SSL.Context(getattr(SSL, "TLS_METHOD", SSL.SSLv23_METHOD))
    context.load_verify_locations(job["ca"])
    context.set_verify(SSL.VERIFY_PEER, lambda *told: told[-1])
    if case["way"] != "default":
        ask_for_everything(lambda each: context.set_cipher_list(each.encode("ascii")), SSL.Error)
        if hasattr(context, "set_min_proto_version"):
            context.set_min_proto_version(0)  # the lowest that there is (OpenSSL, SSL_CTX_set_min_proto_version)
    plain = connect(case, job)
    try:
        plain.settimeout(None)  # with one pyOpenSSL would not wait, but say that it wants to
        tls = SSL.Connection(context, plain)
        tls.set_tlsext_host_name(b"localhost")
        tls.set_connect_state()
        tls.sendall(REQUEST)
        return tls.get_protocol_version_name() if tls.recv(100) else ""
    finally:
        plain.close()


def through_pycurl(case, job):
    import io
    import pycurl

    body = io.BytesIO()
    curl = pycurl.Curl()
    try:
        curl.setopt(pycurl.URL, url(case))
        curl.setopt(pycurl.CAINFO, job["ca"])
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.TIMEOUT, int(job["timeout"]) or 1)
        curl.setopt(pycurl.WRITEFUNCTION, body.write)
        if case["way"] != "default":
            curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_0)
            # curl looks at this only after it has connected, so it cannot be tried first.
            levels = "OpenSSL/" in pycurl.version and "OpenSSL/1.0." not in pycurl.version
            curl.setopt(pycurl.SSL_CIPHER_LIST, EVERYTHING[0 if levels else 1])
        curl.perform()
    finally:
        curl.close()
    return page(body.getvalue())


def through_awscrt(case, job):
    import awscrt.http
    import awscrt.io

    options = awscrt.io.TlsContextOptions()
    options.override_default_trust_store_from_path(None, job["ca"])
    if case["way"] != "default":
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
    return page(bytes(body))


def attempt(case, job):
    """Return what happened: the version that this side saw, or the error and its causes."""
    try:
        try:
            __import__(case["via"])
        except ImportError as error:
            raise Absent(str(error))
        return {"id": case["id"], "version": globals()["through_" + case["via"]](case, job)}
    except Absent as error:
        return {"id": case["id"], "absent": str(error)}
    except Exception as error:
        texts = []
        while error is not None and len(texts) < 8:
            texts.append("%s: %s" % (type(error).__name__, error))
            error = getattr(error, "__cause__", None) or getattr(error, "__context__", None)
        return {"id": case["id"], "error": " < ".join(texts)}


def facts(job):
    """Return what is worth knowing beside the handshakes."""
    found = {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "flags": [name for name in FLAGS if getattr(sys.flags, name, 0)],
        "openssl_conf": os.environ.get("OPENSSL_CONF"),
        "path": sys.path,
        "standard_library": os.path.dirname(os.__file__),
    }
    start_up = getattr(sys, "_tlsfloor", None)
    if start_up:
        files = [each["file"] for each in start_up.get("files", ())]
        found["start_up"] = {"files": files, "failure": start_up.get("failure")}
    try:
        import ssl
    except ImportError as error:
        found["no_ssl"] = str(error)
        return found
    found["openssl"] = ssl.OPENSSL_VERSION
    # OPENSSL_VERSION may be that of the build; these are the files in use, where a system tells.
    try:
        with open("/proc/self/maps", "rb") as maps:
            names = text(sorted(set(line.split(None, 5)[5].rstrip(b"\n") for line in maps if b"/" in line)))
        found["loaded"] = [name for name in names if "ssl" in os.path.basename(name) or "libcrypto" in name]
    except EnvironmentError:  # no Linux
        pass
    try:
        import sysconfig

        found["default_ciphers"] = sysconfig.get_config_var("PY_SSL_DEFAULT_CIPHERS")
        folder = os.path.dirname(ssl.get_default_verify_paths().openssl_cafile)
        found["openssl_cnf"] = found["openssl_conf"] or os.path.join(folder, "openssl.cnf")
        with open(found["openssl_cnf"]) as file:
            lines = [line.strip() for line in file]
        found["min_protocol"] = [line for line in lines if line.startswith(("MinProtocol", "CipherString"))]
    except Exception as error:
        found["openssl_cnf_error"] = "%s: %s" % (type(error).__name__, error)
    context = default_context(ssl, "client", job)  # with our one authority: a system has hundreds
    for name in ("minimum_version", "security_level"):
        if hasattr(context, name):
            found[name] = int(getattr(context, name))
    try:
        found["all_ciphers"] = ask_for_everything(context.set_ciphers, ssl.SSLError)
    except ssl.SSLError as error:
        found["all_ciphers"] = "refused: %s" % error
    armings = getattr(sys, "_tlsfloor", {}).get("armings")
    if armings is not None:
        found["armings"] = [[each["floor"], each["route"], each["set_by"]] for each in armings]
        known = getattr(sys.modules.get("tlsfloor.exemptions"), "known", ())
        found["exemptions"] = [each.as_dict() for each in known]
    return found


def text(value):
    """Return a value with all bytes decoded as Python 3 decodes the names of files (PEP 383)."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return dict((text(key), text(each)) for key, each in value.items())
    return [text(each) for each in value] if isinstance(value, (list, tuple)) else value


def main():
    import warnings

    if str is bytes:  # Python 2 has no such handler
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
