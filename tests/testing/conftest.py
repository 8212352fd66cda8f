"""The plugin as it is installed, also where the environment's own metadata is older."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def entry_point(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the path of Python, with an entry point like the one of the package."""
    folder = tmp_path_factory.mktemp("installed")
    installed = folder / "entry_point-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: entry_point\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[pytest11]\ntlsfloor = tlsfloor.testing\n")
    (installed / "RECORD").write_text("tlsfloor/__init__.py,,\ntlsfloor/testing/__init__.py,,\n")
    return folder
