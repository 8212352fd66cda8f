"""Files that are written completely or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tlsfloor.deploy import atomic_files

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")


@posix
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_files.write_atomically(str(file), "new")
    assert (file.read_text(), os.listdir(tmp_path)) == ("old", ["report.json"])


@posix
def test_output_replaces_a_file_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")
    file.chmod(0o640)
    (tmp_path / "link").symlink_to(file)
    atomic_files.write_atomically(str(tmp_path / "link"), "new\n")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new\n", 0o640)
    assert sorted(os.listdir(tmp_path)) == ["link", "report.json"]
    atomic_files.write_atomically(os.devnull, "new")
    assert not os.path.isfile(os.devnull)
