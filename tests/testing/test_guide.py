"""The page about suites, followed from top to bottom."""

from __future__ import annotations

from pathlib import Path

from follow import follow
from parts import need


def test_the_page_does_what_it_says(tmp_path: Path, entry_point: Path) -> None:
    need("tlslite")
    follow("how-to/test-a-suite.md", tmp_path, skip=["install"], PYTHONPATH=str(entry_point))
