"""Condensed events: a report on them is the report on the events, and damage is noticed."""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import need

import outputs
from events import BEGIN, event, handshake, many, write
from programs import clean_environment, python
from reports import FINE, OLD, ReportRun, any_events, set_small_limits
from tlsfloor.report import condensed, reader, tally
from tlsfloor.report.as_html import report_html
from tlsfloor.report.as_json import report_facts, report_json
from tlsfloor.report.as_text import report_text
from tlsfloor.report.impact import Impact
from tlsfloor.report.reader import EventFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The machine on which files are read. It is sorted before their names.
HOST = "a machine"


class Read:
    """What was read of some files."""

    def __init__(self, *files: bytes, first: int = 0) -> None:
        self.tally = tally.Tally()
        self.files = EventFiles(self.tally)
        for number, content in enumerate(files, first):
            self.files.read_file(f"file {number}", io.BufferedReader(io.BytesIO(content)))
        self.files.finish()

    @property
    def condensed(self) -> bytes:
        return "".join(condensed.condensed_lines(self.tally, self.files, HOST)).encode()

    @property
    def impact(self) -> Impact:
        return Impact("1.2", self.tally, self.files, "0")

    @property
    def reports(self) -> list[str]:
        """Every kind of report, without what differs if the files are other ones."""
        impact = self.impact
        written = (report_text(impact), report_html(impact), report_json(impact))
        return [re.sub(rf'{HOST}:(?=file \d)|in \d files?|"read": \d', "", w) for w in written]


def lines_of(made: list[dict[str, Any]], *more: bytes) -> bytes:
    return b"".join([*(json.dumps(each).encode() + b"\n" for each in made), *more])


# --- the same report


@given(
    st.lists(any_events(12), min_size=3, max_size=3),
    st.sampled_from([b"", b"not JSON\n", b'{"schema": 1, "torn\n', b'{"schema": 1}\n']),
    st.randoms(use_true_random=False),
    st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_a_report_on_condensed_events_is_the_report_on_the_events(
    made: list[list[dict[str, Any]]], bad: bytes, chance: random.Random, small: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if small:
            set_small_limits(patch)
        patch.setattr(time, "time", lambda: BEGIN + 10**8)
        # Equal events of two machines would look like the same output, read twice.
        own = [event("armed", host=f"machine {number}") for number in range(3)]
        parts = [lines_of([*each, mark], bad) for each, mark in zip(made, own)]
        raw = Read(*parts)
        halves = [Read(part, first=at).condensed for at, part in enumerate(parts)]
        assert Read(*halves).reports == raw.reports
        # The order of lines, and which file they are in, makes no difference.
        mixed = [line for half in halves for line in half.splitlines(keepends=True)]
        chance.shuffle(mixed)
        assert Read(b"".join(mixed[::2]), b"".join(mixed[1::2])).reports == raw.reports
        # Machines, then clusters, then the fleet; and with events that are not condensed yet.
        cluster = Read(*halves[:2]).condensed
        assert Read(cluster, halves[2]).reports == raw.reports
        assert Read(Read(cluster, halves[2]).condensed).reports == raw.reports
        assert Read(cluster, parts[2], first=1).reports == raw.reports
        assert Read(cluster, halves[2]).tally.hosts == raw.tally.hosts
        assert Read(*parts).condensed == raw.condensed
        for line in cluster.splitlines():
            assert len(line) < reader.LONGEST
            outputs.validate_json("condensed", json.loads(line))


def test_a_few_lines_have_the_same_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "events.jsonl", *many(3000))
    out = tmp_path / "condensed.jsonl"
    for words in ((out, file), ("-", file)):
        run = ReportRun(capsys, "--condense", *words)
        assert (run.status, run.messages) == (0, "")
    assert run.printed == out.read_text()
    assert outputs.validate(run.printed) == "condensed"
    assert len(run.printed.splitlines()) < 20
    differs = {"sources", "created", "run"}
    facts = [ReportRun(capsys, each, "--json").facts for each in (file, out)]
    assert {name for name in facts[0] if facts[0][name] != facts[1][name]} <= differs
    # What is new is added to what is condensed already.
    new = write(tmp_path / "new.jsonl", handshake("TLS 1.0", host="web-99"))
    assert ReportRun(capsys, "--condense", out, out, new).status == 0
    facts = [ReportRun(capsys, *each, "--json").facts for each in ((file, new), (out,))]
    assert facts[0]["rows"] == facts[1]["rows"]


def test_the_longest_line_can_be_read() -> None:
    longest = "\U0001f512" * tally.LONGEST_TEXT + "x"
    texts = ("stack", "program", "where", "library", "server_name", "peer", "suite", "text")
    made = [
        event(host=f"{number:02}{longest}", role=longest, **dict.fromkeys(texts, longest))
        for number in range(40)
    ]
    written = Read(lines_of(made)).condensed
    assert max(map(len, written.splitlines())) < reader.LONGEST
    again = Read(written)
    assert not again.files.problems()
    assert again.tally.total("count") == 40


def test_a_problem_of_a_file_stays_a_doubt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = write(tmp_path / "good.jsonl", FINE), write(tmp_path / "bad.jsonl", FINE, b"x\n")
    for targets, why in (
        ((good, bad), f"{bad}: lines that are not events: 1 not JSON"),
        ((good, tmp_path / "missing"), f"{tmp_path / 'missing'}: No such file"),
    ):
        first, second = tmp_path / "first", tmp_path / "second"
        run = ReportRun(capsys, "--condense", first, *targets)
        assert run.status == 3
        assert f"warning: {why}" in run.messages
        assert ReportRun(capsys, "--condense", second, first).status == 3
        run = ReportRun(capsys, second)
        assert run.status == 3
        assert re.search(rf"in doubt: [^:]+:{re.escape(why)}", run.printed)
    assert ReportRun(capsys, "--condense", first, good).status == 0
    assert ReportRun(capsys, first).status == 0


def test_events_of_the_future_are_counted_without_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = lines_of([FINE, {**FINE, "time": BEGIN + 10**8, "host": "late"}])
    monkeypatch.setattr(time, "time", lambda: BEGIN + 86400.0)
    for facts in (report_facts(Read(made).impact), report_facts(Read(Read(made).condensed).impact)):
        assert (facts["events"], facts["lines_without_time"]) == (2, 1)
        assert facts["last"] == "2025-03-03T08:00:00Z"
    # A reader whose clock is behind that of the machine where they were condensed.
    monkeypatch.setattr(time, "time", lambda: BEGIN + 2 * 10**8)
    ahead = Read(made).condensed
    monkeypatch.setattr(time, "time", lambda: BEGIN + 86400.0)
    behind = Read(ahead)
    facts = report_facts(behind.impact)
    assert (facts["events"], facts["lines_without_time"], facts["last"]) == (2, 2, None)
    assert behind.tally.hosts == {"web-1": BEGIN, "late": 0}
    assert facts["exit_status"] == 0


def test_the_output_is_small_whatever_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"ROWS": 50, "NAMES": 60, "MACHINES": 70, "PAIRS": 70}.items():
        monkeypatch.setattr(tally, f"MOST_{name}", most)
    made = [
        handshake(name, server_name=f"{number}.example", program=f"{number}", host=f"{number}")
        for number in range(2000)
        for name in ("TLS 1.0", "TLS 1.2", "TLS 1.3")
    ]
    written = Read(lines_of(made)).condensed
    assert len(written.splitlines()) < 3 * 50 + 100
    facts = report_facts(Read(written).impact)
    assert [each["count"] for each in facts["handshakes"]] == [2000, 2000, 2000]
    assert Read(written).impact.scope()[1:2] == ["more than 60 programs"]


