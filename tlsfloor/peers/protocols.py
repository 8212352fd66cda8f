"""What server peers say around TLS: databases, a directory, a broker, gRPC and Git.

How it works: the program has to know which version it got, or it is no positive control. So each
reply names the version in a text that the client gives to the program: a setting of the session, an
identifier, or the message of an error. Most replies are errors, because they are the shortest way
to prove that data went through TLS. A reply is empty while the request is not complete.
"""

from __future__ import annotations

import socket
import struct

from tlsfloor import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = {version: name for name, version in versions.OPENSSL_NAMES.items()}


def line_of(version: int) -> bytes:
    """Return the line that names a version, as ``openssl s_server -www`` does."""
    return f"Protocol : {_NAMES[version]}".encode()


def _receive(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes and not one more: the handshake may follow them at once."""
    data = b""
    while len(data) < size:
        received = connection.recv(size - len(data))
        if not received:
            raise ConnectionError("the client left before TLS")
        data += received
    return data


# PostgreSQL manual, "Message Formats": length and code of an SSLRequest. A GSSENCRequest has
# another code. Since PostgreSQL 17 a client may begin with its ClientHello (sslnegotiation=direct).
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


def postgres_before_tls(connection: socket.socket) -> None:
    """Accept TLS, and refuse GSSAPI."""
    while connection.recv(1, socket.MSG_PEEK) == _SSL_REQUEST[:1]:
        if _receive(connection, len(_SSL_REQUEST)) == _SSL_REQUEST:
            connection.sendall(b"S")
            return
        connection.sendall(b"N")


def postgres_reply(data: bytes, version: int) -> bytes:
    """Let any user in. The version is the setting ``tls_version`` of the session."""
    if data[:1] != b"\0" or len(data) < 4 or len(data) < int.from_bytes(data[:4], "big"):
        return b""  # it is no StartupMessage, or not all of it
    settings = {"server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8"}
    settings.update({"DateStyle": "ISO, MDY", "standard_conforming_strings": "on"})
    settings["tls_version"] = _NAMES[version]
    status = [postgres_message(b"S", f"{key}\0{settings[key]}\0".encode()) for key in settings]
    ready = postgres_message(b"Z", b"I")
    return postgres_message(b"R", b"\0\0\0\0") + b"".join(status) + ready


def postgres_message(kind: bytes, body: bytes) -> bytes:
    """Return a message of a PostgreSQL server."""
    return kind + struct.pack("!I", len(body) + 4) + body


# MySQL's protocol 10, "Connection Phase": a greeting of a server that knows CLIENT_SSL (0x800) and
# what goes without saying since 4.1, with a challenge of 20 bytes in two parts.
_MYSQL_GREETING = (
    b"\x0a8.0.0\0"
    + struct.pack("<I8sxHBHHB10x", 1, b"12345678", 0xAA05, 45, 2, 0x000B, 21)
    + b"123456789012\0mysql_native_password\0"
)


def mysql_before_tls(connection: socket.socket) -> None:
    """Greet the client, and expect its SSLRequest: a packet of 4 and 32 bytes."""
    connection.sendall(mysql_packet(0, _MYSQL_GREETING))
    header = _receive(connection, 36)[:4]
    if header != b"\x20\0\0\1":
        raise ConnectionError(f"no SSLRequest: {header!r}")


def mysql_reply(data: bytes, version: int) -> bytes:
    """Let no user in, by an ERR_Packet (1045, ER_ACCESS_DENIED_ERROR)."""
    if len(data) < 4 or len(data) < 4 + int.from_bytes(data[:3], "little"):
        return b""
    return mysql_packet(data[3] + 1, b"\xff\x15\x04#28000" + line_of(version))


def mysql_packet(number: int, payload: bytes) -> bytes:
    """Return a packet of MySQL."""
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


# RFC 4511: the tags of BindRequest and BindResponse (section 4.2), and a resultCode (appendix A).
_BIND_REQUEST, _BIND_RESPONSE, _INVALID_CREDENTIALS = 0x60, 0x61, 49


def ldap_reply(data: bytes, version: int) -> bytes:
    """Let no user in, by a BindResponse. The fifth byte of a short request is its message ID."""
    if len(data) < 6 or data[5] != _BIND_REQUEST:
        return b""
    text = line_of(version)
    bound = bytes([0x0A, 1, _INVALID_CREDENTIALS, 4, 0, 4, len(text)]) + text
    message = bytes([2, 1, data[4], _BIND_RESPONSE, len(bound)]) + bound
    return bytes([0x30, len(message)]) + message


# Apache Kafka's protocol guide: the keys of two requests, and two error codes.
_METADATA, _API_VERSIONS = 3, 18
_UNKNOWN_TOPIC, _UNSUPPORTED_VERSION = 3, 35


def kafka_reply(data: bytes, version: int) -> bytes:
    """Answer one request. The version is the ID of the cluster, in the answer to Metadata.

    It knows ApiVersions in version 0, and Metadata in version 2. A cluster without brokers has to
    have a topic, or the client asks again.
    """
    if len(data) < 12 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        return b""
    key, asked, correlation = struct.unpack("!hhI", data[4:12])
    if key == _API_VERSIONS:
        error = _UNSUPPORTED_VERSION if asked else 0
        body = struct.pack("!hi6h", error, 2, _API_VERSIONS, 0, 0, _METADATA, 2, 2)
    else:
        name = _NAMES[version].encode()
        body = struct.pack("!ih", 0, len(name)) + name
        body += struct.pack("!iihhsbi", -1, 1, _UNKNOWN_TOPIC, 1, b"x", 0, 0)
    return struct.pack("!iI", len(body) + 4, correlation) + body


# RFC 9113: the preface of a client (section 3.4), types and flags of frames (section 6).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS = 1, 4
_END_STREAM, _END_HEADERS = 1, 4


def grpc_reply(data: bytes, version: int) -> bytes:
    """Answer a call of the first stream: there is no such method (12, UNIMPLEMENTED)."""
    if data.startswith(_PREFACE):
        return _frame(_SETTINGS, 0, 0, b"")
    while len(data) >= 9:
        if data[3] == _HEADERS:
            fields = [(b":status", b"200"), (b"content-type", b"application/grpc")]
            fields += [(b"grpc-status", b"12"), (b"grpc-message", line_of(version))]
            # RFC 7541, section 6.2.2: a literal field that is not indexed, with a new name.
            block = b"".join(
                b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
                for name, value in fields
            )
            return _frame(_HEADERS, _END_STREAM | _END_HEADERS, 1, block)
        data = data[9 + int.from_bytes(data[:3], "big") :]
    return b""


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = struct.pack("!IBBI", len(payload), kind, flags, stream)
    return head[1:] + payload  # a length has 3 bytes


def git_reply(data: bytes, version: int) -> bytes:
    """Answer with a type that Git does not expect, which libgit2 repeats in its error."""
    if b"\r\n\r\n" not in data:
        return b""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nContent-Type: %s\r\n\r\n"
    return head % line_of(version)


_POSTGRES: dict[str, Any] = {"before_tls": postgres_before_tls, "reply": postgres_reply}

#: The library of a client -> the options of a ``ServerPeer`` for it; none for HTTP and Redis.
PROTOCOLS: dict[str, dict[str, Any]] = {
    "psycopg": _POSTGRES,
    "psycopg2": _POSTGRES,
    "MySQLdb": {"before_tls": mysql_before_tls, "reply": mysql_reply},
    "ldap": {"reply": ldap_reply},
    "confluent_kafka": {"reply": kafka_reply},
    "grpc": {"reply": grpc_reply, "alpn": [b"h2"]},
    "pygit2": {"reply": git_reply},
}
