"""The report: what a floor would break, and never "nothing" while anything is in doubt."""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
import time
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guides
from events import BEGIN, PROGRAM, event, handshake, many, write
from programs import clean_environment, python
from reports import FINE, OLD, ReportRun, any_events, impact_of, set_small_limits
from tlsfloor.report import impact as judged
from tlsfloor.report import phrases, reader, sums, tally
from tlsfloor.report.as_html import report_html
from tlsfloor.report.as_json import report_facts, report_json
from tlsfloor.report.as_text import report_text
from tlsfloor.report.impact import Impact
from tlsfloor.report.reader import EventFiles
from tlsfloor.versions import TLS1_0, TLS1_2, TLS1_3

PAGE = "how-to/report.md"
EXEMPTED = {**OLD, "exempted": "until the ERP is replaced"}
HOSTILE = "\x1b[2J\0\udcff]]>&<script>alert(1)</script>\"'é\u202e\n\r[red]x[/red]"


# --- what a floor breaks


BREAKS = {
    "TLS 1.3": ([FINE], "no", "no"),
    "TLS 1.2": ([handshake("TLS 1.2")], "no", "yes"),
    "TLS 1.2 of a server": ([handshake("TLS 1.2", role="server")], "no", "yes"),
    "TLS 1.1": ([handshake("TLS 1.1")], "yes", "yes"),
    "TLS 1.0": ([OLD], "yes", "yes"),
    "as OpenSSL calls it": ([handshake("TLSv1")], "yes", "yes"),
    "SSLv3": ([handshake("SSLv3")], "yes", "yes"),
    "one of a million": ([handshake(count=10**6), OLD], "yes", "yes"),
    "enforced, and exempted without a word": ([handshake("TLS 1.0", mode="enforce")], "yes", "yes"),
    "an unknown version": ([FINE, handshake("QUIC 9")], "unknown", "unknown"),
    "no version": ([FINE, handshake(None)], "unknown", "unknown"),
    "no handshake": ([event("armed", text="TLSFLOOR")], "unknown", "unknown"),
    "nothing": ([], "unknown", "unknown"),
    "uncovered": ([FINE, event("uncovered", stack="FreeTDS")], "unknown", "unknown"),
    "no row": ([FINE, event("unknown", stack="acmetls")], "unknown", "unknown"),
    "a kind to come": ([FINE, event("measured")], "unknown", "unknown"),
    "a kind to come, and one that breaks": ([OLD, event("measured")], "yes", "yes"),
    "raised": ([FINE, event("raised", asked="TLS 1.0")], "no", "no"),
    "clamped": ([FINE, event("clamped", asked="TLS 1.0")], "no", "no"),
    "refused": ([FINE, event("refused", asked="TLS 1.0")], "yes", "yes"),
    "refused at 1.3": ([FINE, event("refused", asked="TLS 1.2", floor="1.3")], "no", "yes"),
    "refused, whatever it was": ([FINE, event("refused")], "yes", "yes"),
    "failed": ([FINE, event("failed")], "yes", "yes"),
    "failed at 1.3": ([FINE, event("failed", floor="1.3")], "unknown", "yes"),
    "failed at no floor": ([FINE, event("failed", floor=None)], "unknown", "unknown"),
    "discarded": ([FINE, event("discarded", version="TLS 1.1")], "yes", "yes"),
    "discarded at 1.3": ([FINE, event("discarded", version="TLS 1.2")], "no", "yes"),
    # What a library of its own negotiated above the floor that it is held to, nobody saw.
    "enforced at 1.2": ([handshake(mode="enforce")], "no", "unknown"),
    "enforced at 1.0": ([handshake(mode="enforce", floor="1.0")], "unknown", "unknown"),
    "enforced at 1.3": ([handshake(mode="enforce", floor="1.3")], "no", "no"),
    "enforced at 1.2, and observed at 1.3": (
        [handshake(mode="enforce"), event("armed", floor="1.3")],
        "no",
        "no",
    ),
    "enforced at 1.2, and observed at 1.3 on another machine": (
        [handshake(mode="enforce"), event("armed", floor="1.3", host="web-2")],
        "no",
        "unknown",
    ),
    "exempted": ([EXEMPTED], "no", "no"),
    "exempted from floor 1.3 as well": ([{**EXEMPTED, "version": "TLS 1.2"}], "no", "no"),
    "exempted, which makes no difference": ([{**EXEMPTED, "version": "TLS 1.3"}], "no", "no"),
    "an exemption is of no mode, so it is no floor that is enforced": (
        [EXEMPTED, event("exempted", mode=None)],
        "no",
        "no",
    ),
    "exempted in one of two services of one name": ([EXEMPTED, OLD], "yes", "yes"),
    "an exemption was used, but not for this handshake": (
        [OLD, {**OLD, "kind": "exempted"}],
        "yes",
        "yes",
    ),
    "exempted, whatever it was": ([FINE, {**EXEMPTED, "version": "?"}], "unknown", "unknown"),
    "an exemption does not help what failed": (
        [FINE, {**EXEMPTED, "kind": "failed"}],
        "yes",
        "yes",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_floor_breaks_what_was_seen_below_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, *expected = BREAKS[name]
    file = write(tmp_path / "events.jsonl", *events, *([] if events else [b"\n"]))
    for floor, breaks in zip(judged.FLOORS, expected):
        facts = ReportRun(capsys, file, "--json", "--floor", floor).facts
        assert (facts["floor"], facts["exit_status"]) == (floor, judged.STATUSES[breaks])
        assert facts["floors"][floor]["breaks"] == breaks
        assert bool(facts["floors"][floor]["doubts"]) >= (breaks == "unknown")
        written = ReportRun(capsys, file, "--floor", floor)
        assert written.status == judged.STATUSES[breaks]
        begin = {
            "yes": f"floor {floor} would break ",
            "no": f"floor {floor} would break nothing: ",
            "unknown": f"unknown whether floor {floor} would break anything: ",
        }[breaks]
        [line] = [each for each in written.printed.splitlines() if each.startswith(begin)][:1]
        assert ("nothing" in line) == (breaks == "no")
        assert (
            ReportRun(capsys, file, "--floor", floor, "--format", "html").status == written.status
        )


def test_an_exempted_connection_is_shown_once_and_with_its_reason() -> None:
    used = event("exempted", text=EXEMPTED["exempted"], role="client", port=443, peer="10.0.0.1")
    used["server_name"] = EXEMPTED["server_name"]
    impact = impact_of(EXEMPTED, used)
    assert impact.reason("1.2").endswith("is exempted: 1 connection, seen once")
    written = report_text(impact)
    assert written.count("until the ERP is replaced") == 1
    assert "exemptions: 1 case, seen once" in written
    assert report_html(impact).count("until the ERP is replaced") == 1
    # One that was used for something else is listed, too.
    assert "exemptions: 2 cases" in report_text(impact_of(EXEMPTED, {**used, "port": 444}))


# --- who, what, to whom, how often


def test_events_of_the_same_connection_are_summed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [
        handshake("TLS 1.0", host=f"web-{number}", pid=number, count=2, time=BEGIN + 60 * number)
        for number in (5, 0, 3)
    ]
    # The address of a server that has a name makes no difference; that of a client does.
    made += [handshake("TLS 1.0", peer="10.0.0.1"), handshake("TLS 1.0", peer="10.0.0.2")]
    served = {"role": "server", "server_name": "shop.example"}
    made += [handshake("TLS 1.3", peer=f"::{number}", **served) for number in (1, 2)]
    facts = ReportRun(capsys, write(tmp_path / "e.jsonl", *made), "--json").facts
    first, *others = facts["rows"]
    assert (first["count"], first["hosts"]) == (8, ["web-0", "web-1", "web-3", "web-5"])
    assert first["first"] == "2025-03-03T08:00:00Z"
    assert first["last"] == "2025-03-03T08:05:00Z"
    assert first["breaks"] == {"1.2": "yes", "1.3": "yes"}
    assert sorted((row["peer"], row["count"]) for row in others) == [("::1", 1), ("::2", 1)]
    assert (facts["events"], facts["hosts"], facts["programs"]) == (10, 4, 1)
    assert [each["count"] for each in facts["handshakes"]] == [8, 2]


def test_rows_are_sorted_by_version_and_count() -> None:
    made = [
        handshake(name, server_name=f"{name} {count}", count=count)
        for name in ("TLS 1.3", "TLS 1.2", "TLS 1.0", "TLS 1.1")
        for count in (1, 9)
    ]
    found = [row.name for row in impact_of(*made).rows]
    assert found[:5] == ["TLS 1.0 9", "TLS 1.0 1", "TLS 1.1 9", "TLS 1.1 1", "TLS 1.2 9"]


def test_the_peer_is_written_as_in_a_url() -> None:
    def peer(**more: Any) -> str:
        [row] = impact_of(handshake(server_name=None, **more)).rows
        return phrases.peer(row)

    assert peer(peer="10.0.0.1") == "10.0.0.1:443"
    assert peer(peer="::1") == "[::1]:443"
    assert peer(peer="::1", port=None) == "::1"
    assert peer(peer="::1", role="server") == "from ::1 on port 443"
    assert peer(role="server", port=None) == "from clients"


# --- what cannot be read is reported


BAD = {
    "not JSON": (b"Traceback (most recent call last):\n", reader.NOT_JSON),
    "deeply nested": (b"[" * 60_000 + b"\n", reader.NOT_JSON),
    "a number too many": (b'{"schema": ' + b"9" * 5000 + b"}\n", None),
    "binary": (b"\x7fELF\x00\xff\n", reader.NOT_TEXT),
    "zeros, as of a file cut off under its writer": (b"\0" * 4000 + b"\n", reader.NOT_TEXT),
    "too long": (b'{"schema": 1, "x": "' + b"x" * 10**6 + b'"}\n', reader.TOO_LONG),
    "as long as can be": (b"x" * (reader.LONGEST + 1) + b"\n", reader.TOO_LONG),
    "torn": (b'{"schema": 1, "kind": "hands', reader.TRUNCATED),
    "torn in a character": (b'{"schema": 1, "program": "\xc3', reader.TRUNCATED),
    "torn, and another line after it": (b'{"schema": 1, "kind": "hands\n', reader.TRUNCATED),
    "another schema": ({**FINE, "schema": 3}, reader.OTHER_SCHEMA),
    "of schema 2, but not condensed": ({**FINE, "schema": 2}, reader.NO_EVENT),
    "no schema": ({}, reader.OTHER_SCHEMA),
    "a list": (b"[]\n", reader.NO_EVENT),
    "half a surrogate is one": (handshake(program="\udcff"), None),
    "no kind": (event(kind=""), reader.NO_EVENT),
    "a kind that is none": ({**FINE, "kind": ["handshake"]}, reader.NO_EVENT),
    "a number as program": ({**FINE, "program": 5}, reader.NO_EVENT),
    "a number as host": ({**FINE, "host": 5}, reader.NO_EVENT),
    "less than none": ({**FINE, "count": -1}, reader.NO_EVENT),
    "a half": ({**FINE, "count": 0.5}, reader.NO_EVENT),
    "more than can be": ({**FINE, "count": 10**13}, reader.NO_EVENT),
    "a port that is none": ({**FINE, "port": 70000}, reader.NO_EVENT),
    "a port in words": ({**FINE, "port": "https"}, reader.NO_EVENT),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_is_not_an_event_is_counted_by_its_problem(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line, problem = BAD[name]
    file = write(tmp_path / "events.jsonl", FINE, line)
    report = ReportRun(capsys, file, "--json")
    if problem is None and isinstance(line, dict):
        assert (report.status, report.facts["files"]["invalid_lines"]) == (0, {})
        return
    [found] = report.facts["files"]["invalid_lines"][str(file)].items()
    assert found[1] == 1
    assert found[0] == (problem or found[0])
    assert report.status == 3
    assert f"{file}: lines that are not events: 1 {found[0]}" in ReportRun(capsys, file).printed


def test_nothing_of_an_invalid_event_is_counted() -> None:
    summed = tally.Tally()
    for bad in ({"host": 5}, {"count": "1"}, {"port": -1}, {"program": []}, {"mode": {}}):
        with pytest.raises((TypeError, ValueError)):
            summed.take({**FINE, **bad})
    assert sum(row.count for row in [*summed.rows.values(), *summed.rest.values()]) == 0


def test_a_complete_event_needs_no_newline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "events.jsonl", b"\r\n \n", json.dumps(FINE).encode())
    report = ReportRun(capsys, file, "--json")
    assert (report.status, report.facts["files"]["event_lines"]) == (0, 1)


def test_unreadable_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write(tmp_path / "whole.jsonl.gz", *many(200))
    cut = write(tmp_path / "cut.jsonl.gz", whole.read_bytes())
    cut.write_bytes(whole.read_bytes()[:2000])
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(whole.read_bytes()[:-9] + b"123456789")
    (tmp_path / "folder").mkdir()
    empty = write(tmp_path / "empty.jsonl")
    good = write(tmp_path / "good.jsonl", FINE)
    assert ReportRun(capsys, good, "--json").status == 0
    for target, why in (
        (tmp_path / "missing", "No such file"),
        ("s3://bucket/events", "only --spark reads addresses"),
        (cut, "not read to its end: "),
        (damaged, "not read to its end: "),
        (tmp_path / "folder", "no file in it"),
        (empty, "no event and no report in it"),
        ("a\0b", "null"),
    ):
        report = ReportRun(capsys, good, target, "--json")
        assert why in report.facts["files"]["unreadable"][str(target)]
        assert report.status in (1, 3)
        assert str(target).replace("\0", "\\x00") in ReportRun(capsys, good, target).printed


@pytest.mark.parametrize("call", ["scandir", "stat"])
def test_a_folder_without_permission_is_named(
    call: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the error is simulated."""
    write(tmp_path / "good.jsonl", FINE)
    closed = tmp_path / "closed"
    closed.mkdir()
    real = getattr(os, call)

    def refuse(path: str, **options: Any) -> object:
        if path == str(closed):
            raise PermissionError(13, "Permission denied", path)
        return real(path, **options)

    monkeypatch.setattr(os, call, refuse)
    report = ReportRun(capsys, tmp_path)
    assert report.status == 3
    assert f"{closed}: Permission denied" in report.printed


def test_the_number_of_named_files_is_limited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_NAMED", 2)
    for number in range(4):
        write(tmp_path / f"{number}.json", FINE, b"bad\n", b"worse\n")
    missing = [tmp_path / f"missing {number}" for number in range(3)]
    found = ReportRun(capsys, tmp_path, *missing, "--json").facts["files"]
    assert (len(found["invalid_lines"]), len(found["unreadable"]), found["more_with_problems"]) == (
        2,
        2,
        3,
    )


def test_a_folder_is_read_recursively(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = (
        "a/b/1.jsonl",
        "a/2.json",
        "3.jsonl.gz",
        "4.json.gz",
        "e.jsonl.1",
        "e.jsonl-20250303.gz",
    )
    for name in names:
        write(tmp_path / "all" / name, FINE)
    write(tmp_path / "all" / "new.jsonl")  # just begun
    write(tmp_path / "all" / "app.log", b"not looked at\n")
    write(tmp_path / "elsewhere" / "linked.jsonl", FINE)
    os.symlink(tmp_path / "elsewhere", tmp_path / "all" / "link")
    os.symlink(tmp_path, tmp_path / "all" / "up")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "all" / "pipe.jsonl")
    targets = [
        tmp_path / "all" / "a",
        tmp_path / "all",
        tmp_path / "all" / "a" / "2.json",
        tmp_path,
    ]
    report = ReportRun(capsys, *targets, "--json")
    assert (report.facts["events"], report.facts["files"]["read"]) == (7, 8)
    assert report.status == 0


@pytest.mark.parametrize("name", ["gone.jsonl", "e.jsonl.xz"])
def test_a_broken_link_and_an_unknown_compression_are_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "good.jsonl", FINE)
    if name == "gone.jsonl":
        os.symlink(tmp_path / "nowhere", tmp_path / name)
    else:
        write(tmp_path / name, b"\xfd7zXZ\0\n")
    report = ReportRun(capsys, tmp_path)
    assert report.status == 3
    assert name in report.printed


def test_stdin_is_read_once() -> None:
    text = json.dumps(OLD) + "\n"
    command = [sys.executable, "-m", "tlsfloor", "report", "--json", "-", "-"]
    done = subprocess.run(
        command, input=text, text=True, capture_output=True, env=clean_environment(), check=False
    )
    assert (done.returncode, json.loads(done.stdout)["events"], done.stderr) == (1, 1, "")


def test_a_closed_stdin_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    report = ReportRun(capsys, "-")
    assert report.status == 3
    assert "stdin: it is closed" in report.printed


# --- the order of events


@given(any_events(), st.randoms(use_true_random=False), st.booleans())
@settings(deadline=None)
def test_the_order_of_events_does_not_matter(
    made: list[dict[str, Any]], chance: random.Random, small: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if small:
            set_small_limits(patch)
        else:
            patch.setattr(time, "time", lambda: BEGIN + 10**8)
        before = impact_of(*made)
        chance.shuffle(made)
        after = impact_of(*made)
        for write_it in (report_json, report_text, report_html):
            assert write_it(after) == write_it(before)
        assert after.tally.hosts == before.tally.hosts


# --- what is kept is bounded


def test_rows_beyond_the_limit_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST_ROWS", 3)
    made = [handshake(server_name=f"{number}.example") for number in range(50)]
    made += [handshake("TLS 1.0", server_name=f"{number}.example") for number in range(5)] * 2
    impact = impact_of(*made)
    # What breaks has rows of its own: what is fine takes none away.
    [row] = [each for each in impact.broken("1.2") if each.rest]
    assert (row.count, row.version) == (4, TLS1_0)
    assert impact.handshakes == {TLS1_0: 10, TLS1_3: 50}
    assert impact.reason("1.2") == "more than 3 connections of more than 6, 10 of 60 handshakes"
    facts = report_facts(impact)
    assert sum(each["count"] for each in facts["rows"] if each["summed"]) == 51
    assert "others, summed" in report_text(impact)
    assert "that have no row of their own are summed" in report_html(impact)
    # An exempted handshake that has no row of its own counts as any other.
    assert impact_of(EXEMPTED).breaks["1.2"] == "no"
    monkeypatch.setattr(tally, "MOST_ROWS", 0)
    assert impact_of(EXEMPTED).breaks["1.2"] == "yes"


def test_a_full_cache_does_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [handshake(server_name=f"{number % 7}.example") for number in range(100)]
    made += [event(f"{number % 7}") for number in range(100)]
    before = report_facts(impact_of(*made))
    monkeypatch.setattr(tally, "_MOST_CACHED", 1)
    assert report_facts(impact_of(*made)) == before


def test_the_number_of_names_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST_NAMES", 3)
    monkeypatch.setattr(tally, "MOST_MACHINES", 4)
    made = [handshake(program=f"{number}", host=f"{number}") for number in range(9)]
    assert impact_of(*made[:3]).scope()[1:3] == ["3 programs", "3 machines (0, 1 and 2)"]
    assert impact_of(*made).scope()[1:3] == [
        "more than 3 programs",
        "more than 4 machines (0, 1, 2 and 3)",
    ]


def test_the_number_of_observed_machines_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubted(count: int) -> bool:
        made = [
            handshake(host=f"{number}", mode=mode, floor=floor)
            for mode, floor in (("enforce", "1.2"), ("observe", "1.3"))
            for number in range(count)
        ]
        return bool(impact_of(*made).doubts["1.3"])

    assert not doubted(50)  # more machines than a row names
    monkeypatch.setattr(tally, "MOST_ROWS", 0)
    assert not doubted(50)
    monkeypatch.setattr(tally, "MOST_PAIRS", 3)
    assert not doubted(3)
    assert doubted(4)


def test_long_texts_are_cut_off() -> None:
    impact = impact_of(*(handshake(program="x" * 9000 + str(end), host="y" * 9000) for end in "12"))
    [row] = impact.rows
    assert row.program == "x" * tally.LONGEST_TEXT + "…"
    assert row.hosts == {"y" * tally.LONGEST_TEXT + "…"}
    assert row.count == 2


def test_a_long_line_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with open(file, "wb") as opened:
        opened.truncate(50 * 2**20)  # a hole
    files = EventFiles(tally.Tally())
    tracemalloc.start()
    try:
        files.read([str(file)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert files.invalid == {str(file): {reader.TOO_LONG: 1}}
    assert peak < 2**20


# --- when


@given(
    st.lists(
        st.tuples(
            st.integers(tally.EARLIEST, 4 * 10**9),
            st.sampled_from([TLS1_2, TLS1_3]),
            st.integers(1, 9),
        ),
        min_size=1,
    )
)
def test_the_timeline_has_every_handshake_in_its_slot(made: list[tuple[int, int, int]]) -> None:
    line = sums.Timeline()
    for when, version, count in made:
        line.add(when, version, count)
    starts = line.starts()
    assert 1 <= len(starts) <= sums.MOST_SLOTS
    for start in starts:
        for version in (TLS1_2, TLS1_3):
            expected = sum(
                count
                for when, spoken, count in made
                if spoken == version and start <= when < start + line.width
            )
            assert line.at(start, version) == expected


def test_weeks_begin_on_monday() -> None:
    line = sums.Timeline()
    for day in (0, 600):
        line.add(BEGIN + day * 86400, TLS1_2, 1)
    assert line.width == 604_800
    assert line.starts()[0] == BEGIN - 8 * 3600


@pytest.mark.parametrize("when", [0, -1, 1e300, float("nan"), float("inf"), "now", None, True, 4e9])
def test_an_impossible_time_is_ignored(when: object) -> None:
    impact = impact_of({**FINE, "time": when})
    facts = report_facts(impact)
    assert (facts["lines_without_time"], facts["timeline"]["starts"], facts["last"]) == (
        1,
        [],
        None,
    )
    assert facts["rows"][0]["first"] is None
    assert facts["exit_status"] == 0
    assert "Not drawn: 1 line without a valid time" in report_html(impact)
    assert "at unknown times" in report_html(impact)


# --- nothing in it is trusted


class Tags(HTMLParser):
    """Collects the elements of a page, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href", "srcset")]


def test_a_hostile_text_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("program", "host", "where", "library", "stack", "server_name", "suite", "text", "peer")
    hostile = dict.fromkeys(texts, HOSTILE)
    made = [event(kind, version="TLS 1.0", **hostile) for kind in tally.KINDS]
    [seen] = [each for each in made if each["kind"] == "handshake"]
    made += [{**seen, "role": role, "peer": HOSTILE} for role in ("client", "server", HOSTILE)]
    made += [{**seen, key: HOSTILE} for key in ("kind", "mode", "floor", "version", "asked")]
    made += [{**FINE, key: HOSTILE} for key in PROGRAM]
    for target in (write(tmp_path / "events.jsonl", *made), tmp_path / "no\x1b[2J<script>"):
        written = ReportRun(capsys, target).printed
        assert not set("\x1b\0\r\u202e") & set(written)
        assert ReportRun(capsys, target, "--format", "json").facts
        html = ReportRun(capsys, target, "--format", "html").printed
        assert html.isascii()
        assert not set("\x1b\0\r") & set(html)
        found = Tags(html)
        assert not found.tags & {"script", "img", "iframe", "object", "a", "red"}
        assert found.loaded == ["data:,"]
    assert "[red]x[/red]" in ReportRun(capsys, tmp_path / "events.jsonl").printed


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_of_stdout_can_be_written_to(encoding: str, tmp_path: Path) -> None:
    file = write(
        tmp_path / "events.jsonl", *(handshake("TLS 1.2", program=f"é中{n}") for n in range(30))
    )
    for kind in ("text", "json", "html"):
        env = clean_environment(PYTHONIOENCODING=encoding)
        done = python("-m", "tlsfloor", "report", str(file), "--format", kind, env=env)
        assert (done.returncode, done.stderr) == (0, "")


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.builds(
                lambda more: json.dumps({**FINE, **more}).encode(),
                st.dictionaries(
                    st.sampled_from([*FINE, "asked", "peer", "text", "suite", "count"]),
                    st.recursive(
                        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                        lambda inner: st.lists(inner, max_size=2),
                        max_leaves=3,
                    ),
                    max_size=4,
                ),
            ),
        ),
        max_size=8,
    )
)
def test_no_input_causes_a_traceback_or_a_false_zero(made: list[bytes]) -> None:
    summed = tally.Tally()
    files = EventFiles(summed)
    files.read_file("file", io.BufferedReader(io.BytesIO(b"\n".join(made))))
    impact = Impact("1.2", summed, files, "0")
    for write_it in (report_json, report_text, report_html):
        assert write_it(impact).isascii() or write_it is not report_json
        write_it(impact).encode("utf-8")
    if impact.status == 0:
        assert not files.invalid
        assert not files.unreadable
        assert impact.handshakes
        assert all(version >= TLS1_2 for version in impact.handshakes)


# --- the command


@pytest.mark.parametrize("kind", ["text", "json", "html"])
def test_output_to_a_file_equals_stdout(
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = write(tmp_path / "events.jsonl", *many(500))
    there = tmp_path / "report"
    monkeypatch.setattr(time, "time", lambda: BEGIN + 30 * 86400.0)
    written = ReportRun(capsys, file, "--format", kind, "--output", there)
    assert (written.status, written.printed, written.messages) == (1, "", "")
    assert there.read_text("utf-8") == ReportRun(capsys, file, "--format", kind).printed


def test_a_failed_write_leaves_the_previous_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, there = write(tmp_path / "events.jsonl", FINE), tmp_path / "report.html"
    there.write_text("before")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    report = ReportRun(capsys, file, "--format", "html", "--output", there)
    assert report.status == 2
    assert "cannot be written: No space left on device" in report.messages
    assert there.read_text() == "before"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["events.jsonl", "report.html"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "tlsfloor report --help"),
        (("x", "--floor", "1.4"), "1.2"),
        (("x", "--floor", "1.1"), "--floor 1.2"),
        (("x", "--output", "/nowhere/at/all"), "mkdir -p /nowhere/at"),
    ],
)
def test_a_wrong_option_ends_with_status_2(words: tuple[str, ...], hint: str) -> None:
    done = python("-m", "tlsfloor", "report", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert hint in done.stderr.splitlines()[-1]


def test_no_format_needs_rich(tmp_path: Path) -> None:
    file = write(tmp_path / "events.jsonl", FINE)
    program = """
import sys
sys.modules["rich"] = None
from tlsfloor import cli
sys.exit(cli.main(sys.argv[1:]))
"""
    for more in ("", "sys.stdout.isatty = lambda: True\n"):
        for kind in ("json", "html", "text"):
            done = python(
                "-c", f"import sys\n{more}{program}", "report", str(file), "--format", kind
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout


def test_ctrl_c_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: object, event: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tally.Tally, "take", interrupted)
    report = ReportRun(capsys, write(tmp_path / "events.jsonl", FINE))
    assert (report.status, report.printed) == (130, "")


# --- the guide


def undated(printed: str) -> str:
    """Return a text with the marks of the guide in place of what differs each time."""
    printed = re.sub(r"(made|expires =) [-\d: ]+\d", r"\1 …", printed)
    return re.sub(r"(tlsfloor \d\.\d\.\d)\S*", r"\1…", printed)


def test_the_guide_shows_the_output(tmp_path: Path) -> None:
    guides.write_files(PAGE, tmp_path)
    seen = 0
    for block in guides.blocks(PAGE):
        if block.name != "console":
            continue
        for command, shown in guides.commands(block.text):
            assert undated(guides.run(command, tmp_path)) == undated(shown), command
            seen += 1
    assert seen >= 2
