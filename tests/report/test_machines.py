"""The report on machines: what is flagged by ``verify``, ``check``, ``stacks`` and ``status``."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guides
import machine_reports
import parts
from events import handshake, write
from machine_reports import of, verified
from reports import FINE, OLD, ReportRun
from tlsfloor.report import documents, machines, on_duckdb, reader

if TYPE_CHECKING:
    from pathlib import Path

#: A report that the commands made -> whether it is flagged for floor 1.2, and for floor 1.3.
FLAGGED = {
    "open": ("yes", "yes"),
    "armed": ("no", "unknown"),
    "not started": ("unknown", "unknown"),
    "nothing found": ("unknown", "unknown"),
    "cut off": ("yes", "yes"),
    "accepts old": ("unknown", "yes"),  # it was asked about floor 1.3, and accepts TLS 1.2
    "modern": ("no", "unknown"),
    "unreachable": ("unknown", "unknown"),
    "uncovered": ("yes", "yes"),
    "covered": ("no", "unknown"),
    "no floor": ("yes", "yes"),
    "held": ("no", "yes"),  # 1.2
}
STATUSES = {"yes": 1, "no": 0, "unknown": 3}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a real report for each name of ``FLAGGED``."""
    parts.need("certifi", "rich", "tlslite", "urllib3")
    return machine_reports.make(tmp_path_factory.mktemp("machines"))


