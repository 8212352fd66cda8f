"""The benchmarks run, and the page shows what they wrote. What they measure is not tested."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import parts
import pytest
from programs import python

ROOT = Path(__file__).parents[2]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    parts.need("pyperf")
    return python(*args, cwd=ROOT)


@pytest.mark.parametrize(
    "name",
    ["starts", "gates", "metrics", "data", "threads", "verifier", "commands", "many", "fleet"],
)
def test_a_program_runs_and_writes_its_samples(name: str, tmp_path: Path) -> None:
    if name in ("starts", "gates"):
        parts.need_program("valgrind")
    if name in ("gates", "metrics", "data"):
        parts.need("trustme")
    if name == "metrics":
        parts.need("opentelemetry.sdk")
    done = run("-m", "benchmarks", name, "--quick", "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr
    suite = json.loads((tmp_path / f"{name}.json").read_text())
    everywhere = suite["metadata"]
    assert everywhere["tlsfloor"] and everywhere["cpu_count"]
    for each in suite["benchmarks"]:
        known = {**everywhere, **each.get("metadata", {})}
        (made,) = each["runs"]
        known.update(made.get("metadata", {}))
        assert {"row", "variant", "beside", "unit"} <= known.keys()
        assert min(made["values"]) > 0
    assert len(suite["benchmarks"]) > 1


def test_an_unknown_program_is_named() -> None:
    done = run("-m", "benchmarks", "nosuch")
    assert done.returncode == 2
    assert "no such program: nosuch" in done.stderr


def test_the_page_shows_the_results() -> None:
    program = "from benchmarks import page; print(page.written() == page.PAGE.read_text('utf-8'))"
    done = run("-c", program)
    assert done.stdout == "True\n", done.stderr


def test_the_page_about_a_fleet_shows_the_results() -> None:
    program = (
        "from benchmarks import fleet_page as page; "
        "print(page.written() == page.PAGE.read_text('utf-8'))"
    )
    done = run("-c", program)
    assert done.stdout == "True\n", done.stderr
