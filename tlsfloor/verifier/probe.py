"""The probe: it runs inside the interpreter under test, tries each case, and prints what happened.

It judges nothing and compares no versions, which is the work of the judge. The launcher passes this file over stdin,
after probe_clients.py, which has a function for each library other than ssl. Both are ASCII that CPython 2.7 to 3.15 and
PyPy can parse, and use the standard library only. In front of both is JOB, a text in JSON (it may be too long for an
argument of a command on Windows, which has 32 KB for all of them):
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
import socket
import time

BEGIN, END = "\n<tlsfloor-facts>", "</tlsfloor-facts>\n"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
RESPONSE = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
# All cipher suites at the lowest security level. TLS libraries without security levels (AWS-LC, BoringSSL, OpenSSL 1.0.2)
# refuse the first text and get the second.
EVERYTHING = ("ALL:@SECLEVEL=0", "ALL")

# What was made or tried once: (role, setup) -> context of ssl; library -> why it cannot be imported.
contexts = {}
missing = {}

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
    plain = socket.socket()  # create_connection() would ask for the address of a number, each time
    plain.settimeout(job["timeout"])
    plain.connect(("127.0.0.1", case["port"]))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # otherwise TLS 1.3 waits 40 ms for each request
    return contextlib.closing(plain)


def through_ssl(case, job):
    import ssl

    # A program makes a context once, and connects to many.
    key = case["role"], case["setup"]
    context = contexts[key] = contexts.get(key) or make_context(ssl, case["role"], case["setup"], job)
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


def attempt(case, job):
    """Return what happened: the version that this side saw, or the error and its causes."""
    try:
        if case["library"] not in missing:
            try:
                __import__(case["library"])
                missing[case["library"]] = ""
            except ImportError as error:
                missing[case["library"]] = str(error) or "no " + case["library"]
        if missing[case["library"]]:
            raise Absent(missing[case["library"]])
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
        "version": sys.version.split()[0],
        "implementation": "PyPy" if "PyPy" in sys.version else "CPython",
        "executable": sys.executable,
        "prefix": sys.prefix,
        "flags": [name for name in FLAGS if getattr(sys.flags, name, 0)],
        "openssl_conf_variable": os.environ.get("OPENSSL_CONF"),
        "sys_path": sys.path,
        "standard_library": os.path.dirname(os.__file__),
    }
    site = sys.modules.get("site")
    if hasattr(site, "getsitepackages"):  # not in all environments of Python 2
        # Those that do not exist are not on the path, and may have start-up files later.
        found["site_folders"] = site.getsitepackages() + [site.getusersitepackages()]
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
        # A Python that has its extensions in one file has its OpenSSL there too.
        whole = ("python", "libpython") if "_ssl" in sys.builtin_module_names else ()
        found["loaded_libraries"] = [
            name
            for name in names
            if "ssl" in os.path.basename(name) or "libcrypto" in name or os.path.basename(name).startswith(whole)
        ]
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


def main(job):
    import warnings

    if str is bytes:  # Python 2 does not have this error handler
        import codecs

        codecs.register_error(
            "surrogateescape",
            lambda error: (unichr(0xDC00 + ord(error.object[error.start])), error.start + 1),
        )
    warnings.simplefilter("ignore")
    output = {"facts": facts(job), "cases": [attempt(case, job) for case in job["cases"]]}
    if str is bytes:
        output = text(output)
    sys.stdout.write(BEGIN + json.dumps(output, default=text) + END)
    sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(JOB))