def pretty(*found: Any) -> bytes:
    """Return reports as the commands print them."""
    return b"".join(json.dumps(each, indent=2).encode() + b"\n" for each in found)


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("name", FLAGGED)
def test_a_report_is_flagged_as_its_command_said(
    name: str,
    floor: str,
    real: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write(tmp_path / "report.json", pretty(real[name]))
    facts = ReportRun(capsys, file, "--json", "--floor", floor).facts
    expected = FLAGGED[name][floor == "1.3"]
    assert facts["machines"]["flagged"] == dict(zip(("1.2", "1.3"), FLAGGED[name]))
    assert (facts["exit_status"], facts["evidence"]) == (STATUSES[expected], "reports")
    [known] = facts["machines"]["reports"]
    assert known["command"] == machine_reports.NAMES[name][0]
    assert known["host"] == real[name]["run"]["host"]
    assert bool(facts["machines"]["findings"]) == (name != "nothing found")
    written = ReportRun(capsys, file, "--floor", floor).printed
    begin = {
        "yes": f"floor {floor} is not held everywhere: 1 of 1 ",
        "no": f"floor {floor} is held on everything that was examined: 1 ",
        "unknown": f"unknown whether floor {floor} is held everywhere: ",
    }[expected]
    if (machine_reports.NAMES[name][0], expected) == ("stacks", "no"):
        begin = "nothing is flagged, but files do not show whether a floor is held: 1 library"
    assert written.startswith(begin)
    # What is in order has no section of its own.
    names = [each["name"] for each in facts["machines"]["findings"]]
    assert all((f": {each}" in written) == (expected != "no") for each in names)
    assert "no events were read" not in written


def test_the_worst_of_events_and_reports_counts(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for events, name, status in (
        ([FINE], "armed", 0),
        ([OLD], "armed", 1),
        ([FINE], "open", 1),
        ([FINE], "not started", 3),
        ([handshake(None)], "armed", 3),
        ([handshake(None)], "open", 1),
    ):
        file = write(tmp_path / "all.jsonl", *events, pretty(real[name]), *events)
        found = ReportRun(capsys, file, "--json")
        assert (found.status, found.facts["evidence"]) == (status, "events and reports")
        assert found.facts["files"]["event_lines"] == 2
        written = ReportRun(capsys, file).printed
        assert "floor 1.2 would break" in written or "would break anything" in written
        assert "held " in written


def test_reports_are_read_in_any_form(
    real: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [of(real[name], f"web-{number}") for number, name in enumerate(real)]
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in found)
    forms = {
        "pretty": pretty(*found),
        "lines": lines,
        "windows": pretty(*found).replace(b"\n", b"\r\n"),
        "tabs": b"".join(json.dumps(each, indent="\t").encode() + b"\n" for each in found),
        "with a mark": b"\xef\xbb\xbf" + pretty(*found),
        "no last line": pretty(*found)[:-1],
        "events between": b"\n".join(
            [json.dumps(FINE).encode(), pretty(found[0]) + lines, json.dumps(FINE).encode()]
        ),
    }
    assert any(len(line) > reader.LONGEST for line in lines.splitlines())
    answers = {}
    for name, text in forms.items():
        facts = ReportRun(capsys, write(tmp_path / f"{name}.json", text), "--json").facts
        assert facts["files"]["invalid_lines"] == {}
        assert len(facts["machines"]["reports"]) == len(found)
        answers[name] = json.dumps(facts["machines"])
    assert len(set(answers.values())) == 1
    for number, each in enumerate(found):
        write(tmp_path / "folder" / f"{number}.json{'.gz' * (number % 2)}", pretty(each))
    facts = ReportRun(capsys, tmp_path / "folder", "--json").facts
    assert json.dumps(facts["machines"]) == answers["pretty"]
    stdin = tmp_path / "stdin"
    stdin.write_bytes(forms["pretty"] + pretty(*reversed(found)))
    with stdin.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        facts = ReportRun(capsys, "-", "--json").facts
    assert json.dumps(facts["machines"]) == answers["pretty"]


def damaged(report: Any) -> dict[str, bytes]:
    """Return ways in which a report can be damaged."""
    text = pretty(report)

    def without(*keys: str, **more: Any) -> bytes:
        made = {key: value for key, value in report.items() if key not in keys}
        return pretty({**made, **more})

    lied = copy.deepcopy(report)
    lied["interpreters"][0].update(verdict="immune", flagged=False)
    other = copy.deepcopy(report)
    other["interpreters"][0]["verdict"] = "fine"
    return {
        "cut short": text[: len(text) // 2],
        "cut at the end of a line": b"".join(text.splitlines(keepends=True)[:-9]),
        "one line, cut short": json.dumps(report).encode()[:-1],
        "another one begins in it": text[: len(text) // 2] + b"\n" + json.dumps(FINE).encode(),
        "schema 1": without(schema=1),
        "a schema to come": without(schema=3),
        "no schema": without("schema"),
        "of another tool": without(tool={"name": "other", "version": "1"}),
        "of an unknown command": without(evidence="guess"),
        "no run": without("run"),
        "no interpreters": without("interpreters"),
        "a verdict that contradicts the exit status": pretty(lied),
        "an unknown verdict": pretty(other),
        "exit status 0": without(exit_status=0),
        "an unknown floor": without(floor="1.4"),
        "a list": without(interpreters={}),
        "a time that is none": without(run={**report["run"], "time": "yesterday"}),
        "a host that is none": without(run={**report["run"], "host": 5}),
        "labels that are none": without(run={**report["run"], "labels": ["x"]}),
        "SARIF": pretty({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": []}),
        "an array": json.dumps([report], indent=2).encode(),
    }


def test_a_damaged_report_is_a_doubt(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other report is in order, so that only the damaged one can decide."""
    good = write(tmp_path / "good.json", pretty(real["armed"]))
    assert ReportRun(capsys, good).status == 0
    for name, text in damaged(real["open"]).items():
        file = write(tmp_path / "bad.json", text)
        report = ReportRun(capsys, good, file, "--json")
        problems = report.facts["files"]["invalid_lines"][str(file)]
        assert (report.status, bool(problems)) == (3, True), name
        assert len(report.facts["machines"]["reports"]) == 1, name
        assert f"in doubt: {file}: " in ReportRun(capsys, good, file).printed, name
        assert ReportRun(capsys, file).status == 3, name


def test_a_report_of_this_command_is_named_after_since(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = write(tmp_path / "events.jsonl", FINE)
    earlier = write(tmp_path / "earlier.json", ReportRun(capsys, events, "--json").printed.encode())
    found = ReportRun(capsys, events, earlier)
    assert found.status == 3
    assert "1 report of `tlsfloor report`: name it after --since" in found.printed


def test_a_huge_document_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LONGEST", reader.LONGEST + 5000)
    many = {"tool": {"name": "tlsfloor"}, "schema": 2, "x": ["x" * 100] * 1000}
    for text in (pretty(many), b'{"schema": 2, ' + json.dumps(many).encode()[1:]):
        file = write(tmp_path / "huge.json", text, b"\n", FINE)
        facts = ReportRun(capsys, file, "--json").facts
        assert facts["files"]["invalid_lines"] == {str(file): {reader.TOO_LONG: 1}}
        assert facts["files"]["event_lines"] == 1


def test_memory_does_not_grow_with_the_size_of_reports(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = pretty(of(real["open"], "a machine"))
    file = write(
        tmp_path / "all.json",
        *(text.replace(b'"a machine"', b'"web-%d"' % number) for number in range(100)),
    )
    ReportRun(capsys, file)  # which imports what it needs
    tracemalloc.start()
    assert ReportRun(capsys, file).status == 1
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < file.stat().st_size / 4


def test_a_thousand_machines_are_one_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [verified(f"web-{number}", 0, "leaks", owner="payments") for number in range(1000)]
    file = write(tmp_path / "all.json", *made)
    written = ReportRun(capsys, file).printed
    assert "1,000 of 1,000 interpreters are flagged" in written
    assert written.count("leaks: /opt/python") == 1
    assert "on 1,000 machines, owner payments" in written
    assert len(ReportRun(capsys, file, "--json").facts["machines"]["findings"]) == 1000
    page = ReportRun(capsys, file, "--format", "html").printed
    assert "and 800 more, which" in page


def test_duckdb_leaves_the_reports_of_machines_to_the_reader(
    real: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have many lines, or are long, and DuckDB sees single lines."""
    parts.need("duckdb")
    found = [of(real[name], f"web-{number}") for number, name in enumerate(real)]
    for number, each in enumerate(found):
        write(tmp_path / "all" / f"{number}.json", pretty(each))
    lines = [json.dumps(each).encode() + b"\n" for each in found]
    write(tmp_path / "all" / "lines.jsonl", FINE, *lines[:9], OLD, *lines[9:])
    write(tmp_path / "all" / "mixed.jsonl", OLD, *map(pretty, found), FINE, pretty(found[0])[:-9])
    write(tmp_path / "all" / "events.jsonl", FINE, OLD, FINE)
    answers = []
    for limit in (10**9, 1):
        monkeypatch.setattr(on_duckdb, "LARGE", limit)
        report = ReportRun(capsys, tmp_path / "all", "--json")
        assert report.messages == ""
        answers.append({**report.facts, "run": "", "created": ""})
    assert answers[0] == answers[1]
    assert len(answers[0]["machines"]["reports"]) == len(found)


# --- which report counts


def test_the_newest_report_counts_in_any_order(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interpreter was armed, another one was removed, and a third one is on another machine."""
    before = of(real["open"], "web-1", 86400)
    gone = copy.deepcopy(before["interpreters"][0])
    gone["path"] = "/gone/bin/python"
    before["interpreters"].append(gone)
    after = of(real["armed"], "web-1")
    after["targets"] = before["targets"]
    after["interpreters"][0]["path"] = before["interpreters"][0]["path"]
    found = [before, after, of(real["open"], "web-2", 900)]
    for order in (found, found[::-1]):
        file = write(tmp_path / "all.json", pretty(*order))
        known = ReportRun(capsys, file, "--json").facts["machines"]["findings"]
        assert [(each["host"], each["verdict"]) for each in known] == [
            ("web-2", real["open"]["interpreters"][0]["verdict"]),
            ("web-1", "enforced"),
        ]
    # A run that was interrupted proves nothing about what it did not reach.
    after.update(finished=False, problems=["interrupted: 1 of 2 are not verified"], exit_status=3)
    facts = ReportRun(capsys, write(tmp_path / "all.json", pretty(*found)), "--json").facts
    names = {each["name"]: each["verdict"] for each in facts["machines"]["findings"]}
    assert names["/gone/bin/python"] == gone["verdict"]
    assert facts["machines"]["doubts"] == ["web-1: verify: interrupted: 1 of 2 are not verified"]


def test_another_image_floor_role_or_folder_is_another_scope(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newer report replaces nothing that it does not cover."""
    old = of(real["open"], "web-1", 86400, image="shop:1")
    new = of(real["armed"], "web-1", image="shop:1")
    new["targets"] = old["targets"]
    new["interpreters"][0]["path"] = old["interpreters"][0]["path"]

    def hosts(**changes: Any) -> int:
        run = {**new["run"], **changes.pop("run", {})}
        made = {**new, **changes, "run": run}
        file = write(tmp_path / "all.json", pretty(old, made))
        return len(ReportRun(capsys, file, "--json").facts["machines"]["findings"])

    assert hosts() == 1  # the control
    assert hosts(roles=["server"]) == 2
    assert hosts(evidence="handshake") == 2
    assert hosts(floor="1.3") == 2
    assert hosts(targets=["/opt"]) == 2
    assert hosts(run={"labels": {"image": "shop:2"}}) == 2
    assert hosts(run={"labels": {"image": "shop:1", "owner": "payments"}}) == 2
    assert hosts(run={"labels": {"image": "shop:1", "service": "shop"}}) == 2
    assert hosts(run={"host": "web-2"}) == 2


def test_machines_of_equal_names_are_told_apart_by_a_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the newer report would replace that of another machine."""
    made = [
        verified("localhost", 60, "leaks", host="rack-1"),
        verified("localhost", 0, "enforced", host="rack-2"),
    ]
    facts = ReportRun(capsys, write(tmp_path / "all.json", *made), "--json").facts
    found = [(each["host"], each["verdict"]) for each in facts["machines"]["findings"]]
    assert found == [("rack-1", "leaks"), ("rack-2", "enforced")]


def test_a_process_may_get_a_floor(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [of(real["no floor"], "web-1", 900), of(real["held"], "web-1")]
    assert ReportRun(capsys, write(tmp_path / "status.json", pretty(*found))).status == 0
    found = [of(real["no floor"], "web-1"), of(real["held"], "web-1", 900)]
    assert ReportRun(capsys, write(tmp_path / "status.json", pretty(*found))).status == 1


@pytest.mark.parametrize("own", [{"directory": "/srv/mail"}, {"user_id": 4711}])
def test_two_services_may_share_an_interpreter(
    own: dict[str, Any], real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newer one, which holds a floor, does not speak for the other one."""
    found = [of(real["no floor"], "web-1", 900), of(real["held"], "web-1")]
    found[1]["run"].update(own)
    assert ReportRun(capsys, write(tmp_path / "status.json", pretty(*found))).status == 1


def test_a_wrong_clock_is_a_doubt(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report of the future would hide every later one."""
    found = [of(real["armed"], "web-1", -10 * 86400), of(real["open"], "web-1")]
    found[1]["targets"] = found[0]["targets"]
    found[1]["interpreters"][0]["path"] = found[0]["interpreters"][0]["path"]
    report = ReportRun(capsys, write(tmp_path / "all.json", pretty(*found)), "--json")
    assert report.status == 1
    report = ReportRun(capsys, write(tmp_path / "all.json", pretty(found[0])), "--json")
    assert report.status == 3
    assert "web-1: verify: its clock is wrong" in report.facts["machines"]["doubts"][0]
    # It may be newer than the others, so it neither replaces them nor is replaced.
    found = [of(real["armed"], "web-1"), of(real["open"], "web-1")]
    found[1]["targets"] = found[0]["targets"]
    found[1]["interpreters"][0]["path"] = found[0]["interpreters"][0]["path"]
    found[1]["run"]["time"] = "1970-01-01T00:00:10Z"
    for order in (found, found[::-1]):
        report = ReportRun(capsys, write(tmp_path / "all.json", pretty(*order)), "--json")
        assert report.status == 1
        assert report.facts["machines"]["doubts"]


# --- whose it is


def test_equal_findings_are_one_entry_with_their_machines(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"owner": "payments", "image": "shop:1.2"}
    found = [of(real["open"], f"web-{number}", **labels) for number in range(9)]
    found += [of(real["uncovered"], "db-1", owner="data")]
    random.Random(1).shuffle(found)
    written = ReportRun(capsys, write(tmp_path / "all.json", pretty(*found))).printed
    assert "9 of 9 interpreters, 1 of 1 library are flagged\n" in written
    assert written.count("/open/bin/python") == 1
    assert "    on 9 machines, owner payments, image shop:1.2, reported 20" in written
    assert "    on db-1, owner data, reported 20" in written


def test_old_connections_are_shown_with_the_owners_of_their_machines(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [of(real["armed"], "web-1", owner="payments"), of(real["held"], "web-2", owner="shop")]
    events = [handshake("TLS 1.0", host=host) for host in ("web-1", "web-2", "web-3")]
    file = write(tmp_path / "all.json", pretty(*found), *events)
    for kind in ("text", "html"):
        written = ReportRun(capsys, file, "--format", kind).printed
        assert "on web-1, web-2 and web-3 (owner payments and shop)" in written


HOSTILE = "\x1b[2J\0\udcff]]>&<script>alert(1)</script>\"'é\u202e\n\r[red]x[/red]"


def test_a_hostile_name_is_escaped(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = of(real["not started"], HOSTILE, owner=HOSTILE, image=HOSTILE)
    found["interpreters"][0].update(path=HOSTILE, reasons=[HOSTILE], implementation=HOSTILE)
    file = write(tmp_path / "all.json", pretty(found))
    facts = ReportRun(capsys, file, "--json").facts
    assert facts["machines"]["findings"][0]["owner"] == HOSTILE
    written = ReportRun(capsys, file).printed
    assert all(line.isprintable() for line in written.splitlines())
    page = ReportRun(capsys, file, "--format", "html").printed
    assert "<script" not in page
    assert "\x1b" not in page
    assert "alert(1)" in page


VERIFIED = st.builds(
    verified,
    st.sampled_from(["web-1", "web-2"]),
    st.sampled_from([-9e6, 0, 60, 120]),
    st.sampled_from(["leaks", "enforced", "inconclusive"]),
    st.sampled_from(["/opt/a", "/opt/b"]),
    image=st.sampled_from(["shop:1", "shop:2"]),
)


@given(st.data(), st.lists(VERIFIED, max_size=8))
@settings(max_examples=50, deadline=None)
def test_the_order_of_reports_makes_no_difference(data: st.DataObject, made: list[Any]) -> None:
    for number, each in enumerate(made):
        if number % 3 == 0:
            each.update(finished=False, problems=["interrupted"])
            each["exit_status"] = each["exit_status"] or 3
    answers = []
    for order in (made, data.draw(st.permutations(made)), [*made, *made]):
        known = machines.Machines()
        assert [known.take(each) for each in order] == [""] * len(order)
        answers.append((known.findings(), known.doubts(), known.newest, known.hosts))
    assert answers[0] == answers[1] == answers[2]
    # What the newest reports say is there: no report hides another one of its time.
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    valid = [each for each in made if each["run"]["time"] <= now]
    newest = max((each["run"]["time"] for each in valid), default="")
    names = {(found.host, found.image, found.name) for found in answers[0][0]}
    for each in valid:
        run, path = each["run"], each["interpreters"][0]["path"]
        if run["time"] == newest:
            assert (run["host"], run["labels"]["image"], path) in names


def test_the_same_doubt_about_two_folders_is_kept() -> None:
    """Only one of them was examined again."""
    known = machines.Machines()
    for targets, ago, problems in ((["/a"], 9, ["why"]), (["/b"], 5, ["why"]), (["/b"], 1, [])):
        made = verified("web-1", ago, "inconclusive")
        made.update(targets=targets, problems=problems)
        assert known.take(made) == ""
    assert known.doubts() == ["web-1: verify: why"]


def test_an_object_that_is_no_report_counts_nothing() -> None:
    known = machines.Machines()
    for bad in ({"tool": 5}, {"tool": {"name": ["tlsfloor"]}}, {"tool": {"name": "tlsfloor"}}):
        assert known.take(bad) in (machines.DAMAGED, machines.OTHER_TOOL)
    assert (known.reports, known.hosts) == (0, {})


def test_lines_are_joined_only_where_a_document_begins() -> None:
    text = b'{\n  "a": 1\n}\n{"b": 2}\n{\n "c": {\n{\n"d": 4}\n}\nnot\n{"e": 5}\n'
    joined = [*documents.joined(iter(io.BytesIO(text)))]
    assert joined == [
        b'{\n  "a": 1\n}\n',
        b'{"b": 2}\n',
        b'{\n "c": {\n',
        b'{\n"d": 4}\n}\n',
        b"not\n",
        b'{"e": 5}\n',
    ]
    assert b"".join(joined) == text


# --- the guide


def test_the_guide_makes_a_report_on_a_fleet(tmp_path: Path) -> None:
    parts.need("rich", "tlslite")
    parts.need_program("sh")
    blocks = [guides.block("how-to/report.md", name) for name in ("fleet", "since")]
    commands = guides.commands("".join(blocks))
    # A report has the second in which it was made, and the next one must be newer.
    script = "".join(
        "sleep 1\n" * ("--output monday" in command) + f"{command}\n" for command, _ in commands
    )
    found = guides.run(script, tmp_path)
    shown = re.escape("".join(printed for _, printed in commands)).replace("…", ".*")
    assert re.fullmatch(shown, found.strip() + "\n"), found
    assert (tmp_path / "fleet.html").exists()
