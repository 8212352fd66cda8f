"""Start the probe in an interpreter, with a peer for each case, and collect what both observed.

Whatever the interpreter does (hang, crash, print megabytes or nothing) becomes the reason of a
failure, and nothing that was started is left running.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

from tlsfloor import versions
from tlsfloor.peers.base import TIMEOUT, Peer, PeerGroup
from tlsfloor.verifier.cases import ANY
from tlsfloor.verifier.child import run_program
from tlsfloor.verifier.environment import ProbeEnvironment
from tlsfloor.verifier.judge import LaunchResult, judge_cases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.cases import Case

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _source(name: str) -> bytes:
    with open(os.path.join(_FOLDER, name), "rb") as file:
        return file.read()


#: The program that runs in the interpreter under test, and its part that is enough for ``ssl``.
PROBE_OF_SSL = _source("probe.py")
PROBE = _source("probe_clients.py") + PROBE_OF_SSL

_BEGIN, _END = "<tlsfloor-facts>", "</tlsfloor-facts>"

#: The folder that arms a Python from PYTHONPATH. The judge knows where it is and uses no code in
#: it.
BOOTSTRAP = os.path.join(os.path.dirname(_FOLDER), "bootstrap")

#: The launch that decides: with the environment variables and start-up files of a program.
AS_STARTED = "as started"

#: The setups that show whether a floor is there: one asks for no version, one for every version.
DECISIVE = ("default", "lowered, @SECLEVEL=0")

#: Options of Python that a start-up file may not survive, and the version that introduced each. In
#: this order: no environment variables, isolated, no folder of the program, no module site, no
#: folder of the user.
OPTIONS = {"-E": (2, 7), "-I": (3, 4), "-P": (3, 11), "-S": (2, 7), "-s": (2, 7)}

# Prefixes of the variables that an isolated launch does not get.
_STEERING = ("PYTHON", "OPENSSL_", "SSL_CERT", "TLS")

# Files to which a program writes its events and its session keys. What the probe does belongs in
# neither.
_LOGS = frozenset({"TLSFLOOR_EVENTS", "SSLKEYLOGFILE"})


def options_of(version: str) -> list[str]:
    """Return the members of ``OPTIONS`` that a version of Python has; all of them if unsure."""
    match = re.match(r"(\d+)\.(\d+)", version)
    known = tuple(map(int, match.groups())) if match else (99,)
    return [option for option, since in OPTIONS.items() if since <= known]


def probe_for(job: dict[str, Any]) -> bytes:
    """Return the program that does a job, which ``probe.py`` describes."""
    source = PROBE if any(case["library"] != "ssl" for case in job["cases"]) else PROBE_OF_SSL
    # A text in JSON is one of Python as well.
    return b"JOB = %s\n%s" % (json.dumps(json.dumps(job)).encode("ascii"), source)


@dataclass(frozen=True)
class Launcher:
    """Starts the probe in one interpreter. ``timeout`` is the limit of each launch, in seconds."""

    interpreter: str
    cases: list[Case]
    floor: int
    timeout: float
    environment: ProbeEnvironment = field(default_factory=ProbeEnvironment)

    def isolated(self) -> LaunchResult:
        """Run the probe without environment variables, start-up files and site-packages."""
        variables = {
            name: value
            for name, value in self.environment.variables.items()
            if not name.startswith(_STEERING)
        }
        cases = [case for case in self.cases if case.library == "ssl"]
        # Python 2.7 has no -I. These three are the same, except for the current folder, which the
        # probe removes from its path.
        return self._launch("isolated", ["-E", "-s", "-S"], variables, cases)

    def as_started(self) -> LaunchResult:
        """Run the probe as a program would be started."""
        return self._launch(AS_STARTED, [], self.environment.variables, self.cases)

    def with_option(self, option: str) -> LaunchResult:
        """Run the decisive cases with an option of Python that skips some start-up files."""
        cases = [case for case in self.cases if case.library == "ssl" and case.setup in DECISIVE]
        variables = self.environment.variables
        return self._launch(f"{AS_STARTED}, {option}", [option], variables, cases)

    def with_floor(self) -> LaunchResult:
        """Run the probe as started, with the bootstrap folder first on PYTHONPATH."""
        variables = dict(self.environment.variables)
        path = [BOOTSTRAP, *filter(None, [variables.get("PYTHONPATH")])]
        name = versions.floor_name(self.floor)
        variables["PYTHONPATH"] = os.pathsep.join(path)
        # Of the libraries, only those that cannot be held are then refused at their import.
        variables.update(TLSFLOOR=name, TLSFLOOR_ON_ERROR="block")
        return self._launch(f"with floor {name}", [], variables, self.cases)

    def _launch(
        self, name: str, options: list[str], variables: dict[str, str], cases: list[Case]
    ) -> LaunchResult:
        authority, identity = self.environment.files
        job: dict[str, Any] = {"ca": authority, "identity": identity, "timeout": TIMEOUT}
        env = {key: value for key, value in variables.items() if key not in _LOGS}
        with contextlib.ExitStack() as stack:
            peers = {}
            for case in cases:
                peers[case.id] = peer = _peer_for(case)
                stack.callback(peer.listener.close)
            group = stack.enter_context(PeerGroup([*peers.values()]))
            job["cases"] = [
                {
                    "id": case.id,
                    "role": case.role,
                    "library": case.library,
                    "setup": case.setup,
                    "port": peers[case.id].port,
                }
                for case in cases
            ]
            # -B: nothing is written into the interpreter's folders.
            printed, failure = run_program(
                [self.interpreter, "-B", *options, "-"],
                self.timeout,
                env=env,
                stdin=probe_for(job),
                folder=self.environment.folder,
                user=self.environment.user,
            )
            group.settle()
            peer_saw = {}
            for case_id, peer in peers.items():
                texts = [each.suite or each.error or "no end of it" for each in peer.seen]
                peer_saw[case_id] = any(each.version for each in peer.seen), ", ".join(texts)
        facts: dict[str, Any] = {}
        probe_said: dict[str, dict[str, str]] = {}
        if not failure:
            try:
                facts, probe_said = _extract(printed)
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                failure = "the probe printed no facts"
        # What the peers saw counts in any case: the interpreter may have leaked before it failed.
        results = judge_cases(cases, probe_said, peer_saw, self.floor)
        return LaunchResult(name, results, facts, failure)


def _peer_for(case: Case) -> Peer:
    """Return the other end of a case. Only handshakes need tlslite-ng."""
    if case.key_exchange == ANY:
        from tlsfloor.peers.hello_peers import HelloClientPeer, HelloServerPeer

        return (HelloServerPeer if case.role == "client" else HelloClientPeer)(case.version)
    from tlsfloor.peers.handshakes import ClientPeer, ServerPeer
    from tlsfloor.peers.protocols import PROTOCOLS

    if case.role == "server":
        return ClientPeer(case.version, case.key_exchange)
    return ServerPeer(case.version, case.key_exchange, **PROTOCOLS.get(case.library, {}))


def _extract(printed: str) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Return the facts that the probe printed between its markers, and what it said of each case.

    Raises:
        Exception: an interpreter can print anything else.
    """
    text = printed.rpartition(_BEGIN)[2].partition(_END)[0]
    found = json.loads(text)
    # No file has a null in its name, and a report is JSON, which has no NaN and no Infinity.
    if r"\u0000" in json.dumps(found, allow_nan=False):
        raise ValueError("a text contains a null")
    facts = {**found["facts"]}
    # The probe reports wire numbers.
    for arming in facts.get("armings", ()):
        arming["floor"] = versions.floor_name(arming["floor"])
    if "minimum_version" in facts:
        facts["minimum_version"] = versions.bound_name(facts["minimum_version"])
    probe_said = {
        # A TLS object that was closed has the version None.
        str(said["id"]): {key: str(value) for key, value in said.items() if value is not None}
        for said in found["cases"]
    }
    return facts, probe_said
