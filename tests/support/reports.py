"""Runs ``tlsfloor report`` on events that a test makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

import outputs
from events import handshake
from tlsfloor import cli
from tlsfloor.report.impact import Impact
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import Tally

FINE = handshake()
OLD = handshake("TLS 1.0")


class ReportRun:
    """A run of ``tlsfloor report``: its status, its output and its messages."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: object) -> None:
        capsys.readouterr()
        self.status = cli.main(["report", *map(str, words)])
        self.printed, self.messages = capsys.readouterr()

    @property
    def facts(self) -> Any:
        facts = json.loads(self.printed)
        outputs.validate_json("report", facts)
        assert facts["exit_status"] == self.status
        return facts


def impact_of(*events: dict[str, Any], floor: str = "1.2") -> Impact:
    """Return the impact that the report sees in some events."""
    tally = Tally()
    files = EventFiles(tally)
    for event in events:
        tally.take(event)
        files.events += 1
    return Impact(floor, tally, files, "0")
