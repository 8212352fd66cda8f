"""Programs that give up files, users or imports before they use TLS: they keep their connections.

tlsfloor loads what explains and reports when it is first needed, which may be too late. The floor
holds without that.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from programs import PROGRAMS, armed_environment, clean_environment, python
from parts import need
from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = str(PROGRAMS / "confined.py")

is_root = hasattr(os, "geteuid") and os.geteuid() == 0
WAYS = [
    "nothing",
    "imports",
    pytest.param("root", marks=pytest.mark.skipif(not is_root, reason="only root may do so")),
    pytest.param(
        "files", marks=pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
    ),
    "sandbox",
]


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    """A peer below the floor and one at it."""
    with ServerPeer(TLS1_0) as old, ServerPeer(TLS1_2) as new:
        yield [str(old.port), str(new.port)]


@pytest.mark.parametrize("way", WAYS)
def test_a_program_in_a_chroot_connects_at_the_floor(way: str, ports: list[str]) -> None:
    old, new = ports
    without = python(PROGRAM, way, old)
    assert without.stdout.split()[2] == "TLSv1", without.stderr
    assert python(PROGRAM, way, new).stdout.split() == ["TLSv1.2"] * 3
    for floor in ("1.2", "1.3"):
        done = python(PROGRAM, way, old, env=armed_environment(floor))
        assert done.stdout.split()[2] == "TLSV1_ALERT_PROTOCOL_VERSION", done.stderr
    done = python(PROGRAM, way, new, env=armed_environment("1.2"))
    assert done.stdout.splitlines()[0].split() == ["TLSv1.2"] * 3, done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_in_a_chroot_is_an_error_of_ssl(way: str, ports: list[str]) -> None:
    command = (PROGRAM, way, ports[0], "fixed")
    assert python(*command).stdout.split() == ["TLSv1"]
    done = python(*command, env=armed_environment("1.2"))
    assert done.stdout.splitlines()[:1] == ["UNSUPPORTED_PROTOCOL"], done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_exemptions_of_other_hosts_need_no_file_in_a_chroot(
    way: str, ports: list[str], tmp_path: Path
) -> None:
    need("tomllib" if sys.version_info >= (3, 11) else "tomli")
    lines = (
        'host = "old.example.com"',
        'minimum = "1.0"',
        'reason = "old"',
        "expires = 2999-01-01",
    )
    (tmp_path / "exemptions").write_text("\n".join(["[[exemption]]", *lines]))
    env = armed_environment("1.2", TLSFLOOR_EXEMPTIONS=str(tmp_path / "exemptions"))
    done = python(PROGRAM, way, ports[1], env=env)
    assert done.stdout.splitlines()[:1] == ["TLSv1.2 TLSv1.2 TLSv1.2"], done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_events_that_cannot_be_written_in_a_chroot_do_no_harm(
    way: str, ports: list[str], tmp_path: Path
) -> None:
    env = armed_environment("1.2", TLSFLOOR_EVENTS=str(tmp_path / "events.jsonl"))
    done = python(PROGRAM, way, ports[1], env=env)
    assert done.stdout.splitlines()[:1] == ["TLSv1.2 TLSv1.2 TLSv1.2"], done.stderr
    assert (tmp_path / "events.jsonl").read_text().count('"armed"') == 1


def test_status_shows_that_handshakes_are_not_seen(ports: list[str]) -> None:
    done = python(PROGRAM, "imports", ports[1], env=armed_environment("1.2"))
    said = done.stdout.splitlines()[1]
    assert said.startswith("True {'handshakes': "), said
    assert "Error: " in said


LAST = """
import ssl, sys
class Last:
    def __init__(self):
        self.make, self.say = ssl.SSLContext, print
    def __del__(self):
        made = self.make(16)
        self.say(int(made.minimum_version))
        made.minimum_version = 0x302
        self.say(int(made.minimum_version))
sys.modules["last"] = Last()
"""


def test_a_context_that_is_created_as_python_ends_is_raised() -> None:
    without = python("-c", LAST, env=clean_environment())
    born, lowered = map(int, without.stdout.split())
    assert (born < 0x304, lowered) == (True, 0x302)
    done = python("-c", LAST, env=armed_environment("1.3"))
    assert (done.stdout, done.stderr) == (f"{0x304}\n" * 2, without.stderr)
