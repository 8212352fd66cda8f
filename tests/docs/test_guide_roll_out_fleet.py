"""``docs/how-to/roll-out-fleet.md``: twenty services, from observe to enforce and back."""

from __future__ import annotations

from pathlib import Path

import parts
import pytest
from follow import follow

PAGE = "how-to/roll-out-fleet.md"


@pytest.mark.timeout(600)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    for program in ("openssl", "promtool"):
        parts.need_program(program)
    follow(PAGE, tmp_path, ports=["8443", "8444", "8445", "9443"])
