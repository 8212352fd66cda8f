"""The same answer from each engine that groups lines of events, however damaged they are."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import damage
import parts
from events import handshake, many, write
from reports import ReportRun, answer
from tlsfloor.report import groups, on_duckdb, reader, tally
from tlsfloor.report.on_duckdb import DuckDB
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import Tally


@pytest.fixture
def by_duckdb(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let DuckDB read files of any size; return the warnings."""
    parts.need("duckdb")
    monkeypatch.setattr(on_duckdb, "LARGE", 1)
    return []


def counted_by_duckdb(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets how many files DuckDB read, each time."""
    counts: list[int] = []
    judge = on_duckdb._judge

    def spy(files: EventFiles, base: object, known: Any) -> None:
        counts.append(len(known))
        judge(files, base, known)

    monkeypatch.setattr(on_duckdb, "_judge", spy)
    return counts


# --- DuckDB


@pytest.mark.parametrize("returns", [True, False], ids=["with returns", "without"])
def test_duckdb_gives_the_answer_of_the_reader(
    by_duckdb: list[str], monkeypatch: pytest.MonkeyPatch, returns: bool
) -> None:
    counts = counted_by_duckdb(monkeypatch)

    @settings(max_examples=12, deadline=None)
    @given(st.integers(0, 2**32))
    def same(seed: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            named = damage.write_files(Path(folder, "x"), 700, seed, returns=returns)
            targets = [Path(folder), *named, Path(folder, "none.jsonl")]
            found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), *targets)
            assert found == answer(EventFiles(Tally()), *targets)
            assert found["facts"]["events"] > 500

    same()
    assert not by_duckdb
    # Else the reader was compared with itself. How many files it takes depends on their damage.
    assert returns or sum(counts) >= 3 * len(counts), counts


def test_a_named_file_without_content_is_a_doubt(by_duckdb: list[str], tmp_path: Path) -> None:
    blank, event = tmp_path / "blank.jsonl", write(tmp_path / "e.jsonl", handshake("TLS 1.3"))
    blank.write_bytes(b"\n  \n\n")
    found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), blank, event)
    assert found["facts"]["files"]["unreadable"] == {str(blank): "no event and no report in it"}
    assert found == answer(EventFiles(Tally()), blank, event)
    assert not by_duckdb


def test_without_a_folder_for_temporary_files_the_reader_reads(
    by_duckdb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container may have a file system that nobody can write to."""
    path = write(tmp_path / "e.jsonl", handshake("TLS 1.0"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), path)
    [warning] = by_duckdb
    assert "DuckDB failed, so the files are read without it" in warning
    assert found == answer(EventFiles(Tally()), path)


def test_a_duckdb_that_cannot_be_imported_is_named(
    by_duckdb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(tmp_path / "e.jsonl", handshake("TLS 1.0"))
    (tmp_path / "duckdb.py").write_text("raise RuntimeError('another processor')")
    monkeypatch.delitem(sys.modules, "duckdb")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), path)
    [warning] = by_duckdb
    assert warning.endswith("more slowly: another processor")
    assert found == answer(EventFiles(Tally()), path)


def test_ctrl_c_in_a_query_ends_the_report_without_an_answer(
    by_duckdb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """DuckDB ends a query by an error of another type. Exit status 1 would be an answer."""
    path = write(tmp_path / "e.jsonl", handshake())
    endless = "SELECT max(hash(range)) FROM range(100000000000)"
    monkeypatch.setattr(on_duckdb, "_find", lambda base, *_: base.execute(endless))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    # In the background of a script, SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not by_duckdb


def test_a_failure_amid_the_answer_counts_nothing_twice(
    by_duckdb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(tmp_path / "e.jsonl", handshake(), handshake("TLS 1.2"))
    rows = on_duckdb._rows

    def failing(found: Any) -> Any:
        yield next(rows(found))
        raise OSError("the disk is full")

    monkeypatch.setattr(on_duckdb, "_rows", failing)
    facts = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), path)["facts"]
    assert facts["events"] <= 2
    assert facts["exit_status"] == 3
    assert facts["files"]["unreadable"] == {str(path): "not read to its end: the disk is full"}