# --- what is not whole


@pytest.fixture(scope="module")
def output() -> bytes:
    made = [FINE, OLD, {**FINE, "host": "web-2", "mode": "enforce"}]
    return Read(lines_of(made, b"x\n"), lines_of([])).condensed


def problems(*files: bytes) -> list[str]:
    """Return what is wrong with condensed events, but for the line that was bad before."""
    return [each for each in Read(*files).files.problems() if not each.startswith(HOST)]


def test_a_line_that_is_missing_doubled_or_changed_is_noticed(output: bytes) -> None:
    lines = output.splitlines(keepends=True)
    assert len(lines) > 5
    assert problems(output) == []
    assert problems(output.replace(b"\n", b"\r\n")[:-2]) == []
    for number, line in enumerate(lines):
        others = [*lines[:number], *lines[number + 1 :]]
        [problem] = problems(b"".join(others))
        assert "is cut short" in problem or "1 of its" in problem
        assert problems(*others, line) == []  # a control: in another file
        [problem] = problems(output, line)
        assert "is damaged" in problem
        for other in others[:2]:
            assert problems(b"".join([*others, other]))
        for found in re.finditer(rb"\d+", line):
            changed = line[: found.start()] + b"7" + line[found.start() + 1 :]
            assert changed == line or problems(b"".join([*others, changed]))
    for size in range(1, len(output), 97):
        assert problems(output[:size])


