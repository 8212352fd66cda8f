"""The peers of the tests: what servers say around a TLS handshake, and clients of one version each.

The TLS itself is that of ``tlsfloor.peers.handshakes``. ``ServerPeer(before_tls=..., reply=...)``
takes what a server says in plain text before the handshake, and what it answers after it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import Any, Callable, Iterator

from tlsfloor.peers import handshakes, protocols
from tlsfloor.versions import FLOORS, OPENSSL_NAMES

#: Number of a TLS version -> the name that OpenSSL and ``SSLSocket.version()`` give it.
NAMES = {version: name for name, version in OPENSSL_NAMES.items()}

#: Every peer: version and kind of key exchange.
LADDER = [f"{name} {kx}" for name in FLOORS for kx in handshakes.KEY_EXCHANGES]


def smtp_before_tls(connection: socket.socket) -> None:
    with connection.makefile("rwb", buffering=0) as file:
        file.write(b"220 localhost\r\n")
        for line in file:
            if line.strip().upper() == b"STARTTLS":
                file.write(b"220 go ahead\r\n")
                return
            file.write(b"250-localhost\r\n250 STARTTLS\r\n")
    raise ConnectionError("the client left before STARTTLS")


def smtp_reply(data: bytes, version: int) -> bytes:
    return b"250 localhost\r\n" if data.endswith(b"\r\n") else b""


def imap_before_tls(connection: socket.socket) -> None:
    with connection.makefile("rwb", buffering=0) as file:
        file.write(b"* OK localhost\r\n")
        for line in file:
            file.write(_imap_answer(line))
            if line.split()[1] == b"STARTTLS":
                return
    raise ConnectionError("the client left before STARTTLS")


def imap_reply(data: bytes, version: int) -> bytes:
    return _imap_answer(data) if data.endswith(b"\r\n") else b""


def _imap_answer(line: bytes) -> bytes:
    tag, command = line.split()[:2]
    untagged = b"* CAPABILITY IMAP4rev1 STARTTLS\r\n" if command == b"CAPABILITY" else b""
    return untagged + tag + b" OK done\r\n"


def postgres_reply(data: bytes, version: int) -> bytes:
    """AuthenticationOk, and ReadyForQuery; a query names the version of TLS, as one text."""
    if data[:1] == b"Q":
        name = NAMES[version].encode()
        column = b"version\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)
        row = struct.pack("!hi", 1, len(name)) + name
        return b"".join(
            protocols.postgres_message(kind, body)
            for kind, body in (
                (b"T", struct.pack("!h", 1) + column),
                (b"D", row),
                (b"C", b"SELECT 1\0"),
                (b"Z", b"I"),
            )
        )
    return protocols.postgres_reply(data, version)


def mqtt_reply(data: bytes, version: int) -> bytes:
    """Answer CONNECT by CONNACK, in the version of the client (MQTT 5.0, sections 3.1 and 3.2)."""
    if data[:1] != b"\x10":
        return b""
    level = data[data.index(b"MQTT") + 4]
    return bytes([0x20, 3, 0, 0, 0] if level == 5 else [0x20, 2, 0, 0])


# RFC 4511: an LDAPMessage with a BindRequest (section 4.2), the message ID in its fifth byte; what
# answers it, and what answers the ExtendedRequest that is StartTLS (section 4.14): success.
_BIND_REQUEST, _BIND_RESPONSE, _EXTENDED_RESPONSE = 0x60, 0x61, 0x78


def ldap_before_tls(connection: socket.socket) -> None:
    request = connection.recv(4096)
    connection.sendall(_ldap_success(request[4], _EXTENDED_RESPONSE))


def ldap_reply(data: bytes, version: int) -> bytes:
    if len(data) > 5 and data[5] == _BIND_REQUEST:
        return _ldap_success(data[4], _BIND_RESPONSE)
    return b""


def _ldap_success(message: int, kind: int) -> bytes:
    return bytes([0x30, 12, 2, 1, message, kind, 7, 0x0A, 1, 0, 4, 0, 4, 0])


def hang_up(data: bytes, version: int) -> bytes:
    return b"Connection: close\r\n"  # at which a ServerPeer closes


_MYSQL_OK = b"\x00\x00\x00\x02\x00\x00\x00"


def mysql_reply(data: bytes, version: int) -> bytes:
    whole = len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:3], "little")
    return protocols.mysql_packet(data[3] + 1, _MYSQL_OK) if whole else b""


# The protocols of AWS name the operation in a header, in the body of a form, or by the path alone.
# These are real operations, with the members that their clients read.
_AWS_PAGES = {
    b"DynamoDB_20120810.ListTables": b'{"TableNames": ["floors"]}',
    b"Action=GetCallerIdentity": (
        b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>"
        b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
    ),
    b"Action=DescribeStacks": (
        b"<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>floors"
        b"</StackName><StackId>arn:aws:cloudformation:us-east-1:123456789012:stack/floors/1"
        b"</StackId><StackStatus>CREATE_COMPLETE</StackStatus><Tags><member>"
        b"<Key>parallelcluster:version</Key><Value>3.0.0</Value></member></Tags></member></Stacks>"
        b"</DescribeStacksResult></DescribeStacksResponse>"
    ),
    b"GET / ": (
        b"<ListAllMyBucketsResult><Buckets><Bucket><Name>floors</Name></Bucket></Buckets>"
        b"</ListAllMyBucketsResult>"
    ),
}


def aws_reply(data: bytes, version: int) -> bytes:
    """Answer a request to DynamoDB, STS, CloudFormation or S3."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if not end or len(body) < length:
        return b""
    return _http(next(page for sign, page in _AWS_PAGES.items() if sign in data))


