"""Python 2.7, 3.6 and 3.7: the floor on their ``ssl``, held by one file that the start-up file loads.

This Python runs the tests, and peers of every version; those run a program that loads the file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import parts
import tlsfloor
from drive import NAMES, REFUSALS
from harness import HERE, LADDER, clean_environment, python
from tlsfloor.verify import peers
from tlsfloor.versions import FLOORS

FILE = str(Path(tlsfloor.__file__).parent / "old.py")

#: One peer of each version: enough where the key exchange was tried already.
SHORT = ("1.0 rsa", "1.1 ecdhe", "1.2 rsa", "1.3 ecdhe")

#: Each way of asking for less, by role, and the peers to try it with.
CASES = {
    "client": {
        "default": LADDER,
        "@SECLEVEL=0": LADDER,
        "lowered": LADDER,
        "past the class": SHORT,
        "subclass": SHORT,
        "PROTOCOL_TLSv1": SHORT,
        "PROTOCOL_TLSv1_1": SHORT,
        "PROTOCOL_TLSv1_2": SHORT,
        "_create_unverified_context": SHORT,
        "_create_stdlib_context": SHORT,
        "ssl.wrap_socket": SHORT,
        "wrapped before connecting": SHORT,
        "handshake by writing": SHORT,
        "wrap_bio": SHORT,
        "urlopen": SHORT,
    },
    "server": {
        "default": LADDER,
        "lowered": LADDER,
        "subclass": SHORT,
        "PROTOCOL_TLSv1": SHORT,
        "PROTOCOL_TLSv1_1": SHORT,
        "PROTOCOL_TLSv1_2": SHORT,
        "ssl.wrap_socket": SHORT,
    },
}

#: Where nothing was asked, OpenSSL's security level stops legacy TLS that needs a SHA-1 signature, without a
#: floor too: of a server all of it.
CAREFUL = ("default", "urlopen")

every_python = pytest.mark.parametrize("executable", parts.old_pythons())
every_floor = pytest.mark.parametrize("floor", ["1.2", "1.3"])

_controls: dict[tuple[str, str], dict[tuple[str, str], str]] = {}


def test_every_python_can_read_the_file() -> None:
    """Not only those for which it is: whoever compiles a folder reads all of it."""
    program = "import sys; compile(sys.argv[1], 'old.py', 'exec')"
    source = Path(FILE).read_text()
    pythons = [sys.executable, *parts.old_pythons(), *parts.new_pythons()]
    for executable in pythons:
        done = python("-W", "error", "-c", program, source, executable=executable)
        assert (done.returncode, done.stderr) == (0, ""), executable


def is_27(executable: str) -> bool:
    return python("-c", "import sys; print(sys.version_info < (3,))", executable=executable).stdout == "True\n"


def run(executable: str, job: dict[str, Any]) -> Any:
    """Run the program; return what it printed."""
    job = {"old": FILE, "ca": peers.CA_FILE, "identity": peers.PEER_FILE, **job}
    env = clean_environment(PYTHONDONTWRITEBYTECODE="1")
    done = python(str(HERE / "programs" / "old.py"), json.dumps(job), executable=executable, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def reach(executable: str, role: str, when: str, floor: str) -> dict[tuple[str, str], str]:
    """Return what each way reached of each peer: the version, or the error."""
    kind = peers.ServerPeer if role == "client" else peers.ClientPeer
    with contextlib.ExitStack() as stack:
        ladder = {
            peer: stack.enter_context(kind(FLOORS[peer.split()[0]], peer.split()[1]))
            for peer in LADDER
        }
        cases = [
            (way, peer)
            for way, tried in CASES[role].items()
            for peer in tried
            if way != "wrap_bio" or not is_27(executable)
        ]
        told = run(
            executable,
            {
                "when": when,
                "floor": FLOORS.get(floor, 0),
                "cases": [[role, way, ladder[peer].port] for way, peer in cases],
            },
        )
        reached = {
            case: NAMES.get(said, said) for case, said in zip(cases, told["reached"])
        }
        # The peer has the last word on how many handshakes there were.
        for peer, each in ladder.items():
            each.settle()
            version = peer.split()[0]
            handshakes = sum(seen.version is not None for seen in each.seen)
            mine = [said for (_, tried), said in reached.items() if tried == peer]
            assert handshakes == mine.count(version), (peer, mine)
    if when != "never":
        assert told["status"]["state"] == "guarded"
        assert told["status"]["floor"] == floor
    return reached


def control(executable: str, role: str) -> dict[tuple[str, str], str]:
    """Return what is reached without a floor: all that was asked for."""
    if (executable, role) not in _controls:
        reached = reach(executable, role, "never", "")
        for (way, peer), said in reached.items():
            version = peer.split()[0]
            only = way.replace("PROTOCOL_TLSv1_", "1.").replace("PROTOCOL_TLSv1", "1.0")
            if way in CAREFUL and version < "1.2" and (role == "server" or "ecdhe" in peer):
                continue
            if way.startswith("PROTOCOL") and only != version:
                assert said not in FLOORS, (way, peer, said)
            else:
                assert said == version, (way, peer, said)
        _controls[executable, role] = reached
    return _controls[executable, role]


@pytest.mark.parametrize("when", ["early", "late"])
@every_floor
@pytest.mark.parametrize("role", CASES)
@every_python
def test_nothing_is_reached_below_the_floor(
    executable: str, role: str, floor: str, when: str
) -> None:
    """And all that is not below is reached as without it."""
    for (way, peer), said in reach(executable, role, when, floor).items():
        version = peer.split()[0]
        without = control(executable, role)[way, peer]
        if without in FLOORS and FLOORS[version] >= FLOORS[floor]:
            assert said == version, (way, peer)
        elif without in FLOORS:
            assert any(word in said for word in REFUSALS), (way, peer, said)
        else:
            assert said not in FLOORS, (way, peer, said)
