"""The report compared with an earlier one. Nothing is gone only because it is missing."""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from events import event, handshake, write
from machine_reports import verified
from reports import ReportRun
from tlsfloor.report import tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = int(time.time())
DAY = 86400


def seen(version: str, ago: float, **more: Any) -> dict[str, Any]:
    return handshake(version, time=NOW - ago, **more)


def hosts(machines: list[dict[str, Any]]) -> list[str]:
    return [each["host"] for each in machines]


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return a function that reports on files of yesterday, and then on those of today."""

    def compared(before: list[Any], now: list[Any], *options: str) -> dict[tuple[str, str], Any]:
        old, file = tmp_path / "old.json", tmp_path / "all.jsonl"
        for target, lines in ((old, before), (None, now)):
            write(file, *lines)
            words = ["--since", old, *options] if target is None else ["--output", target]
            report = ReportRun(capsys, file, "--json", *words)
        facts = report.facts
        for kind in ("text", "html"):
            written = ReportRun(capsys, file, "--format", kind, "--since", old, *options).printed
            assert "ince the report of " in written
        assert facts["changes"]["since"] == json.loads(old.read_text())["created"]
        return {(each["how"], each["kind"]): each for each in facts["changes"]["found"]}

    return compared


def test_interpreters_get_better_and_worse(compare: Callable[..., Any]) -> None:
    was = verified("web-1", DAY, "lowerable")
    for verdict, expected in (
        ("lowerable", None),
        ("leaks", ("worse", "lowerable", "leaks")),
        ("enforced", ("in order now", "lowerable", "enforced")),
        ("inconclusive", None),
    ):
        found = compare([was], [was, verified("web-1", 0, verdict)])
        assert [(each["how"], each["before"], each["now"]) for each in found.values()] == [
            *([expected] if expected else [])
        ]
    fine = verified("web-1", DAY, "enforced")
    found = compare([fine], [verified("web-1", 0, "inconclusive")])
    assert [*found] == [("worse", "interpreter")]
    found = compare([fine], [verified("web-1", 0, "leaks", "/new/python")])
    assert [*found] == [("new", "interpreter")]
    assert found["new", "interpreter"]["name"] == "/new/python"
    assert found["new", "interpreter"]["where"] == "web-1"


def test_what_is_missing_is_gone_only_if_its_targets_were_examined_again(
    compare: Callable[..., Any],
) -> None:
    was = verified("web-1", DAY, "leaks", "/old/python")
    again = verified("web-1", 0, "enforced")
    assert [*compare([was], [again])] == [("gone", "interpreter")]
    for missing in (
        {**again, "targets": ["/elsewhere"]},
        {**again, "roles": ["server"]},
        verified("web-2", 0, "enforced"),
        verified("web-1", 0, "enforced", image="shop:1"),
        handshake(time=NOW, host="web-1"),
    ):
        assert [*compare([was], [missing])] == [("not seen again", "interpreter")]
    # A container has another name each time, so an image is compared with the same image. But one
    # that is not heard of may have another environment.
    was = verified("pod-1", DAY, "leaks", image="shop:1")
    again = verified("pod-2", 0, "enforced", image="shop:1")
    assert [*compare([was], [again])] == [("not seen again", "interpreter")]
    alive = handshake(time=NOW, host="pod-1")
    assert [*compare([was], [again, alive])] == [("in order now", "interpreter")]
    # A run that was interrupted, or could not read something, has not examined everything.
    was, again = (verified("web-1", ago, "leaks", f"/opt/{ago}") for ago in (DAY, 0))
    assert ("gone", "interpreter") in compare([was], [again])
    for problem, finished in (("interrupted", False), ("/opt/1: Permission denied", True)):
        partial = {**again, "problems": [problem], "finished": finished}
        assert ("not seen again", "interpreter") in compare([was], [partial])
    unfinished = copy.deepcopy(was)
    unfinished.update(finished=False, problems=["interrupted"])
    assert [*compare([was], [was, unfinished])] == []


def test_connections_that_a_floor_would_break(compare: Callable[..., Any]) -> None:
    old = seen("TLS 1.1", DAY)
    assert compare([old], [old, seen("TLS 1.1", 0)]) == {}
    assert [*compare([seen("TLS 1.2", DAY)], [old])] == [("worse", "connection")]
    found = compare([old], [old, seen("TLS 1.0", 0)])
    assert [(key, each["before"], each["now"]) for key, each in found.items()] == [
        (("worse", "connection"), "TLS 1.1", "TLS 1.0")
    ]
    found = compare([old], [seen("TLS 1.0", 0, server_name="new.example")])
    assert found["new", "connection"]["name"] == "/srv/shop/app.py to new.example:443"
    assert found["gone", "connection"]["before"] == "TLS 1.1"
    # The files of yesterday are read again, and the server was updated.
    assert [*compare([old], [old, seen("TLS 1.3", 0)])] == [("in order now", "connection")]
    refused = event("refused", asked="TLS 1.0", time=NOW)
    assert [*compare([seen("TLS 1.3", DAY)], [refused])] == [("new", "connection")]
    # Floor 1.2 does not break TLS 1.2, and floor 1.3 does.
    assert compare([], [seen("TLS 1.2", 0)]) == {}
    assert [*compare([], [seen("TLS 1.2", 0)], "--floor", "1.3")] == [("new", "connection")]


def test_a_connection_is_not_gone_if_its_machine_is_silent(
    compare: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = seen("TLS 1.0", DAY, host="web-7")
    assert [*compare([old], [seen("TLS 1.3", 0)])] == [("not seen again", "connection")]
    file, since = tmp_path / "all.jsonl", tmp_path / "old.json"
    found = ReportRun(capsys, file, "--since", since, "--json").facts["changes"]
    assert hosts(found["silent"]) == ["web-7"]
    assert "were not heard of since: web-7" in ReportRun(capsys, file, "--since", since).printed
    # Also if a report is all that came from it.
    assert [*compare([old], [verified("web-7", 0, "enforced")])] == [("gone", "connection")]


@pytest.mark.parametrize("schema", [1, 2])
def test_reports_of_earlier_versions_can_be_compared(
    schema: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their rows are the same, and they say less about machines."""
    file = write(tmp_path / "all.jsonl", seen("TLS 1.1", DAY), seen("TLS 1.1", DAY, host="web-2"))
    facts = ReportRun(capsys, file, "--json").facts
    for key in ("machines", "last_seen", "silent", "changes"):
        del facts[key]
    facts["schema"] = schema
    if schema == 1:
        facts.update(made=facts.pop("created"), status=facts.pop("exit_status"))
        for row in facts["rows"]:
            row["kept_apart"] = not row.pop("summed")
    old = write(tmp_path / "old.txt", json.dumps(facts).encode())
    write(file, seen("TLS 1.0", 0))
    found = ReportRun(capsys, file, "--json", "--since", old).facts["changes"]
    assert [(each["how"], each["before"]) for each in found["found"]] == [("worse", "TLS 1.1")]
    assert hosts(found["silent"]) == ["web-2"]


