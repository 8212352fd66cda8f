"""The day of a fleet that the benchmarks write is what processes write, and the report reads it."""

from __future__ import annotations

import json
from pathlib import Path

import outputs
import pytest
from programs import python
from reports import ReportRun

ROOT = Path(__file__).parents[2]
LINES = 16_000


def day(folder: Path, *options: str) -> list[bytes]:
    """Write a day; return its files."""
    command = ["-m", "benchmarks.fleet_events", str(folder), "--lines", str(LINES), *options]
    done = python(*command, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_the_report_reads_a_day_and_finds_each_damaged_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = day(tmp_path, "--damage", "100")
    assert sum(len(file.splitlines()) for file in files) == LINES
    facts = ReportRun(capsys, tmp_path, "--format", "json").facts
    invalid = facts["files"]["invalid_lines"]
    wrong = [problem for file in invalid.values() for problem in file]
    damaged = sum(sum(file.values()) for file in invalid.values())
    assert facts["files"]["event_lines"] + damaged == LINES
    assert 20 < damaged < 200
    assert {"not JSON", "not text", "of another schema", "too long", "truncated"} < {*wrong}
    assert facts["lines_without_time"]  # of the host without a clock
    validator = outputs.validator_of("event")
    lines = [line for file in files for line in file.splitlines()[:40] if b"\xff" not in line]
    whole = [line for line in lines if line.endswith(b"}") and b"99," not in line]
    assert len(whole) > 500
    for line in whole:
        validator.validate(json.loads(line))


def test_a_day_with_the_same_seed_is_the_same(tmp_path: Path) -> None:
    first, again = (day(tmp_path / name, "--seed", "1") for name in ("first", "again"))
    assert first == again
