"""Pre-shared keys by sslpsk3: ``tool_sslpsk3.py serve`` or ``tool_sslpsk3.py WHEN PORT...``.

The server prints two ports, of TLS 1.0 and 1.2, and serves until stdin is closed. Else printed are
three pairs of what was reached: by a new context, by one that is older than a late floor, and by a
server of this process with a client that needs what it has.
"""

import json
import socket
import ssl
import sys
import threading
import warnings

warnings.simplefilter("ignore")
VERSIONS = (0x301, 0x303)


def enforce():
    import tlsfloor

    tlsfloor.enforce("1.2")


if sys.argv[1] == "early":
    enforce()
import sslpsk3  # noqa: E402


def make(server=False, highest=0x303):
    context = sslpsk3.SSLPSKContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.psk_force_openssl = True  # newer Pythons have keys of their own
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = 0x301, highest
    context.set_ciphers("PSK-AES128-CBC-SHA:@SECLEVEL=0")
    if server:
        context.set_psk_server_callback(lambda identity: b"secret" if identity == "me" else b"")
    else:
        context.set_psk_client_callback(lambda hint: ("me", b"secret"))
    return context


def attempt(sock, context, server=False):
    try:
        with sock, context.wrap_socket(sock, server_side=server) as tls:
            tls.sendall(b"x")
            assert tls.recv(1)
            return tls.version()
    except OSError as error:
        return str(error)


def serve():
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in VERSIONS]
    print(*(each.getsockname()[1] for each in listeners), flush=True)

    def answer(listener, version):
        while True:
            attempt(listener.accept()[0], make(True, version), True)

    for pair in zip(listeners, VERSIONS):
        threading.Thread(target=answer, args=pair, daemon=True).start()
    sys.stdin.read()


def main(when, *ports):
    older = make()
    old_server = make(True)
    if when == "late":
        enforce()

    def clients(context_of):
        places = [("127.0.0.1", int(port)) for port in ports]
        return [attempt(socket.create_connection(each, 10), context_of()) for each in places]

    def server(highest):
        # Its client must be able to go lower: what is wanted of it is sent by hand.
        ours, other = socket.socketpair()
        client = threading.Thread(target=attempt, args=(other, make(False, highest)))
        client.start()
        told = attempt(ours, make(True, highest), True)
        client.join()
        return told

    told = [clients(make), clients(lambda: older)]
    if when == "none":
        told.append([server(0x301), server(0x303)])
    else:
        told.append([told[0][0], server(0x303)])
        import tlsfloor

        tlsfloor.require("1.2")
        assert tlsfloor.status().held
    assert old_server.psk_server_callback
    print(json.dumps(told))


if sys.argv[1] == "serve":
    serve()
else:
    main(*sys.argv[1:])