def test_an_output_that_is_read_twice_is_noticed(output: bytes) -> None:
    [problem] = problems(output, output)
    assert "file 0: condensed output" in problem
    assert problem.endswith("was read 2 times, also in file 1")
    [problem] = problems(output * 3)
    assert problem.endswith("was read 3 times")
    new = Read(lines_of([handshake(host="web-3")])).condensed
    assert problems(output, new) == []
    above = Read(output, new).condensed
    assert problems(above) == []
    for again in (output, new, Read(new, lines_of([FINE])).condensed):
        [problem] = problems(above, again)
        assert "has 1 output in common with" in problem
        assert "counted twice" in problem
    assert "counted twice" in Read(Read(above, new).condensed).files.problems()[0]
    # Without events, nothing is counted twice.
    empty = Read(lines_of([])).condensed
    assert problems(empty, empty, output) == []
    assert Read(empty).impact.status == 3


def test_schemas_are_mixed(output: bytes) -> None:
    read = Read(lines_of([OLD]) + output, lines_of([FINE]))
    assert read.tally.total("count") == 5
    assert read.files.events == 5


def test_no_damage_causes_a_traceback_or_counts_half_a_line(output: bytes) -> None:
    lines = [json.loads(line) for line in output.splitlines()]

    @given(st.data())
    @settings(deadline=None)
    def damaged(data: st.DataObject) -> None:
        line = dict(data.draw(st.sampled_from(lines)))
        key = data.draw(st.sampled_from([*line, "rest", "more", "why", "untimed", "invalid"]))
        leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
        line[key] = data.draw(
            st.recursive(leaf, lambda inner: st.lists(inner, max_size=2)).flatmap(
                lambda value: st.sampled_from([value, {"x": value}, [[value, value]], 10**40])
            )
        )
        read = Read(lines_of([line]))
        read.files.finish()
        if read.files.invalid == {"file 0": {reader.NO_EVENT: 1}}:
            assert read.tally.total("count") == 0
            assert not read.tally.hosts
        for write_it in (report_json, report_text, report_html):
            write_it(read.impact)
        assert read.impact.status in (1, 3)

    damaged()


def test_the_number_of_outputs_is_limited(output: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condensed, "MOST_OUTPUTS", 1)
    other = Read(lines_of([FINE])).condensed
    assert problems(output) == []
    assert reader.NO_EVENT in problems(output, other)[0]


# --- the command


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Path]]:
    """Two files of events whose condensed lines differ, and are more than 20,000 bytes."""
    return [
        write(
            tmp_path / f"{name}.jsonl",
            *(handshake(server_name=f"{name}-{number}.example") for number in range(100)),
        )
        for name in ("a", "b")
    ]


def test_two_writers_of_one_file_leave_one_of_them_whole(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    expected = {ReportRun(capsys, "--condense", "-", file).printed for file in two}
    out = str(folder / "out.jsonl")
    command = [sys.executable, "-m", "tlsfloor", "report", "--condense", out]
    running = [subprocess.Popen([*command, str(file)], env=clean_environment()) for file in two * 2]
    assert [each.wait() for each in running] == [0] * 4
    assert [each.name for each in folder.iterdir()] == ["out.jsonl"]
    assert (folder / "out.jsonl").read_text() in expected


def test_a_full_disk_leaves_the_file_as_it_was(two: list[Path], tmp_path: Path) -> None:
    need("resource")
    out = tmp_path / "out.jsonl"
    out.write_text("before")
    program = """
import resource, sys
from tlsfloor import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(cli.main(["report", "--condense", *sys.argv[2:]]))
"""
    done = python("-c", program, "20000", str(out), str(two[0]))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {out} cannot be written: File too large")
    assert "hint: --condense FILE" in done.stderr
    assert out.read_text() == "before"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl", "out.jsonl"]
    assert python("-c", program, "200000", str(out), str(two[0])).returncode == 0
    assert out.stat().st_size > 20000


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (("--condense", "{0}/x.jsonl", "{0}"), "would read it", "another folder"),
        (("--condense", "{0}/x.jsonl", "{0}/a.jsonl", "--json"), "writes no report", "--condense"),
        (("--condense", "{0}/no/x", "{0}"), "cannot be written", "mkdir -p"),
        (("--condense", "{0}", "{0}/a.jsonl"), "Is a directory", "--condense FILE"),
        (("--output", "{0}/a.jsonl", "{0}"), "would read it", "another folder"),
        (("--condense", "{0}/a.jsonl", "{0}/a.jsonl"), "would be replaced", "another file"),
        (("--output", "{0}/./a.jsonl", "{0}/a.jsonl"), "would be replaced", "another file"),
    ],
)
def test_a_wrong_call_writes_nothing(
    words: tuple[str, ...],
    problem: str,
    hint: str,
    two: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [path.read_bytes() for path in two]
    run = ReportRun(capsys, *(word.format(tmp_path) for word in words))
    assert run.status == 2
    assert [path.read_bytes() for path in two] == before
    assert problem in run.messages
    assert hint in run.messages.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == two
