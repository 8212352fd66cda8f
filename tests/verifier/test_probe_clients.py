"""``tlsfloor verify`` tries clients that have a TLS library and a protocol of their own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from parts import need
from peers import NAMES
from programs import PROGRAMS, armed_environment, clean_environment, python
from tlsfloor.verifier import cases, examine, find, judge, launch
from tlsfloor.verifier.environment import ProbeEnvironment
from tlsfloor.versions import TLS1_0, TLS1_2, TLS1_3

need("tlslite")

from tlsfloor.peers.protocols import PROTOCOLS

#: These have no setting for a minimum version, and a floor that they do not hold refuses them.
NO_MINIMUM = ("grpc", "pygit2")

#: An operator's configuration that lets OpenSSL speak TLS 1.0: libpq and libgit2 take no suites.
LENIENT = {"OPENSSL_CONF": str(PROGRAMS / "lenient.cnf")}


def planned(floor: int, *libraries: str) -> list[cases.Case]:
    return [case for case in cases.plan_cases(floor) if case.library in libraries]


def results_of(launched: judge.LaunchResult, library: str) -> list[judge.CaseResult]:
    """Return the results of a library, without what an old version of it cannot be asked for."""
    assert not launched.failure, launched
    found = [each for each in launched.results if each.case.library == library]
    return [each for each in found if each.outcome != "absent" or each.case.setup == "default"]


@pytest.fixture(scope="module")
def lenient() -> launch.Launcher:
    environment = ProbeEnvironment(clean_environment(**LENIENT))
    return launch.Launcher(sys.executable, planned(TLS1_2, *PROTOCOLS), TLS1_2, 60, environment)


@pytest.fixture(scope="module")
def without_floor(lenient: launch.Launcher) -> judge.LaunchResult:
    return lenient.as_started()


@pytest.fixture(scope="module")
def with_floor(lenient: launch.Launcher) -> judge.LaunchResult:
    return lenient.with_floor()


@pytest.mark.parametrize("library", PROTOCOLS)
def test_a_program_gets_what_it_asks_for_without_a_floor(
    library: str, without_floor: judge.LaunchResult
) -> None:
    need(library)
    for each in results_of(without_floor, library):
        assert each.outcome in ("accepted", "refused"), each
        if each.case.version >= TLS1_2:
            assert (each.outcome, each.probe_said) == ("accepted", NAMES[each.case.version]), each
            assert each.peer_saw.startswith("TLS_"), each
        elif each.case.setup != "default" and each.case.version >= TLS1_0:
            assert (each.outcome, each.probe_said) == ("accepted", NAMES[each.case.version]), each
        elif library == "grpc":  # its BoringSSL has no older version
            assert each.outcome == "refused", each


@pytest.mark.parametrize("library", PROTOCOLS)
def test_nothing_gets_below_the_floor(library: str, with_floor: judge.LaunchResult) -> None:
    need(library)
    for each in results_of(with_floor, library):
        if each.case.version < TLS1_2:
            assert each.outcome == "refused", each
        elif library == "pygit2":  # with that configuration it is refused as a whole
            assert each.outcome == "refused", each
            assert each.probe_said.startswith("ProtocolRefused: "), each
        else:
            assert each.outcome == "accepted", each


@pytest.mark.parametrize("library", NO_MINIMUM)
def test_a_library_that_a_floor_refuses_as_a_whole_is_enforced(library: str) -> None:
    """Nothing of it connects, not even the version that the floor allows, and it says why."""
    need(library)
    environment = ProbeEnvironment(clean_environment())
    tried = launch.Launcher(sys.executable, planned(TLS1_3, library), TLS1_3, 60, environment)
    without, held = tried.as_started(), tried.with_floor()
    assert {each.outcome for each in without.below(TLS1_3, "accepted")} == {"accepted"}
    assert {each.outcome for each in held.results} == {"refused"}
    assert all("and the floor is 1.3, set by" in each.probe_said for each in held.results)
    assert judge.judge_launch(without, without, TLS1_3).name == "leaks"
    assert judge.judge_launch(without, held, TLS1_3).name == "enforced"


def test_an_import_that_a_floor_refuses_proves_nothing_if_nothing_connects() -> None:
    """A process in which the floor could not be armed cannot import ``ssl`` either."""
    tried = planned(TLS1_2, "ssl", "pygit2")
    text = "tlsfloor: error: it cannot be held"
    for works, outcome in ((True, "refused"), (False, "inconclusive")):
        said = {case.id: {"absent": text} for case in tried}
        if works:
            said.update({case.id: {"version": "x"} for case in tried if case.library == "ssl"})
        saw = {case.id: (works and case.library == "ssl", "") for case in tried}
        found = judge.judge_cases(tried, said, saw, TLS1_2)
        assert {each.outcome for each in found if each.case.library == "pygit2"} == {outcome}
    without = judge.LaunchResult("x", found)
    assert judge.judge_launch(without, without, TLS1_2).name == "inconclusive"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("No module named 'grpc'", "absent"),
        ("libldap.so.2: cannot open shared object file: No such file or directory", "absent"),
        ("libldap.so.2: cannot open shared object file: Too many open files", "inconclusive"),
        ("libgomp.so.1: cannot allocate memory in static TLS block", "inconclusive"),
    ],
)
def test_a_library_that_could_not_be_loaded_this_time_is_not_absent(
    error: str, outcome: str
) -> None:
    tried = planned(TLS1_2, "grpc")
    said = {case.id: {"absent": error} for case in tried}
    found = judge.judge_cases(tried, said, {case.id: (False, "") for case in tried}, TLS1_2)
    assert {each.outcome for each in found} == {outcome}


def test_a_refusal_as_a_whole_needs_no_control_but_a_connection_does() -> None:
    error = "ProtocolRefused: [SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: x"
    tried = planned(TLS1_2, "grpc")
    for said, saw, outcome in (
        (error, "", "refused"),
        (error, "TLSAbruptCloseError", "inconclusive"),
        (error.replace("ProtocolRefused", "SSLError"), "", "inconclusive"),
    ):
        found = judge.judge_cases(
            tried,
            {case.id: {"error": said} for case in tried},
            {case.id: (False, saw) for case in tried},
            TLS1_2,
        )
        assert {each.outcome for each in found} == {outcome}, (said, saw)


def test_a_library_that_no_guard_fits_is_refused_and_the_others_are_tried(
    tmp_path: Path,
) -> None:
    """It is refused at its import, which ends neither the probe nor a program."""
    (tmp_path / "pygit2").mkdir()
    (tmp_path / "pygit2" / "__init__.py").write_text("import pygit2.ffi")
    (tmp_path / "pygit2" / "ffi.py").touch()
    default = [case for case in planned(TLS1_2, "ssl") if case.setup == "default"]
    environment = ProbeEnvironment(clean_environment(PYTHONPATH=str(tmp_path)))
    tried = [*default, *planned(TLS1_2, "pygit2")]
    held = launch.Launcher(sys.executable, tried, TLS1_2, 60, environment).with_floor()
    assert {each.outcome for each in results_of(held, "ssl")} == {"accepted", "refused"}
    for each in results_of(held, "pygit2"):
        assert each.outcome == "refused", each
        assert each.probe_said.startswith("tlsfloor: error: "), each


def test_nothing_is_written_to_a_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A container may have a read-only disk: neither the command nor the probe needs a folder."""
    need("MySQLdb", "pygit2")
    if not hasattr(os, "memfd_create"):
        pytest.skip("this system has no files in memory")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    (tmp_path / "sitecustomize.py").write_text("import tempfile; tempfile.tempdir = '/missing'")
    environment = ProbeEnvironment(clean_environment(PYTHONPATH=str(tmp_path)))
    tried = [case for case in planned(TLS1_3, "MySQLdb", "pygit2") if case.version == TLS1_3]
    found = launch.Launcher(sys.executable, tried, TLS1_3, 60, environment).as_started()
    assert {each.outcome for each in found.results} == {"accepted"}, found


CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def test_a_crash_in_native_code_is_inconclusive_or_worse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the peers had seen by then still counts."""
    need("MySQLdb")
    (tmp_path / "confluent_kafka.py").write_text(CRASH)
    verdicts = []
    for env in (armed_environment(), clean_environment()):
        path = [env.get("PYTHONPATH", ""), str(tmp_path)]
        for name, value in {**env, "PYTHONPATH": ":".join(filter(None, path))}.items():
            monkeypatch.setenv(name, value)
        tried = planned(TLS1_2, "MySQLdb", "confluent_kafka", "pygit2")
        found = examine.examine_interpreter(find.Interpreter(sys.executable), tried, TLS1_2, 60)
        assert found.as_started.failure.startswith("ended by SIGSEGV: ")
        outcomes = {each.outcome for each in results_of_any(found, "pygit2")}
        assert outcomes == {"inconclusive"}
        verdicts.append(found.verdict.name)
    assert verdicts == ["inconclusive", "leaks"]


def results_of_any(found: examine.InterpreterResult, library: str) -> list[judge.CaseResult]:
    return [each for each in found.as_started.results if each.case.library == library]


#: A server that does not finish the handshake. A client of each library tries each of them.
DROPPING = """
import json, socket, struct, sys, threading
from tlsfloor.peers import handshakes, protocols
from tlsfloor.verifier import launch
library = sys.argv[1]
probe = {"__name__": "probe"}
exec(launch.PROBE, probe)