def test_what_is_no_earlier_report_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "all.jsonl", seen("TLS 1.0", 0))
    printed = ReportRun(capsys, file, "--json").printed
    facts = json.loads(printed)
    output = tmp_path / "output.html"
    for text, why in {
        "": "it is not the JSON of `tlsfloor report`",
        "[1]": "it is not the JSON of `tlsfloor report`",
        "[" * 60_000: "it is not the JSON of `tlsfloor report`",
        printed[:-9]: "it is not the JSON of `tlsfloor report`",
        json.dumps(verified("web-1", 0, "leaks")): "it is not the JSON of `tlsfloor report`",
        json.dumps({**facts, "tool": {"name": "other"}}): "it is not the JSON",
        json.dumps({**facts, "schema": 9}): "its schema is 9, and this version knows 1, 2",
        json.dumps({**facts, "rows": 5}): "a part of it is missing or damaged",
        json.dumps({**facts, "rows": [{}]}): "a part of it is missing or damaged",
        json.dumps({**facts, "machines": {"findings": [{}]}}): "a part of it is missing",
    }.items():
        old = write(tmp_path / "old.txt", text.encode())
        report = ReportRun(capsys, file, "--since", old, "--output", output)
        assert (report.status, report.printed, output.exists()) == (2, "", False)
        assert f"error: --since {old} cannot be compared: {why}" in report.messages
        assert "hint: tlsfloor report TARGET --json --output FILE" in report.messages
    report = ReportRun(capsys, file, "--since", tmp_path / "missing")
    assert report.status == 2
    assert "No such file" in report.messages


def test_sums_of_connections_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [seen("TLS 1.0", 0, server_name=f"{name}.example") for name in "abc"]
    file, old = write(tmp_path / "all.jsonl", *made), tmp_path / "old.txt"
    ReportRun(capsys, file, "--json", "--output", old)
    for limit, partial in ((3, False), (1, True)):
        monkeypatch.setattr(tally, "MOST_ROWS", limit)
        report = ReportRun(capsys, file, "--json", "--since", old)
        assert report.facts["changes"]["partial"] is partial
        for kind in ("text", "html"):
            written = ReportRun(capsys, file, "--since", old, "--format", kind).printed
            assert ("are summed, and machines" in written.lower()) is partial


