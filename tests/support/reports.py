"""Runs ``tlsfloor report`` on events that a test makes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import strategies as st

import outputs
from events import BEGIN, event, handshake
from tlsfloor import cli
from tlsfloor.report import reader, sums, tally
from tlsfloor.report.as_html import report_html
from tlsfloor.report.as_json import report_facts
from tlsfloor.report.as_text import report_text
from tlsfloor.report.impact import Impact
from tlsfloor.report.reader import EventFiles

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
    summed = tally.Tally()
    files = EventFiles(summed)
    for each in events:
        summed.take(each)
        files.events += 1
    return Impact(floor, summed, files, "0")


def answer(files: EventFiles, *targets: object) -> dict[str, Any]:
    """Return the report on some files, without when and how it was made."""
    files.read(list(map(str, targets)))
    impact = Impact("1.2", files.tally, files, "0")
    impact.created = 0
    facts = report_facts(impact)
    del facts["run"]
    return {"facts": facts, "text": report_text(impact), "page": report_html(impact)}


def any_events(most: int = 40) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Events that differ in few places, so that many are about the same connection."""
    few = st.sampled_from(["", "a", "b", "c", "long" * 60])
    return st.lists(
        st.builds(
            event,
            kind=st.sampled_from([*tally.KINDS, "measured"]),
            mode=st.sampled_from(["observe", "enforce"]),
            floor=st.sampled_from(["1.0", "1.2", "1.3", None]),
            version=st.sampled_from([None, "TLS 1.0", "TLSv1.2", "TLS 1.3", "QUIC 9"]),
            role=st.sampled_from(["client", "server"]),
            host=few,
            program=few,
            server_name=few,
            suite=few,
            text=few,
            exempted=st.sampled_from([None, "old"]),
            peer=st.sampled_from([None, "::1", "::2"]),
            count=st.sampled_from([1, 2, 1000]),
            time=st.sampled_from([BEGIN, BEGIN + 0.5, BEGIN + 10**5, BEGIN + 10**7, 0, 4e9]),
        ),
        max_size=most,
    )


def set_small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"ROWS": 2, "HOSTS": 2, "NAMES": 3, "MACHINES": 3, "PAIRS": 3}.items():
        monkeypatch.setattr(tally, f"MOST_{name}", most)
    monkeypatch.setattr(tally, "_MOST_CACHED", 5)
    monkeypatch.setattr(sums, "MOST_SLOTS", 4)
    monkeypatch.setattr(reader, "MOST_NAMED", 2)
    monkeypatch.setattr(time, "time", lambda: BEGIN + 10**8)