def serve(listener, greet, end):
    kept = []
    while True:
        connection, _ = listener.accept()
        try:
            if greet:
                protocols.PROTOCOLS[library].get("before_tls", bool)(connection)
                connection.recv(9000)
        except OSError:
            pass
        if end == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if end == "hang":
            kept.append(connection)
        else:
            connection.close()

for greet, end in json.loads(sys.argv[2]):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if end == "absent":
        listener.close()
    else:
        threading.Thread(target=serve, args=(listener, greet, end), daemon=True).start()
    case = {"id": "it", "role": "client", "library": library, "setup": "default", "port": port}
    print(json.dumps(probe["attempt"](case, {"ca": handshakes.CA_FILE, "timeout": 1})))
"""


def test_a_connection_that_was_dropped_is_not_a_refusal() -> None:
    """No library calls it anything that is taken for one, even if its peer is known to be well."""
    ways = [(greet, end) for greet in (False, True) for end in ("close", "reset")]
    ways += [(False, "absent"), (False, "hang")]
    installed = [library for library in PROTOCOLS if find_spec(library)]
    if not installed:
        need(*PROTOCOLS)

    def errors(library: str) -> list[str]:
        # libldap has no timeout for a handshake: the peers have one.
        asked = [way for way in ways if (library, way[1]) != ("ldap", "hang")]
        done = python("-c", DROPPING, library, json.dumps(asked))
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(found) == len(asked), done
        return [each["error"] for each in found]

    with ThreadPoolExecutor() as pool:
        for library, found in zip(installed, pool.map(errors, installed)):
            case, *_ = planned(TLS1_2, library)
            control = cases.Case(case.role, library, case.setup, TLS1_3, "ecdhe")
            for error in found:
                for saw in ("", "TLSAbruptCloseError", "ConnectionResetError: [Errno 104]"):
                    judged, _ = judge.judge_cases(
                        [case, control],
                        {case.id: {"error": error}, control.id: {"version": "TLSv1.3"}},
                        {case.id: (False, saw), control.id: (True, "")},
                        TLS1_2,
                    )
                    assert judged.outcome == "inconclusive", (library, saw, error)
