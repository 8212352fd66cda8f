"""Fuzz ``wire``: what is parsed is written back unchanged, and only WireError is raised.

In full: from any bytes, ``wire/`` parses structures that write back exactly the bytes they came
from, or returns "need more data", or raises ``WireError``. The same bytes in two pieces give the
same result. The judgement of ``peers/hello_answers`` raises nothing but ``WireError`` either.

Run it by hand::

    python tests/fuzz/fuzz_wire.py --inputs 1000000 --seed 1

Every input is a stream as a peer sends it, with a few random mutations; one that breaks the
invariant is printed as hex (keep it: add it to ``seeds()``). With atheris installed, ``--atheris``
hands the same function to libFuzzer, together with all arguments after it.
"""

from __future__ import annotations

import argparse
import random
import sys

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
from tlsfloor.wire import extensions as ext
from tlsfloor.wire.messages import CLIENT_HELLO, SERVER_HELLO
from tlsfloor.wire.records import ALERT, SSLV2


def seeds() -> list[bytes]:
    """Return one stream of each kind that a peer sends."""
    client = ClientHello(
        0x0303,
        bytes(range(32)),
        bytes(range(32)),
        [0x2A2A, 0x1301, 0xC02F, 0x002F, 0x00FF, 0x5600],
        extensions=[
            (0x7A7A, b""),
            ext.server_name("floor.example"),
            ext.numbers(ext.SUPPORTED_GROUPS, [0x001D, 0x0017]),
            ext.numbers(ext.SIGNATURE_ALGORITHMS, [0x0804, 0x0401]),
            ext.alpn([b"h2", b"http/1.1"]),
            ext.supported_versions([0x7A7A, 0x0304, 0x0303]),
            ext.renegotiation_info(),
        ],
    )
    bare = ClientHello(0x0301, bytes(32), b"", [0x002F])
    server = ServerHello(
        0x0303, bytes(32), bytes(32), 0x1301, extensions=[ext.selected_version(0x0304)]
    )
    old = ServerHello(0x0301, b"r" * 24 + b"DOWNGRD\x00", b"", 0x002F)
    sslv2 = Sslv2Hello(0x0301, [0x2F, 0x0A, 0x010080, 0xFF], b"", bytes(range(16)))
    alert = Record(ALERT, 0x0301, Alert(2, 70).write()).write()
    two = Record(
        22, 0x0303, Handshake(SERVER_HELLO, old.write()).write() + Handshake(14, b"").write()
    )
    tls13 = Record(20, 0x0303, b"\x01").write() + Record(23, 0x0303, bytes(40)).write()
    return [
        client.to_records(0x0301),
        client.to_records(0x0301, 50),
        bare.to_records(0x0300),
        server.to_records(0x0303) + tls13,
        two.write() + alert,
        sslv2.to_records(),
        alert,
        Record(ALERT, 0x0301, b"\x02").write(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ]


HELLOS = {CLIENT_HELLO: ClientHello, SERVER_HELLO: ServerHello}
OTHERS = {ALERT: Alert, SSLV2: Sslv2Hello}
INTERESTING = [b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\0\0", b"\xff\xff", b"\x40\0", b"\0\0\0"]


def mutated(pick: random.Random, corpus: list[bytes]) -> bytes:
    """Return a seed with one to four random changes."""
    data = bytearray(pick.choice(corpus))
    for _ in range(pick.randint(1, 4)):
        at = pick.randrange(len(data) + 1)
        kind = pick.randrange(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + pick.randint(1, 8)]
        elif kind == 2:
            data[at:at] = bytes(pick.randrange(256) for _ in range(pick.randint(1, 8)))
        elif kind == 3:
            data[at:at] = data[at : at + pick.randint(1, 64)]
        elif kind == 4:
            data[at:] = pick.choice(corpus)[at:]
        elif kind == 5:
            value = pick.choice(INTERESTING)
            data[at : at + len(value)] = value
        elif at < len(data):  # twice as likely: one bit, or a length that is off by a little
            change = 1 << pick.randrange(8) if kind == 6 else pick.randint(-2, 2)
            data[at] = (data[at] ^ change if kind == 6 else data[at] + change) & 0xFF
    return bytes(data)


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


def main(arguments: list[str] | None = None) -> int:
    """Run the inputs; raise if one of them breaks the invariant."""
    parser = argparse.ArgumentParser(description="fuzz tlsfloor.wire")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (%(default)s)")
    parser.add_argument("--atheris", nargs=argparse.REMAINDER, help="run libFuzzer instead")
    options = parser.parse_args(arguments)
    if options.atheris is not None:
        import atheris  # noqa: PLC0415  only if asked for

        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *options.atheris], one_input)
        atheris.Fuzz()
    pick, corpus = random.Random(options.seed), seeds()
    for seed in corpus:
        one_input(seed)
    for number in range(options.inputs):
        data = mutated(pick, corpus)
        try:
            one_input(data)
        except Exception:
            print(f"input {number} of seed {options.seed}: {data.hex()}", file=sys.stderr)
            raise
    print(f"{options.inputs} inputs of seed {options.seed}: the invariant holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