def test_beyond_the_limits_of_a_report_the_answer_is_the_same(
    by_duckdb: list[str], tmp_path: Path
) -> None:
    made = [
        handshake("TLS 1.0", program=f"/srv/{n % 7000}.py", host=f"h{n % 900}", time=1.7e9 + n * 60)
        for n in range(9000)
    ]
    write(tmp_path / "e.jsonl", *made)
    found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), tmp_path)
    assert found == answer(EventFiles(Tally()), tmp_path)
    assert any(row["summed"] for row in found["facts"]["rows"])


def test_at_the_limits_of_the_query_the_answer_is_the_same(
    by_duckdb: list[str], tmp_path: Path
) -> None:
    """What is longer than the query looks at stays in the key, and is judged all the same."""
    line = json.dumps(handshake("TLS 1.0", time=1, host="h", count=1))
    made = [
        line.replace(before, after + made)
        for before, after, values in (
            ('"time": 1', '"time": ', (tally.EARLIEST - 1, tally.EARLIEST, "1740988800.1234567")),
            ('"time": 1', '"time": ', ("1740988800.12345678", 9_999_999_999, 10_000_000_000)),
            ('"count": 1', '"count": ', (tally.MOST_COUNTED - 1, tally.MOST_COUNTED)),
            ('"count": 1', '"count": ', (tally.MOST_COUNTED + 1, tally.MOST_COUNTED // 10)),
            ('"pid": 71', '"pid": ', ("9" * 18, "9" * 19)),
            ('"host": "h"', '"host": ', [f'"{"h" * size}"' for size in (120, 126, 127, 128, 140)]),
        )
        for made in map(str, values)
    ]
    for size in (groups._GROUPED, reader.LONGEST):
        made += [
            line[:-1] + f', "x": "{"x" * (size + more - len(line) - 9)}"}}' for more in (-1, 0)
        ]
    write(tmp_path / "e.jsonl", *(f"{line}\n".encode() for line in made))
    found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), tmp_path)
    assert found == answer(EventFiles(Tally()), tmp_path)
    assert found["facts"]["files"]["event_lines"] > 15
    assert not by_duckdb


@pytest.mark.parametrize("forged", ['"host": "? any host ?"', '"time": -15e86', '"count": -87'])
def test_a_line_that_has_what_the_query_writes_is_of_no_other_machine(
    forged: str, by_duckdb: list[str], tmp_path: Path
) -> None:
    line = json.dumps(handshake("TLS 1.0", host="web-2"))
    lines = (line[:-1] + f", {forged}}}\n", line[:-1] + f", {forged.replace(': ', ':')}}}\n")
    write(tmp_path / "e.jsonl", handshake(), *map(str.encode, lines))
    found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), tmp_path)
    assert found == answer(EventFiles(Tally()), tmp_path)
    hosts = {each["host"] for each in found["facts"]["last_seen"]}
    assert ("web-2" in hosts) == ("time" in forged)


# --- what other engines write


def rows_by_duckdb(query: str, file: Path) -> bytes:
    import duckdb

    from tlsfloor.report.on_duckdb import _LINES, _READ

    out = file.with_name("rows")
    with duckdb.connect() as base:
        read = _READ.format(paths=f"['{file}']", compression="'none'")
        base.execute(f"CREATE TEMP VIEW found_lines AS FROM {read}")
        base.execute(_LINES)
        base.execute(f"COPY ({query}) TO '{out}' (FORMAT json)")
    return out.read_bytes()


def rows_by_clickhouse(query: str, file: Path) -> bytes:
    import chdb

    lines = f"SELECT _path AS path, line FROM file('{file}', 'LineAsString', 'line String')"
    text = query.replace("WITH begun", f"WITH lines AS ({lines}), begun", 1)
    return bytes(chdb.query(text, "JSONEachRow").bytes())


ENGINES = {"duckdb": rows_by_duckdb, "clickhouse": rows_by_clickhouse}


