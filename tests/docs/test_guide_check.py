"""The guide "Check endpoints": a reader follows it, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import parts
from follow import follow

if TYPE_CHECKING:
    from pathlib import Path

#: What a reader cannot repeat: a server with a rate limit, and the clients of the last example.
EXAMPLES = ("a server with a rate limit", "a server and three clients")


def test_the_page_as_it_stands(tmp_path: Path) -> None:
    parts.need("certifi", "rich", "tlslite", "urllib3")
    parts.need_program("openssl")
    follow("how-to/check.md", tmp_path, ports=("8443", "8444", "9443"), skip=EXAMPLES)
