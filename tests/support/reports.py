"""Runs ``tlsfloor report`` on events that a test makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from events import handshake
from tlsfloor import cli
from tlsfloor.report import answer as judged
from tlsfloor.report import lines, tally

FINE = handshake()
OLD = handshake("TLS 1.0")


class ReportRun:
    """What ``tlsfloor report`` says of some lines."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: object) -> None:
        capsys.readouterr()
        self.status = cli.main(["report", *map(str, words)])
        self.printed, self.talk = capsys.readouterr()

    @property
    def facts(self) -> Any:
        facts = json.loads(self.printed)
        assert facts["status"] == self.status
        return facts


def answer_of(*events: dict[str, Any], floor: str = "1.2") -> judged.Answer:
    reading, summed = lines.Reading(), tally.Tally()
    for each in events:
        summed.take(each)
        reading.events += 1
    return judged.Answer(floor, summed, reading, "0")