@pytest.fixture(params=ENGINES)
def rows(request: pytest.FixtureRequest, tmp_path: Path, capsys: Any) -> tuple[Path, Path]:
    """Return a file of events, and one with what an engine made of it by the printed query."""
    parts.need("sqlglot", {"clickhouse": "chdb"}.get(request.param, request.param))
    clean = request.param == "duckdb"  # it does not read lines that are not UTF-8
    share = 0 if clean else 0.2
    file = tmp_path / "e.jsonl"
    file.write_bytes(b"\n".join(damage.lines(1500, 7, share, returns=False)))
    query = ReportRun(capsys, "--sql", request.param)
    assert (query.status, query.messages) == (0, "")
    written = tmp_path / "rows.jsonl"
    written.write_bytes(ENGINES[request.param](query.printed, file))
    return file, written


def judged(files: EventFiles, *targets: Path) -> Any:
    facts = answer(files, *targets)["facts"]
    del facts["sources"]
    return facts


def test_what_another_engine_wrote_gives_the_same_answer(rows: tuple[Path, Path]) -> None:
    file, written = rows
    expected = judged(EventFiles(Tally()), file)
    assert judged(EventFiles(Tally()), written) == expected
    assert expected["events"] > 1000
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(reversed(lines)))  # the order does not matter
    assert judged(EventFiles(Tally()), written) == expected


def test_what_another_engine_wrote_must_be_complete(
    rows: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, written = rows
    lines = written.read_bytes().splitlines(keepends=True)
    for cut in (lines[1:], lines[:-1], lines[: len(lines) // 2]):
        written.write_bytes(b"".join(cut))
        facts = ReportRun(capsys, written, "--json").facts
        assert "is incomplete" in facts["files"]["unreadable"][str(written)]
        assert facts["exit_status"] != 0


def test_what_another_engine_wrote_is_not_read_twice(
    rows: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, written = rows
    assert ReportRun(capsys, written, "--json").facts["files"]["unreadable"] == {}
    again = tmp_path / "again.jsonl"
    again.write_bytes(written.read_bytes())
    facts = ReportRun(capsys, written, again, "--json").facts
    assert "was read twice" in facts["files"]["unreadable"][str(written)]


@pytest.mark.parametrize("dialect", ["athena", "clickhouse", "duckdb", "spark", "trino"])
def test_a_printed_query_is_valid_in_its_dialect(
    dialect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts.need("sqlglot")
    import sqlglot

    printed = ReportRun(capsys, "--sql", dialect).printed
    [parsed] = sqlglot.parse(printed, read=dialect, error_level=sqlglot.ErrorLevel.RAISE)
    assert parsed is not None
    assert parsed.sql(dialect, pretty=True).split() == printed.split()


def test_wrong_calls_have_a_hint(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["--sql", "oracle"], ["--sql", "trino", tmp_path], []):
        with pytest.raises(SystemExit) if words[1:] == ["oracle"] else contextlib.nullcontext():
            assert ReportRun(capsys, *words).status == 2
        if words[1:] != ["oracle"]:
            assert "hint: tlsfloor report" in ReportRun(capsys, *words).messages


def test_a_failure_of_duckdb_is_a_warning_and_the_answer_is_the_same(
    by_duckdb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "e.jsonl", *many(3000))
    monkeypatch.setitem(on_duckdb.SETTINGS, "memory_limit", "1KB")
    found = answer(EventFiles(Tally(), engine=DuckDB(by_duckdb.append)), file)
    assert found == answer(EventFiles(Tally()), file)
    [warning] = by_duckdb
    assert warning.startswith("DuckDB failed, so the files are read without it, more slowly: ")
    assert "\n" not in warning


@pytest.mark.parametrize(
    "wrong", [{"missing": 9}, {"lines": -3}, {"lines": 0}, {"key": None}, {"lines": "x"}]
)
def test_a_row_that_no_engine_wrote_is_a_doubt(
    wrong: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = handshake("TLS 1.3")
    row = {"schema": 2, "key": json.dumps(line), "path": "a", "lines": 1}
    rows = [{**row, "missing": missing} for missing in (6, 5, 3)] + [{**row, "missing": 7}]
    right = ReportRun(capsys, write(tmp_path / "rows.jsonl", *rows), "--json")
    assert (right.status, right.facts["events"]) == (0, 1)
    report = ReportRun(
        capsys, write(tmp_path / "rows.jsonl", *rows, {**row, "missing": 6, **wrong})
    )
    assert report.status == 3
