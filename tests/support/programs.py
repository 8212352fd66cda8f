"""Run a program with the floor armed by a route, and compare what it reaches without a floor.

Patching is never tested in the process of pytest: each program runs in an interpreter of its own,
under ``drive.py``, against peers of every version. A program asks for the lowest version that its
library permits. Without a floor it must reach every peer; otherwise its refusal with one proves
nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator

import tlsfloor
from peers import LADDER
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

TESTS = Path(__file__).parents[1]
PROGRAMS = TESTS / "programs"

#: The main program that runs one of ``programs/`` under a route.
DRIVE = str(TESTS / "support" / "drive.py")

BOOTSTRAP = str(Path(tlsfloor.__file__).parent / "bootstrap")

#: The folder from which ``tlsfloor`` is imported.
IMPORT_PATH = str(Path(tlsfloor.__file__).parents[1])

#: How a floor gets into a program: called before the program is imported, called after it created
#: its contexts, or armed as Python starts.
ROUTES = ("early", "late", "PYTHONPATH")

#: What a client at OpenSSL's default security level cannot reach: see ``out_of_reach``.
LEGACY_ECDHE = ("1.0 ecdhe", "1.1 ecdhe")

#: How a result of ``reach`` begins if the peer completed a handshake that the client denies.
COMPLETED = "the peer completed a handshake"

#: Seconds for one program and all its peers. Generous: nothing here is about speed.
TIME_LIMIT = 120

_controls: dict[str, dict[str, str]] = {}


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without variables that configure tlsfloor or Python."""
    keep = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TLS", "PYTHON", "COV"))
    }
    return {**keep, **more}


def armed_environment(floor: str | None = None, **more: str) -> dict[str, str]:
    """Return an environment that arms Python as it starts, with ``floor`` if one is given."""
    armed = {"PYTHONPATH": BOOTSTRAP, **({"TLSFLOOR": floor} if floor else {})}
    return clean_environment(**{**armed, **more})


def python(
    *args: str, env: dict[str, str] | None = None, executable: str = sys.executable, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python and return its output; the caller checks the status."""
    return subprocess.run(
        [executable, *args],
        env=clean_environment() if env is None else env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # a program may print any bytes
        timeout=TIME_LIMIT,
        check=False,
        **more,
    )


def interrupt(words: list[str], number: int, started: Path) -> tuple[int, str]:
    """Run a command of tlsfloor, and send it a signal as soon as a file has something in it.

    Returns:
        Its exit status, and what it printed on stderr.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "tlsfloor", *words],
        env=clean_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    return process.returncode, errors


def drive(program: str, route: str, floor: str, job: dict[str, Any], **more: str) -> Any:
    """Run ``programs/<program>.py`` under a route and a floor; return its result.

    ``more`` is added to its environment.
    """
    env = armed_environment(floor, **more) if route == "PYTHONPATH" else clean_environment(**more)
    done = python(
        DRIVE,
        str(PROGRAMS / f"{program}.py"),
        route,
        floor,
        json.dumps(job),
        env=env,
    )
    assert done.returncode == 0, f"{program} failed:\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def reach(
    program: str, route: str, floor: str, peer_options: dict[str, Any], **job: Any
) -> dict[str, str]:
    """Let a client try every peer of the ladder; return peer -> version reached, or the error.

    What the peer saw decides: a handshake that the peer completed counts, even if the client
    reports an error.
    """
    with contextlib.ExitStack() as stack:
        servers = {}
        for peer in LADDER:
            name, key_exchange = peer.split()
            server = handshakes.ServerPeer(FLOORS[name], key_exchange, **peer_options)
            servers[peer] = stack.enter_context(server)
        ports = {peer: server.port for peer, server in servers.items()}
        results: dict[str, str] = drive(
            program, route, floor, {"ports": ports, "ca": handshakes.CA_FILE, **job}
        )
        for peer, server in servers.items():
            completed = any(seen.version for seen in server.seen)
            if results[peer] is None:  # a client that does not know the version
                results[peer] = peer.split()[0] if completed else "the peer saw no handshake"
            elif results[peer] not in FLOORS and completed:
                results[peer] = f"{COMPLETED}, and the client reports {results[peer]}"
    return results


def assert_held(
    program: str,
    route: str,
    floor: str,
    *,
    out_of_reach: tuple[str, ...] = (),
    peer_options: dict[str, Any] | None = None,
    worded: bool = True,
    **job: Any,
) -> None:
    """Assert that a client reaches every peer without the floor, and with it none that is below.

    ``out_of_reach`` names the peers that this client cannot reach even without a floor: mostly
    LEGACY_ECDHE, which OpenSSL refuses at its default security level. They prove nothing, and must
    be exactly these. Unless ``worded``, a refusal need not say that it is about the version: not
    every stack does.
    """
    options = peer_options or {}
    control = json.dumps([program, job], sort_keys=True)
    if control not in _controls:
        _controls[control] = reach(program, "none", "", options, **job)
    reached = {peer: got for peer, got in _controls[control].items() if got in FLOORS}
    assert reached == {peer: peer.split()[0] for peer in LADDER if peer not in out_of_reach}, (
        _controls[control]
    )
    for peer, result in reach(program, route, floor, options, **job).items():
        name = peer.split()[0]
        if peer in out_of_reach:
            reached_now = result in FLOORS or result.startswith(COMPLETED)
            assert not reached_now, f"{peer} was out of reach without the floor: {result}"
        elif FLOORS[name] >= FLOORS[floor]:
            assert result == name, f"{peer} is allowed, and was not reached: {result}"
        else:
            refused = not (result in FLOORS or result.startswith(COMPLETED))
            assert refused, f"{peer} is below the floor: {result}"
            assert result.startswith("refused: ") or not worded, (
                f"{peer} is below the floor: {result}"
            )


class Server:
    """A running server. It printed its port, and prints the version of each connection it gets."""

    stderr = ""  # set when it has stopped

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.port = int(process.stdout.readline() or 0)


@contextlib.contextmanager
def serving(command: list[str], env: dict[str, str]) -> Iterator[Server]:
    """Start a server and wait for its port; stop it at the end."""
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as complaints, subprocess.Popen(
        command, env=env, stdout=pipe, stderr=complaints, text=True, cwd=str(PROGRAMS)
    ) as process:
        try:
            server = Server(process)
            assert server.port, "it did not start"
            yield server
        except BaseException:
            complaints.seek(0)
            sys.stderr.write(complaints.read())  # pytest shows it with the failure
            raise
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        complaints.seek(0)
        server.stderr = complaints.read()


@contextlib.contextmanager
def serving_program(name: str, route: str, floor: str) -> Iterator[Server]:
    """Serve with a program of ``programs/``, armed by a route."""
    env = armed_environment(floor) if route == "PYTHONPATH" else clean_environment()
    file = str(PROGRAMS / f"{name}.py")
    job = json.dumps({"peer": handshakes.PEER_FILE})
    with serving([sys.executable, DRIVE, file, route, floor, job], env) as server:
        yield server
