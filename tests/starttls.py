"""Servers around a TLS handshake: what they say in plain text before, and in TLS after."""

from __future__ import annotations

import socket
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


#: Options of a ``ServerPeer`` that is a mail server.
SMTP = {"before_tls": smtp_before_tls, "reply": smtp_reply}
IMAP = {"before_tls": imap_before_tls, "reply": imap_reply}


def mqtt_reply(data: bytes, version: int) -> bytes:
    """Answer CONNECT by CONNACK, in the version of the client (MQTT 5.0, sections 3.1 and 3.2)."""
    if data[:1] != b"\x10":
        return b""
    level = data[data.index(b"MQTT") + 4]
    return bytes([0x20, 3, 0, 0, 0] if level == 5 else [0x20, 2, 0, 0])


#: What the programs of ``test_stacks`` name: the options of a ServerPeer.
PROTOCOLS: dict[str, dict[str, Any]] = {"MQTT": {"reply": mqtt_reply}}
