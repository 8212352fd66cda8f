"""The ways of ``import_ways.py`` on every other interpreter of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import parts
from import_ways import assert_no_way_around
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("executable", parts.pythons()[1:], ids=os.path.basename)
def test_no_way_gets_around_the_floor_elsewhere(executable: str, tmp_path: Path) -> None:
    """The floor is armed by the folder on PYTHONPATH."""
    with handshakes.ServerPeer(TLS1_0) as peer:
        assert_no_way_around(str(peer.port), "PYTHONPATH", tmp_path, executable)
