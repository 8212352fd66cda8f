"""Starts the probe in an interpreter, with a peer for each case, and turns what happens into results.

Whatever an interpreter does (hang, crash, print megabytes, print nothing) becomes a reason, and nothing
that was started is left running.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tlsfloor.verify import judge, peers
from tlsfloor.verify.cases import Case

_PROBE = Path(__file__).with_name("probe.py")
_BEGIN, _END = "<tlsfloor-facts>", "</tlsfloor-facts>"

#: The folder that arms a Python from PYTHONPATH: the judge knows where it is, and nothing else of it.
BOOTSTRAP = str(Path(__file__).parent.parent / "bootstrap")

# What an isolated launch must not see: it asks what the runtime is capable of by itself.
_STEERING = ("PYTHON", "OPENSSL_", "SSL_CERT", "TLS")


def isolated(interpreter: str, cases: list[Case], floor: int, timeout: float) -> judge.Launch:
    """Run the probe without environment, user site and site-packages."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_STEERING)}
    alone = [case for case in cases if case.via == "ssl"]
    # Python 2.7 has no -I; these three are all of it, but for the current folder, which the probe drops.
    return run("isolated", [interpreter, "-E", "-s", "-S"], env, alone, floor, timeout)


def as_deployed(interpreter: str, cases: list[Case], floor: int, timeout: float) -> judge.Launch:
    """Run the probe in this process's own environment, as a program would start."""
    return run("as deployed", [interpreter], dict(os.environ), cases, floor, timeout)


def with_floor(
    interpreter: str, cases: list[Case], floor: int, name: str, timeout: float
) -> judge.Launch:
    """Run the probe as deployed, with the bootstrap folder in front of PYTHONPATH."""
    path = os.pathsep.join([BOOTSTRAP, *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path, "TLSFLOOR": name, "TLSFLOOR_ON_ERROR": "abort"}
    return run(f"with floor {name}", [interpreter], env, cases, floor, timeout)


def run(
    name: str,
    command: list[str],
    env: dict[str, str],
    cases: list[Case],
    floor: int,
    timeout: float,
) -> judge.Launch:
    """Run the probe once, and put together what it told and what the peers saw."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for case in cases:
            kind = peers.ServerPeer if case.role == "client" else peers.ClientPeer
            servers[case.id] = stack.enter_context(kind(case.version, case.key_exchange))
        job = {
            "ca": peers.CA_FILE,
            "identity": peers.PEER_FILE,
            "timeout": peers.TIMEOUT,
            "cases": [
                {
                    "id": case.id,
                    "role": case.role,
                    "via": case.via,
                    "way": case.way,
                    "port": server.port,
                }
                for case, server in zip(cases, servers.values())
            ],
        }
        output, failure = _communicate([*command, "-", json.dumps(job)], env, timeout)
        seen = {
            id: (
                any(each.version for each in server.seen),
                ", ".join(each.suite or each.error for each in server.seen),
            )
            for id, server in servers.items()
        }
    found = None if failure else _extract(output)
    if found is None:
        return judge.Launch(name, failure=failure or "the probe printed no facts")
    told = {each["id"]: each for each in found["cases"]}
    return judge.Launch(name, judge.results(cases, told, seen, floor), found["facts"])


def _communicate(command: list[str], env: dict[str, str], timeout: float) -> tuple[str, str]:
    """Return what the command printed, and why it failed, if it did."""
    try:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own, so that what it starts ends with it.
            start_new_session=True,
        )
    except OSError as error:
        return "", f"it cannot be started: {error}"
    with process:
        try:
            output, errors = process.communicate(_PROBE.read_bytes(), timeout)
        except subprocess.TimeoutExpired:
            return "", f"no answer within {timeout:g} s"
        finally:
            _end(process)
    if process.returncode:
        last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        return "", f"it ended with status {process.returncode}: {last[0][:500]}"
    return output.decode("utf-8", "replace"), ""


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):  # the whole group is gone, which was wanted
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _extract(output: str) -> dict[str, Any] | None:
    """Return the facts between the markers, None where there are none that can be read."""
    _, found, rest = output.rpartition(_BEGIN)
    text, ended, _ = rest.partition(_END)
    if not (found and ended):
        return None
    try:
        facts = json.loads(text)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and {"facts", "cases"} <= facts.keys() else None
