"""Keys of sslkeylog: ``tool_sslkeylog.py WHEN PORT...`` prints what was reached and logged.

Once by a new context, and once by one that is older than a late floor.
"""

import json
import socket
import ssl
import sys
import warnings

warnings.simplefilter("ignore")


def enforce():
    import tlsfloor

    tlsfloor.enforce("1.2")


if sys.argv[1] == "early":
    enforce()
import sslkeylog  # noqa: E402

lines = []
sslkeylog.set_keylog(lambda sock, line: lines.append(line))


def make():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def attempt(port, context):
    del lines[:]
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 10)) as tls:
            assert len(sslkeylog.get_master_key(tls)) == 48
            return [tls.version(), lines[-1].split()[0]]
    except OSError as error:
        return str(error)


def main(when, *ports):
    older = make()
    if when == "late":
        enforce()
    print(json.dumps([[attempt(port, context) for port in ports] for context in (make(), older)]))
    if when != "none":
        import tlsfloor

        tlsfloor.require("1.2")
        assert tlsfloor.status().held


main(*sys.argv[1:])
