"""The ways of ``test_hooks.py`` on every other interpreter of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import parts
from test_hooks import assert_held, port

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["port"]  # a fixture


@pytest.mark.parametrize("executable", parts.pythons()[1:], ids=os.path.basename)
def test_no_way_gets_around_the_floor_elsewhere(executable: str, port: str, tmp_path: Path) -> None:
    """On every other interpreter of this machine, by the folder on PYTHONPATH."""
    assert_held(port, "PYTHONPATH", tmp_path, executable)
