"""Servers around a TLS handshake: what they say in plain text before, and in TLS after."""

from __future__ import annotations

import socket
import struct
from typing import Any


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


# MySQL's protocol 10, "Connection Phase": a greeting of a server that knows CLIENT_SSL (0x800) and
# what goes without saying since 4.1, with a challenge of 20 bytes in two parts.
_MYSQL_GREETING = (
    b"\x0a8.0.0\x00"
    + struct.pack("<I8sxHBHHB10x", 1, b"12345678", 0xAA05, 45, 2, 0x000B, 21)
    + b"123456789012\x00mysql_native_password\x00"
)
_MYSQL_OK = b"\x00\x00\x00\x02\x00\x00\x00"


def mysql_before_tls(connection: socket.socket) -> None:
    connection.sendall(_mysql_packet(0, _MYSQL_GREETING))
    # Not a byte more than the request for TLS, of 4 and 32: the handshake is right behind it.
    request = b""
    while len(request) < 36:
        received = connection.recv(36 - len(request))
        if not received:
            raise ConnectionError("the client left before it asked for TLS")
        request += received
    assert request[:4] == b"\x20\x00\x00\x01", request


def mysql_reply(data: bytes, version: int) -> bytes:
    whole = len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:3], "little")
    return _mysql_packet(data[3] + 1, _MYSQL_OK) if whole else b""


def _mysql_packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


#: Options of a ``ServerPeer`` that is a mail server, or a database.
SMTP = {"before_tls": smtp_before_tls, "reply": smtp_reply}
IMAP = {"before_tls": imap_before_tls, "reply": imap_reply}
MYSQL = {"before_tls": mysql_before_tls, "reply": mysql_reply}

#: What the programs of ``test_stacks`` name: the options of a ServerPeer.
PROTOCOLS: dict[str, dict[str, Any]] = {"mysql": MYSQL}