def list_buckets(data: bytes, version: int) -> bytes:
    """Reply as S3 does to a user who has no bucket."""
    whole = data.endswith(b"\r\n\r\n")
    return _http(b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>") if whole else b""


def _http(page: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
    return head.encode() + page


def redis_node(data: bytes, version: int) -> bytes:
    """Reply as the only node of a redis cluster does."""
    if b"SLOTS" in data:
        return b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\nlocalhost\r\n:1\r\n"
    if b"COMMAND" in data:
        return b"*1\r\n*6\r\n$3\r\nset\r\n:-3\r\n*0\r\n:1\r\n:1\r\n:1\r\n"
    return handshakes.default_reply(data, version)


#: Options of a ``ServerPeer`` that is a mail server, or a database.
SMTP = {"before_tls": smtp_before_tls, "reply": smtp_reply}
IMAP = {"before_tls": imap_before_tls, "reply": imap_reply}
MYSQL = {"before_tls": protocols.mysql_before_tls, "reply": mysql_reply}

#: What the programs of ``test_stacks`` name -> the options of a ``ServerPeer``.
PROTOCOLS: dict[str, dict[str, Any]] = {
    "MQTT": {"reply": mqtt_reply},
    "POSTGRES": {"before_tls": protocols.postgres_before_tls, "reply": postgres_reply},
    "hang up": {"reply": hang_up},
    "h2": {"reply": hang_up, "alpn": [b"h2"]},
    "ldap": {"before_tls": ldap_before_tls, "reply": ldap_reply},
    "ldaps": {"reply": ldap_reply},
    "mysql": MYSQL,
}


def call(port: int, peer: str, *, client_certificate: bool = False) -> str:
    """Return what a client of the ladder got: the version it spoke, or the error."""
    name, key_exchange = peer.split()
    seen = handshakes.call(
        "127.0.0.1", port, FLOORS[name], key_exchange, client_certificate=client_certificate
    )
    if seen.version is None:
        return seen.error
    assert seen.data.endswith(b"hello") or b" 200 " in seen.data, seen.data
    return NAMES[seen.version]


def call_with_certificate(port: int, certificate: str | None = handshakes.PEER_FILE) -> str:
    context = ssl.create_default_context(cafile=handshakes.CA_FILE)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate:
        context.load_cert_chain(certificate)
    with socket.create_connection(("127.0.0.1", port), handshakes.TIMEOUT) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                # The server's answer to a missing certificate comes after the handshake.
                assert b" 200 " in tls.recv(65536)
                return str(tls.version())
        except OSError as error:
            return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def serving(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Call ``behave`` with each connection, in a thread of its own; yield the port."""
    done = threading.Event()
    threads: list[threading.Thread] = []
    open_ones: list[socket.socket] = []

    def speak(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            behave(connection)

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_ones.append(connection)
            threads.append(threading.Thread(target=speak, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            for each in (listener, *open_ones):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
