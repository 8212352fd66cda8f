"""Starts the probe in an interpreter, with a peer for each case; turns what happens into results.

Whatever an interpreter does (hang, crash, print megabytes, print nothing) becomes a reason, and
nothing that was started is left running.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlsfloor.peers.base import TIMEOUT, Peer
from tlsfloor.verifier import child, judge
from tlsfloor.verifier.cases import ANY
from tlsfloor.verifier.surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.cases import Case

_PROBE = str(Path(__file__).with_name("probe.py"))
_BEGIN, _END = "<tlsfloor-facts>", "</tlsfloor-facts>"

#: The folder that arms a Python from PYTHONPATH: the judge knows where it is, and nothing else of
#: it.
BOOTSTRAP = str(Path(__file__).parent.parent / "bootstrap")

#: What tells whether a floor is there: a program that asks for nothing, and one for everything.
TELLING = ("default", "lowered, @SECLEVEL=0")

#: Flags that a route into the process may not survive, and since which Python there is each: no
#: environment, isolated, no folder of the program, no site module, no folder of the user.
FLAGS = {"-E": (2, 7), "-I": (3, 4), "-P": (3, 11), "-S": (2, 7), "-s": (2, 7)}

# Files to which a program writes its events and its session keys. What the probe does belongs into
# neither of them.
_LOGS = frozenset({"TLSFLOOR_EVENTS", "SSLKEYLOGFILE"})

# What an isolated launch must not see: it asks what the runtime is capable of by itself.
_STEERING = ("PYTHON", "OPENSSL_", "SSL_CERT", "TLS")


def isolated(
    interpreter: str,
    cases: list[Case],
    floor: int,
    timeout: float,
    around: Surroundings | None = None,
) -> judge.Launch:
    """Run the probe without environment, user site and site-packages."""
    around = around or Surroundings(dict(os.environ))
    env = {name: value for name, value in around.env.items() if not name.startswith(_STEERING)}
    around = replace(around, env=env)
    alone = [case for case in cases if case.via == "ssl"]
    # Python 2.7 has no -I; these three are all of it, but for the current folder, which the probe
    # drops. With -B nothing is written into what is looked at.
    return run("isolated", [interpreter, "-B", "-E", "-s", "-S"], around, alone, floor, timeout)


def as_deployed(
    interpreter: str,
    cases: list[Case],
    floor: int,
    timeout: float,
    around: Surroundings | None = None,
) -> judge.Launch:
    """Run the probe as a program would start, by default in this process's own environment."""
    around = around or Surroundings(dict(os.environ))
    return run("as deployed", [interpreter, "-B"], around, cases, floor, timeout)


def with_flag(
    interpreter: str,
    flag: str,
    cases: list[Case],
    floor: int,
    timeout: float,
    around: Surroundings,
) -> judge.Launch:
    """Run the probe as deployed, but with a flag that skips some start-up files; the main cases."""
    telling = [case for case in cases if case.via == "ssl" and case.way in TELLING]
    command = [interpreter, "-B", flag]
    return run(f"as deployed, {flag}", command, around, telling, floor, timeout)


def flags(version: str) -> list[str]:
    """Return the flags that a Python has which says that it is of this version; if unsure, all."""
    known = re.match(r"(\d+)\.(\d+)", version)
    if known is None:
        return list(FLAGS)
    return [flag for flag, since in FLAGS.items() if since <= tuple(map(int, known.groups()))]


def with_floor(
    interpreter: str,
    cases: list[Case],
    floor: int,
    name: str,
    timeout: float,
    around: Surroundings,
) -> judge.Launch:
    """Run the probe as deployed, with the bootstrap folder in front of PYTHONPATH."""
    path = os.pathsep.join([BOOTSTRAP, *filter(None, [around.env.get("PYTHONPATH")])])
    env = {**around.env, "PYTHONPATH": path, "TLSFLOOR": name, "TLSFLOOR_ON_ERROR": "abort"}
    around = replace(around, env=env)
    return run(f"with floor {name}", [interpreter, "-B"], around, cases, floor, timeout)


def run(
    name: str,
    command: list[str],
    around: Surroundings,
    cases: list[Case],
    floor: int,
    timeout: float,
) -> judge.Launch:
    """Run the probe once, and put together what it told and what the peers saw."""
    with contextlib.ExitStack() as stack:
        servers = {case.id: stack.enter_context(_peer(case)) for case in cases}
        authority, identity = around.files
        job = {
            "ca": authority,
            "identity": identity,
            "timeout": TIMEOUT,
            "cases": [
                {
                    "id": case.id,
                    "role": case.role,
                    "via": case.via,
                    "way": case.way,
                    "port": servers[case.id].port,
                }
                for case in cases
            ],
        }
        env = {name: value for name, value in around.env.items() if name not in _LOGS}
        command = [*command, "-", json.dumps(job)]
        output, failure = child.run_program(
            command, timeout, env=env, stdin=_PROBE, folder=around.folder, user=around.user
        )
        seen = {}
        for case_id, server in servers.items():
            server.settle()
            words = [each.suite or each.error or "it came to no end" for each in server.seen]
            seen[case_id] = any(each.version for each in server.seen), ", ".join(words)
    found = None if failure else _extract(output)
    if found is None:
        # What the peers saw until then was seen: it may have leaked before it failed.
        failure = failure or "the probe printed no facts"
        found = {"cases": [], "facts": {}}
    told = {each["id"]: each for each in found["cases"]}
    results = judge.results(cases, told, seen, floor)
    return judge.Launch(name, results, found["facts"], failure)


def _peer(case: Case) -> Peer:
    """Return the other end of a case; tlslite-ng is only needed for handshakes."""
    if case.key_exchange == ANY:
        from tlsfloor.peers.hellos import HelloClientPeer, HelloServerPeer

        return (HelloServerPeer if case.role == "client" else HelloClientPeer)(case.version)
    from tlsfloor.peers.handshakes import ClientPeer, ServerPeer

    if case.role == "client":
        return ServerPeer(case.version, case.key_exchange)
    return ClientPeer(case.version, case.key_exchange)


def _extract(output: str) -> dict[str, Any] | None:
    """Return the facts between the markers, None where there are none that can be read."""
    _, found, rest = output.rpartition(_BEGIN)
    text, ended, _ = rest.partition(_END)
    if not (found and ended):
        return None
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict) or not isinstance(facts.get("facts"), dict):
        return None
    told = facts.get("cases")
    return facts if isinstance(told, list) and all(map(_is_told, told)) else None


def _is_told(told: object) -> bool:
    """Tell whether the probe said it: which case, and one word or error of it."""
    if not isinstance(told, dict) or not {"version", "absent", "error"} & told.keys():
        return False
    # A TLS object that was closed has no version: None.
    return all(isinstance(told.get(name, ""), str) for name in ("absent", "error")) and (
        isinstance(told.get("id"), str) and isinstance(told.get("version"), (str, type(None)))
    )
