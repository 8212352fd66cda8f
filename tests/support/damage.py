"""Makes files of events with the damage that happens on their way, as bytes."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING, Any

from events import BEGIN, handshake, many
from tlsfloor.report.condensed import condensed_lines
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What a field may have in place of what it should have.
ODD_VALUES = [None, "", "1", 0, 1, -1, 1.5, 1e300, 10**13, True, [], {}, 'é\n"\\', {"time": 7}, "?"]

#: Texts that replace the beginning of a line.
HEADS = [
    '{"schema": 1, "time": 1740988801, ',
    '{"schema": 1, "time": 1.7409888e9, ',
    '{"schema": 1, "time": 1740988801.12345678901, ',
    '{"schema": 1, "time": 01740988801, ',
    '{"schema": 1, "time": 17409888019, ',
    '{"schema": 1, "time": 1740988801., ',
    '{"schema": 1, "time": 3, ',
    '{"schema": 1, "time": NaN, ',
    '{"schema": 1, "x": {"time": 1740988802, "host": "web-3", "count": 5}, ',
    '{"schema": 1, "x\\"time": 1740988802, ',
    '{"schema": 1, "time": 1740988803, "host": "x", "count": 4, ',
    '{"schema": 1, "t\\u0069me": 1740988803, ',
    '{"schema": 1, "text": "{\\"time\\": 1740988803}", ',
    '{"schema": 1, "pid": 012, ',
    '{"schema":1,"time":1740988801.5,"host":"web-2","pid":7,',
    ' {"schema" : 1, ',
    "",
    "[",
]  # fmt: skip


def spelled(event: dict[str, Any], chance: random.Random) -> bytes:
    """Return an event as a line, as one of many writers would write it."""
    event = dict(event)
    kind = chance.randrange(12)
    if kind == 0:
        event[
            chance.choice(["time", "host", "count", "pid", "program", "port", "kind", "more"])
        ] = chance.choice(ODD_VALUES)
    elif kind == 1:
        event = dict(chance.sample(list(event.items()), len(event)))
    elif kind == 2:
        del event[chance.choice(list(event))]
    text = json.dumps(
        event,
        separators=chance.choice([None, (",", ":"), (" , ", " : ")]) if kind == 3 else None,
        sort_keys=kind == 4,
        ensure_ascii=kind != 5,
    )
    if kind == 6:
        text = chance.choice(HEADS) + text[1:]
    elif kind == 7:
        text = text[:-1] + chance.choice(
            [
                *(', "time": 5}', ', "host": "y"}', ', "count": 3}', ', "count": 0}'),
                # What the query for an SQL engine writes in their place.
                *(', "time": -15e86}', ', "host":"\\u003f any host ?"}', ', "count":-87}'),
                *(', "time":-1.5e+87}', ', "host":"? any host ?"}'),
            ]
        )
    return text.encode()


def damaged(line: bytes, chance: random.Random, *, returns: bool = True) -> bytes:
    """Return a line as something on its way may have left it."""
    place = chance.randrange(len(line))
    return chance.choice(
        [
            line[:place],
            line[:place] + line,
            line[:place] + b"\xff" + line[place:],
            line[:place] + bytes(chance.randrange(300)),
            line[:place] + b"\x01" + line[place:],
            line[:place] + b"\n{\n" + line[place:] if returns else b"}",
            line[:place] + b"\r" * returns + line[place:],
            line + b"\r" * returns,
            line + b"x" * 70_000,
            line[:-1]
            + b', "text": "'
            + b"x" * chance.choice([15_000, 65_100, 65_300, 65_536])
            + b'"}',
            b"",
            b"  ",
            b"Traceback (most recent call last):",
            b"\xef\xbb\xbf" + line,
            line.replace(b'"schema": 1', b'"schema": 99'),
            line.replace(b"erp.example", "ерп.example".encode()),
        ]
    )


def lines(count: int, seed: int, share: float = 0.1, *, returns: bool = True) -> Iterator[bytes]:
    """Yield lines of events, some of them damaged; with ``returns`` also such as have ``\\r``."""
    chance = random.Random(seed)
    for event in many(count, seed=seed):
        line = spelled(event, chance) if chance.random() < share else json.dumps(event).encode()
        yield damaged(line, chance, returns=returns) if chance.random() < share else line


def condensed(seed: int, chance: random.Random) -> bytes:
    """Return the lines of a condensed output, or not all of them, or one of them twice."""
    tally = Tally()
    for event in many(60, seed=seed):
        tally.take(event)
    made = [line.strip().encode() for line in condensed_lines(tally, EventFiles(tally), "web-1")]
    if chance.random() < 0.5:
        made.pop(chance.randrange(len(made)))
    if chance.random() < 0.5:
        made.append(chance.choice(made))
    return b"\n".join(made)


def write_files(folder: Path, count: int, seed: int, *, returns: bool = True) -> list[Path]:
    """Write a few files of different kinds, with about so many lines in all."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = [
        "a.jsonl",
        "b.jsonl",
        "c.jsonl.gz",
        "wrong-name.jsonl",
        "plain.jsonl.gz",
        "d [1].jsonl",
        "e'.jsonl",
    ]
    paths = [folder / name for name in names]
    for number, path in enumerate(paths):
        share = chance.choice([0, 0.01, 0.1])
        text = b"\n".join(lines(count // len(paths), seed + number, share, returns=returns))
        if path.name in ("a.jsonl", "b.jsonl"):
            text += b"\n" + condensed(seed, chance)
        text += chance.choice([b"", b"\n", b"\n\n"])
        is_gzip = path.name in ("c.jsonl.gz", "wrong-name.jsonl")
        path.write_bytes(gzip.compress(text, 1) if is_gzip else text)
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "blank.jsonl").write_bytes(b"\n\n \n")
    (folder / "one.json").write_bytes(json.dumps(handshake(time=BEGIN)).encode())
    whole = gzip.compress(b"\n".join(lines(50, seed)))
    (folder / "torn.jsonl.gz").write_bytes(whole[: chance.randrange(2, len(whole))])
    return [*paths, folder / "empty.jsonl"]
