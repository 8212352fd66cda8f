"""``docs/how-to/roll-out.md``, followed: observe, report, exempt, enforce, and what expires."""

from __future__ import annotations

from pathlib import Path

import parts
import pytest
from follow import follow

PAGE = "how-to/roll-out.md"


@pytest.mark.timeout(600)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    for program in ("redis-server", "openssl", "curl"):
        parts.need_program(program)
    follow(PAGE, tmp_path, ports=["8443", "8444", "9443", "6380", "7443"])