def test_a_connection_of_many_machines_is_gone_only_if_all_machines_were_heard_of(
    compare: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row names 16 machines, and web-90 is none of them."""
    old = [seen("TLS 1.0", DAY, host=f"web-{number}") for number in range(10, 30)]
    old.append(seen("TLS 1.0", DAY, host="web-90"))
    now = [verified(f"web-{number}", 0, "enforced") for number in range(10, 30)]
    assert [*compare(old, now)] == [("not seen again", "connection")]
    file, since = tmp_path / "all.jsonl", tmp_path / "old.json"
    assert hosts(
        ReportRun(capsys, file, "--since", since, "--json").facts["changes"]["silent"]
    ) == ["web-90"]
    assert [*compare(old, [*now, verified("web-90", 0, "enforced")])] == [("gone", "connection")]


def test_beyond_the_limit_it_is_unknown_who_is_silent(
    compare: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = [seen("TLS 1.0", DAY, host=host) for host in ("web-1", "web-3")]
    now = [seen("TLS 1.3", 0, host=f"web-{number}") for number in range(4)]
    assert [*compare(old, now)] == [("in order now", "connection")]
    monkeypatch.setattr(tally, "MOST_MACHINES", 2)
    assert [*compare(old, now)] == [("not seen again", "connection")]
    file, since = tmp_path / "all.jsonl", tmp_path / "old.json"
    changes = ReportRun(capsys, file, "--since", since, "--json").facts["changes"]
    assert (changes["silent"], changes["partial"]) == ([], True)
    report = ReportRun(capsys, file, "--silent", "3")
    assert report.status == 3
    assert "more than 2 machines: whether the others are silent is unknown" in report.printed


# --- silent machines


def test_machines_that_are_silent_leave_the_answer_in_doubt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(
        tmp_path / "all.jsonl",
        seen("TLS 1.3", 9 * DAY, host="web-1"),
        seen("TLS 1.3", 9 * DAY, host="web-2"),
        seen("TLS 1.3", DAY, host="web-3"),
        verified("web-2", 2 * DAY, "enforced"),
        verified("web-4", 8 * DAY, "enforced"),
    )
    assert ReportRun(capsys, file).status == 0
    report = ReportRun(capsys, file, "--json", "--silent", "3")
    assert (report.status, hosts(report.facts["silent"])) == (3, ["web-1", "web-4"])
    assert hosts(report.facts["last_seen"]) == ["web-1", "web-2", "web-3", "web-4"]
    written = ReportRun(capsys, file, "--silent", "3").printed
    assert "in doubt: not heard of for more than 3 days: web-1 and web-4\n" in written
    assert "web-1 and web-4" in ReportRun(capsys, file, "--silent", "3", "--format", "html").printed
    assert ReportRun(capsys, file, "--silent", "30").status == 0
    # One that is heard of may have a report that is old.
    write(file, seen("TLS 1.3", 0, host="web-4"), verified("web-4", 8 * DAY, "enforced"))
    report = ReportRun(capsys, file, "--silent", "3")
    assert report.status == 3
    assert "in doubt: reports that are older than 3 days: verify on web-4\n" in report.printed
    # What is known to be flagged stays so.
    write(file, verified("web-4", 8 * DAY, "leaks"))
    assert ReportRun(capsys, file, "--silent", "1").status == 1


def test_a_machine_of_the_earlier_report_may_be_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also if none of its files is there any more."""
    file, old = tmp_path / "all.json", tmp_path / "old.txt"
    write(file, verified("web-1", 3 * DAY, "leaks"), verified("web-2", 3 * DAY, "enforced"))
    ReportRun(capsys, file, "--json", "--output", old)
    write(file, verified("web-2", 0, "enforced"))
    assert ReportRun(capsys, file, "--silent", "1").status == 0
    report = ReportRun(capsys, file, "--silent", "1", "--since", old, "--json")
    assert (report.status, hosts(report.facts["silent"])) == (3, ["web-1"])
    assert ReportRun(capsys, file, "--silent", "7", "--since", old).status == 0


@pytest.mark.parametrize("days", ["0", "-1", "nan", "1e9"])
def test_a_number_of_days_that_is_none_is_an_error(
    days: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ReportRun(capsys, tmp_path, f"--silent={days}")
    assert (report.status, report.printed) == (2, "")
    assert "hint: --silent 7" in report.messages
