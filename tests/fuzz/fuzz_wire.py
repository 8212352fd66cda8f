"""Fuzz ``wire``: what is parsed is written back unchanged, and only WireError is raised.

In full: from any bytes, ``wire/`` parses structures that write back exactly the bytes they came
from, or returns "need more data", or raises ``WireError``. The same bytes in two pieces give the
same result. The judgement of ``peers/hello_answers`` raises nothing but ``WireError`` either.
"""

from __future__ import annotations

from tlsfloor.peers.hello_answers import first_message, judge_offer, judge_version
from tlsfloor.wire import (
    Alert,
    ClientHello,
    Handshake,
    Messages,
    Record,
    Records,
    ServerHello,
    Sslv2Hello,
    WireError,
)
from tlsfloor.wire.messages import CLIENT_HELLO, SERVER_HELLO
from tlsfloor.wire.records import ALERT, SSLV2


#: Longer inputs reach no more code, and take longer.
MOST_BYTES = 600

HELLOS = {CLIENT_HELLO: ClientHello, SERVER_HELLO: ServerHello}
OTHERS = {ALERT: Alert, SSLV2: Sslv2Hello}


def read_all(reader: Messages | Records, chunks: list[bytes]) -> list[object]:
    """Return everything that is read, and how it ended."""
    found: list[object] = []
    for chunk in chunks:
        reader.feed(chunk)
        try:
            while (item := reader.read()) is not None:
                found.append(item)
        except WireError as error:
            found.append(str(error))
            break
    else:
        found.append(reader.pending)
    return found


QUESTIONS = {
    Alert: ("__repr__",),
    ClientHello: ("__repr__", "duplicates", "versions", "highest_version", "server_name", "alpn"),
    ServerHello: ("__repr__", "duplicates", "version", "is_retry", "downgrade"),
    Sslv2Hello: ("__repr__", "to_client_hello"),
}


def check(cls: type, data: bytes) -> None:
    """Parse one structure, compare what it writes back, and call its methods."""
    try:
        found = cls.parse(data)
    except WireError as error:
        assert 0 <= error.offset <= len(data), error
        return
    assert found.write() == data, found
    for question in QUESTIONS[cls]:
        try:
            getattr(found, question)()
        except WireError as error:  # a malformed extension
            assert "_hello." in error.field, error


def judge(data: bytes) -> None:
    """Judge the first message as each caller does."""
    try:
        message = first_message(data)
        if message is not None:
            for version in (0x0300, 0x0301, 0x0304):
                judge_version(message, version)
                judge_offer(message, version, [0x002F, 0x1301])
    except WireError as error:
        assert 0 <= error.offset <= len(data), error


def one_input(data: bytes) -> None:
    """Check the invariant on one stream."""
    half = len(data) // 2 + (data[-1] if data else 0)
    records = read_all(Records(), [data])
    assert records == read_all(Records(), [data[:half], data[half:]])
    written = b"".join(record.write() for record in records[:-1])
    assert data.startswith(written)
    if isinstance(records[-1], int):
        assert len(data) == len(written) + records[-1]
    messages = read_all(Messages(), [data])
    assert messages == read_all(Messages(), [data[:half], data[half:]])
    for found in messages[:-1]:
        if isinstance(found, Handshake) and found.msg_type in HELLOS:
            check(HELLOS[found.msg_type], found.body)
        elif isinstance(found, Record) and found.content_type in OTHERS:
            check(OTHERS[found.content_type], found.fragment)
    judge(data)
    for cls in QUESTIONS:  # after the headers of record and message
        check(cls, data[9:])
