"""``docs/how-to/frameworks.md``: the page, followed; and its programs, started in other ways."""

from __future__ import annotations

from pathlib import Path

import parts
import pytest
from follow import follow

PAGE = "how-to/frameworks.md"


@pytest.mark.timeout(600)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    parts.need("django", "fastapi", "uvicorn", "hypercorn", "celery", "joblib", "distributed")
    parts.need("ipykernel", "papermill")
    parts.need_program("redis-server")
    follow(PAGE, tmp_path, ports=["8443", "8000", "6380"], skip=["packages"])
