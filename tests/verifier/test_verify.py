"""The judge: its verdict on this interpreter, and that it claims nothing that was not observed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

import tlsfloor
from programs import PROGRAMS, armed_environment, clean_environment, python
from tlsfloor.verifier import cases, judge
from tlsfloor.versions import TLS1_0, TLS1_2, TLS1_3


_reports: dict[str, tuple[int, dict[str, Any]]] = {}


def verify(*words: str, env: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the result for this interpreter. Each call is made only once."""
    asked = json.dumps([words, env.get("TLSFLOOR"), env.get("PYTHONPATH")])
    if asked not in _reports:
        done = python("-m", "tlsfloor", "verify", "--json", *words, env=env)
        assert done.returncode in (0, 1, 3), done.stderr
        (interpreter,) = json.loads(done.stdout)["interpreters"]
        _reports[asked] = done.returncode, interpreter
    return _reports[asked]


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_an_unprotected_interpreter_is_flagged_and_a_floor_protects_it(floor: str) -> None:
    status, report = verify("--floor", floor, env=clean_environment())
    assert status == 1
    assert report["verdict"] in ("leaks", "lowerable")
    assert report["other_verdicts"][f"with floor {floor}"]["verdict"] == "enforced"


def test_an_armed_interpreter_is_enforced() -> None:
    status, report = verify(env=armed_environment())
    assert (status, report["verdict"]) == (0, "enforced")


def test_the_evidence_says_that_an_armed_interpreter_was_armed() -> None:
    """The probe reads the state of tlsfloor after ``ssl``, whose import arms the process."""
    _, report = verify(env=armed_environment())
    isolated, started = (each["facts"] for each in report["launches"][:2])
    [arming] = started["armings"]
    assert sorted(arming) == ["floor", "mode", "route", "set_by", "since"]
    assert (arming["floor"], arming["mode"], arming["route"]) == ("1.2", "enforce", "PYTHONPATH")
    assert [file.rpartition("/")[2] for file in started["startup_files"]] == ["sitecustomize.py"]
    assert (started["minimum_version"], started["arming_failure"]) == ("TLS 1.2", "")
    assert not {"armings", "startup_files"} & set(isolated)


def test_each_reason_is_a_case_of_its_launch() -> None:
    _, report = verify(env=armed_environment())
    launches = {each["name"]: each["cases"] for each in report["launches"]}
    verdicts = {"as started": report, **report["other_verdicts"]}
    for name, verdict in verdicts.items():
        tried = {
            " ".join(case[key] for key in ("role", "library", "setup", "version", "key_exchange"))
            for case in launches[name]
            if case["outcome"] in ("accepted", "refused")
        }
        assert {reason.partition(": ")[2] for reason in verdict["reasons"]} <= tried
        assert f" {len(verdict['reasons'])} " in verdict["summary"] or verdict["verdict"] == "leaks"


def test_the_report_shows_which_options_of_python_skip_the_floor() -> None:
    _, report = verify(env=armed_environment())
    flags = ["-E", "-I", "-S", "-s"] + ["-P"] * (sys.version_info >= (3, 11))
    verdicts = {flag: report["other_verdicts"][f"as started, {flag}"]["verdict"] for flag in flags}
    assert len(report["other_verdicts"]) == len(flags) + 1  # and with the floor
    survived = [flag for flag, verdict in verdicts.items() if verdict == "enforced"]
    assert survived == flags[3:]
    assert {verdicts[flag] for flag in flags[:3]} <= {"leaks", "lowerable"}


def test_a_lower_floor_does_not_count() -> None:
    status, report = verify("--floor", "1.3", env=armed_environment("1.2"))
    assert (status, report["verdict"]) == (1, "leaks")


def test_an_interpreter_in_which_ssl_is_blocked_is_inconclusive() -> None:
    status, report = verify(env=armed_environment("nonsense"))
    assert (status, report["verdict"]) == (3, "inconclusive")
    assert any("TLSFLOOR" in reason for reason in report["reasons"])


def test_the_table_shows_each_program_and_the_verdicts() -> None:
    done = python("-m", "tlsfloor", "verify", env=clean_environment(NO_COLOR="1", COLUMNS="200"))
    assert "client ssl default" in done.stdout
    assert "as started: L" in done.stdout
    assert "with floor 1.2: ENFORCED, " in done.stdout
    assert "\x1b" not in done.stdout


# From here on: judgement without launches.

PLAN = [case for case in cases.plan_cases(TLS1_2, ("client",)) if case.library == "ssl"]


def launch(said: object, saw: object) -> judge.LaunchResult:
    """A launch of PLAN, with what ``said(case)`` and ``saw(case)`` return."""
    return judge.LaunchResult(
        "a launch",
        judge.judge_cases(
            PLAN,
            {case.id: said(case) for case in PLAN},
            {case.id: saw(case) for case in PLAN},
            TLS1_2,
        ),
    )


def allowed_only(case: cases.Case) -> dict[str, str]:
    return {"version": "TLSv1.2"} if case.version >= TLS1_2 else {"error": "SSLError: unsupported"}


def completed_if_allowed(case: cases.Case) -> tuple[bool, str]:
    return case.version >= TLS1_2, ""


QUICK = [
    case for case in cases.plan_cases(TLS1_2, ("client",), hello=True) if case.library == "ssl"
]
SOUND = launch(allowed_only, completed_if_allowed)
OPEN = launch(lambda case: {"version": "TLSv1"}, lambda case: (True, ""))


def test_refusals_with_successful_controls_are_a_sound_launch() -> None:
    assert judge.judge_launch(SOUND, SOUND, TLS1_2).name == "immune"
    assert judge.judge_launch(OPEN, SOUND, TLS1_2).name == "enforced"
    assert judge.judge_launch(SOUND, OPEN, TLS1_2).name == "leaks"


def test_each_verdict_is_one_sentence() -> None:
    nothing = judge.LaunchResult("as started", failure="no answer within 60 s")
    lowered = launch(
        allowed_only, lambda case: (case.version >= TLS1_2 or case.setup == "lowered", "")
    )
    more = "more when a program asked for less"
    by_default = launch(
        allowed_only, lambda case: (case.version >= TLS1_2 or case.setup == "default", "")
    )
    sentences = [
        (
            OPEN,
            OPEN,
            f"LEAKS, 18 connections below TLS 1.2 succeeded with default settings, and 30 {more}",
        ),
        (
            OPEN,
            by_default,
            "LEAKS, 6 connections below TLS 1.2 succeeded with default settings",
        ),
        (
            OPEN,
            lowered,
            "LOWERABLE, 6 connections below TLS 1.2 succeeded when a program asked for less",
        ),
        (lowered, SOUND, "ENFORCED, 6 downgrades that work without the floor are blocked"),
        (
            SOUND,
            SOUND,
            "IMMUNE, none of the 48 downgrades that were tried succeeded, even without the floor",
        ),
        (OPEN, nothing, "INCONCLUSIVE, nothing is proven: no answer within 60 s"),
    ]
    for isolated, started, sentence in sentences:
        assert str(judge.judge_launch(isolated, started, TLS1_2)) == sentence


def test_a_verdict_on_hellos_does_not_speak_of_connections() -> None:
    def hellos(accepts: Callable[[cases.Case], bool]) -> judge.LaunchResult:
        said = {case.id: allowed_only(case) for case in QUICK}
        saw = {
            case.id: (True, "")
            if case.version >= TLS1_2 or accepts(case)
            else (False, "refused: x")
            for case in QUICK
        }
        return judge.LaunchResult("x", judge.judge_cases(QUICK, said, saw, TLS1_2))

    every = hellos(lambda case: True)
    lowered = hellos(lambda case: case.setup == "lowered")
    sound = hellos(lambda case: False)
    more, even = "more when a program asked for less", "even without the floor"
    sentences = [
        (
            every,
            every,
            f"LEAKS, 9 hellos below TLS 1.2 were accepted with default settings, and 15 {more}",
        ),
        (
            every,
            lowered,
            "LOWERABLE, 3 hellos below TLS 1.2 were accepted when a program asked for less",
        ),
        (
            lowered,
            sound,
            "ENFORCED, 3 hellos below TLS 1.2 that are accepted without the floor are refused",
        ),
        (
            sound,
            sound,
            f"IMMUNE, none of the 24 hellos below TLS 1.2 that were tried was accepted, {even}",
        ),
    ]
    for isolated, started, sentence in sentences:
        assert str(judge.judge_launch(isolated, started, TLS1_2)) == sentence


def only(found: judge.LaunchResult, *setups: str) -> judge.LaunchResult:
    """A launch that tried nothing but some setups."""
    results = [result for result in found.results if result.case.setup in setups]
    return judge.LaunchResult(found.name, results)


def test_a_verdict_counts_only_what_the_launch_tried() -> None:
    """A launch with an option of Python tries fewer cases than the isolated one."""
    verdict = judge.judge_launch(OPEN, only(SOUND, "default"), TLS1_2, SOUND)
    assert str(verdict) == "ENFORCED, 6 downgrades that work without the floor are blocked"
    assert len(verdict.reasons) == 6
    assert all(reason.startswith("blocked: client ssl default ") for reason in verdict.reasons)


def test_what_a_launch_does_not_have_is_not_blocked() -> None:
    def said(case: cases.Case) -> dict[str, str]:
        return {"absent": "no ssl.x"} if case.setup == "lowered" else allowed_only(case)

    def saw(case: cases.Case) -> tuple[bool, str]:
        return case.version >= TLS1_2 and case.setup != "lowered", ""

    verdict = judge.judge_launch(OPEN, launch(said, saw), TLS1_2)
    assert str(verdict) == "ENFORCED, 42 downgrades that work without the floor are blocked"
    assert not any(" lowered TLS" in reason for reason in verdict.reasons)


def test_a_floor_blocks_what_worked_in_isolation_or_as_started() -> None:
    """The isolated launch has no packages, so their downgrades work in the one as started only."""
    isolated = only(OPEN, "default")
    as_started = only(OPEN, "default", "lowered")
    verdict = judge.judge_launch(isolated, SOUND, TLS1_2, as_started)
    assert str(verdict) == "ENFORCED, 12 downgrades that work without the floor are blocked"
    assert len(set(verdict.reasons)) == 12
    # It is not immune if packages alone can be downgraded.
    assert judge.judge_launch(SOUND, SOUND, TLS1_2, OPEN).name == "enforced"


def test_an_immune_interpreter_is_not_said_to_have_tried_more_without_the_floor() -> None:
    verdict = judge.judge_launch(only(SOUND, "default"), SOUND, TLS1_2)
    assert str(verdict) == (
        "IMMUNE, none of the 48 downgrades that were tried succeeded, and none of the 6 that were "
        "tried without the floor"
    )
    assert len(verdict.reasons) == 48


def test_nothing_is_proven_if_what_works_without_the_floor_was_not_tried() -> None:
    verdict = judge.judge_launch(only(OPEN, "lowered"), only(SOUND, "default"), TLS1_2)
    assert verdict.name == "inconclusive"


def test_refusals_without_a_successful_control_prove_nothing() -> None:
    nothing = launch(lambda case: {"error": "ConnectionRefusedError"}, lambda case: (False, ""))
    assert judge.judge_launch(nothing, nothing, TLS1_2).name == "inconclusive"
    assert judge.judge_launch(OPEN, nothing, TLS1_2).name == "inconclusive"


def test_a_setup_whose_control_failed_is_inconclusive() -> None:
    def saw(case: cases.Case) -> tuple[bool, str]:
        return case.version >= TLS1_2 and case.setup != "lowered", ""

    def said(case: cases.Case) -> dict[str, str]:
        return (
            allowed_only(case)
            if case.setup != "lowered"
            else {"error": "ValueError: something else"}
        )

    assert judge.judge_launch(OPEN, launch(said, saw), TLS1_2).name == "inconclusive"


def test_a_setup_whose_cipher_suites_are_refused_is_inconclusive() -> None:
    """A fixed version has no control of its own, and the default setup asks for no suites."""

    def said(case: cases.Case) -> dict[str, str]:
        refused = {"error": "SSLError: ('No cipher can be selected.',)"}
        return refused if case.setup.endswith("@SECLEVEL=0") else allowed_only(case)

    def saw(case: cases.Case) -> tuple[bool, str]:
        return case.version >= TLS1_2 and not case.setup.endswith("@SECLEVEL=0"), ""

    found = launch(said, saw)
    outcomes = {
        each.case.setup: each.outcome for each in found.results if each.case.version < TLS1_2
    }
    assert outcomes["PROTOCOL_TLSv1"] == "refused"
    assert outcomes["PROTOCOL_TLSv1, @SECLEVEL=0"] == "inconclusive"
    assert judge.judge_launch(OPEN, found, TLS1_2).name == "inconclusive"


def test_a_handshake_that_only_the_peer_saw_counts() -> None:
    def saw(case: cases.Case) -> tuple[bool, str]:
        return case.version >= TLS1_2 or case.setup == "lowered", ""

    verdict = judge.judge_launch(OPEN, launch(allowed_only, saw), TLS1_2)
    assert verdict.name == "lowerable"
    assert all("lowered" in reason for reason in verdict.reasons)


def test_a_timeout_is_not_a_refusal() -> None:
    def said(case: cases.Case) -> dict[str, str]:
        return (
            allowed_only(case) if case.version >= TLS1_2 else {"error": "socket.timeout: timed out"}
        )

    assert (
        judge.judge_launch(OPEN, launch(said, completed_if_allowed), TLS1_2).name == "inconclusive"
    )


@pytest.mark.parametrize(
    ("error", "words", "outcome"),
    [
        # TLS refuses, on one of the sides.
        ("SSLError: [SSL: UNSUPPORTED_PROTOCOL]", "TLSRemoteAlert: protocol_version", "refused"),
        ("SSLError: [SSL: UNSUPPORTED_PROTOCOL]", "TLSAbruptCloseError", "refused"),
        ("SSLError: [SSL: UNSUPPORTED_PROTOCOL]", "ConnectionResetError: [Errno 104]", "refused"),
        ("SSLError: [SSL: NO_PROTOCOLS_AVAILABLE]", "TLSAbruptCloseError", "refused"),
        ("SSLError: [SSL: NO_SHARED_CIPHER]", "TLSRemoteAlert: handshake_failure", "refused"),
        ("ConnectionResetError: [Errno 104]", "TLSLocalAlert: protocol_version", "refused"),
        ("SSLEOFError: EOF occurred", "TLSLocalAlert: handshake_failure: no", "refused"),
        # The program refuses before the handshake.
        ("ValueError: invalid or unsupported protocol version", "", "refused"),
        ("ImportError: it is not covered", "", "refused"),
        ("GuardError: it cannot be held", "TLSAbruptCloseError", "refused"),
        ("GuardError: it cannot be held", "ConnectionResetError: [Errno 104]", "refused"),
        # The connection was dropped.
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "", "inconclusive"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "", "inconclusive"),
        ("OSError: [Errno 24] Too many open files", "", "inconclusive"),
        ("error: [Errno 24] Too many open files", "TLSAbruptCloseError", "inconclusive"),
        ("MemoryError: ", "TLSAbruptCloseError", "inconclusive"),
        ("SSLEOFError: EOF occurred", "TLSAbruptCloseError", "inconclusive"),
        ("SSLEOFError: EOF occurred", "OSError: [Errno 24] Too many open files", "inconclusive"),
        ("ServerDisconnectedError: Server disconnected", "timeout: timed out", "inconclusive"),
        ("AwsCrtError: AWS_IO_SOCKET_CLOSED: socket is closed.", "", "inconclusive"),
        # The peer failed, or saw less than it should.
        ("AwsCrtError: AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE", "AssertionError", "inconclusive"),
        ("SSLError: [SSL: SOMETHING_ELSE]", "it came to no end", "inconclusive"),
        ("SSLError: [SSL: SOMETHING_ELSE]", "TimeoutError: timed out", "inconclusive"),
    ],
)
def test_a_dropped_connection_is_not_a_refusal(error: str, words: str, outcome: str) -> None:
    def said(case: cases.Case) -> dict[str, str]:
        return {"version": "TLSv1.2"} if case.version >= TLS1_2 else {"error": error}

    found = launch(said, lambda case: (case.version >= TLS1_2, words))
    assert {each.outcome for each in found.results if each.case.version < TLS1_2} == {outcome}


@pytest.mark.parametrize(
    ("error", "words", "outcome"),
    [
        ("SSLError: [SSL: UNSUPPORTED_PROTOCOL]", "refused: alert protocol_version", "refused"),
        ("SSLError: [SSL: UNSUPPORTED_PROTOCOL]", "it says nothing", "refused"),
        ("SSLError: [SSL: UNSUPPORTED_PROTOCOL]", "ConnectionResetError", "refused"),
        ("ValueError: no such protocol", "", "refused"),
        ("SSLEOFError: EOF occurred", "it says nothing", "accepted"),
        ("SSLError: [SSL: WRONG_CIPHER_RETURNED]", "alert illegal_parameter", "accepted"),
        ("SSLError: [SSL: SOMETHING_ELSE]", "ConnectionResetError", "inconclusive"),
        ("SSLError: [SSL: SOMETHING_ELSE]", "it came to no end", "inconclusive"),
        ("timed out", "refused: it does not offer TLS 1.3", "inconclusive"),
        ("SSLError: [SSL: NO_PROTOCOLS_AVAILABLE]", "no hello was sent", "refused"),
        ("SSLError: [SSL: NO_CIPHERS_AVAILABLE]", "no hello was sent", "refused"),
        ("OSError: [Errno 24] Too many open files", "no hello was sent", "inconclusive"),
        ("OSError: [Errno 24] Too many open files", "", "inconclusive"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "", "inconclusive"),
    ],
)
def test_after_a_hello_only_an_error_about_the_version_is_a_refusal(
    error: str, words: str, outcome: str
) -> None:
    """The peer takes silence or another alert for acceptance, until the program has an error."""
    taken = words.startswith(("it says", "alert"))
    said = {case.id: {"error": "EOF" if case.version >= TLS1_2 else error} for case in QUICK}
    seen = {
        case.id: (True, "hello") if case.version >= TLS1_2 else (taken, words) for case in QUICK
    }
    found = judge.judge_cases(QUICK, said, seen, TLS1_2)
    assert {each.outcome for each in found if each.case.version < TLS1_2} == {outcome}


def test_a_launch_that_failed_is_inconclusive_with_its_reason() -> None:
    failed = judge.LaunchResult("as started", failure="no answer within 60 s")
    verdict = judge.judge_launch(OPEN, failed, TLS1_2)
    assert str(verdict) == "INCONCLUSIVE, nothing is proven: no answer within 60 s"
    isolated = judge.LaunchResult("isolated", failure="no answer within 60 s")
    verdict = judge.judge_launch(isolated, SOUND, TLS1_2)
    how = "isolated, without environment variables and start-up files"
    assert (verdict.name, verdict.reasons) == ("inconclusive", [f"{how}: no answer within 60 s"])


def test_several_doubts_are_counted_before_the_first() -> None:
    """At the end, the number would seem to belong to the words of the first."""
    verdict = judge.unproven(["an error; hint: write 1.2 or 1.3", "another", "a third"])
    assert verdict.explanation == (
        "nothing is proven: the first of 3 reasons: an error; hint: write 1.2 or 1.3"
    )


def test_every_case_below_the_floor_is_tried_with_both_key_exchanges() -> None:
    for floor in (TLS1_2, TLS1_3):
        planned = cases.plan_cases(floor)
        for way in ("default", "lowered, @SECLEVEL=0"):
            tried = {each.version for each in planned if each.setup == way}
            assert tried == {0x0300, 0x0301, 0x0302, 0x0303, 0x0304}
        assert len({case.id for case in planned}) == len(planned)
        for case in planned:
            twin = {
                each.key_exchange
                for each in planned
                if each.program == case.program and each.version == case.version
            }
            assert twin == ({"rsa", "ecdhe"} if case.version < floor else {"ecdhe"})


HELLO = """
import json, sys, warnings
warnings.simplefilter("ignore")
from tlsfloor.verifier import in_process
seen = in_process.observe_ssl()
print(json.dumps([[each.role, each.setup, each.version, each.outcome] for each in seen]))
"""


def test_the_hello_evidence_sees_the_floor() -> None:
    """It does not call a version refused that a full handshake of the same setup completes."""
    without = json.loads(python("-c", HELLO).stdout)
    armed = json.loads(python("-c", HELLO, env=armed_environment()).stdout)
    assert any(outcome == "accepted" and version == TLS1_0 for _, _, version, outcome in without)
    assert all((outcome == "accepted") == (version >= TLS1_2) for _, _, version, outcome in armed)
    _, report = verify("--floor", "1.2", env=clean_environment())
    deployed = next(each for each in report["launches"] if each["name"] == "as started")
    accepted = {
        (each["role"], each["setup"], each["version"])
        for each in deployed["cases"]
        if each["outcome"] == "accepted" and each["library"] == "ssl"
    }
    said = {
        (role, way, f"TLS 1.{version - TLS1_0}"): outcome for role, way, version, outcome in without
    }
    assert {said[case] for case in accepted} == {"accepted"}


CAPPED = """
import ssl, warnings
warnings.simplefilter("ignore")
from tlsfloor.verifier import in_process
def outcome():
    return [e.outcome for e in in_process.observe_ssl() if (e.role, e.setup, e.version) == asked][0]
asked = "client", "default", 0x304
before, made = outcome(), ssl.create_default_context
def capped(*args, **kwargs):
    context = made(*args, **kwargs)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
ssl.create_default_context = capped
print(before, outcome())
"""


def test_a_version_that_is_not_offered_is_refused() -> None:
    """OpenSSL refuses TLS 1.3 that it did not offer with an alert about the extension."""
    assert python("-c", CAPPED).stdout.split() == ["accepted", "refused"]


CALL = """
import tlsfloor
before = tlsfloor.verify()
tlsfloor.enforce("1.2")
import tlsfloor.verifier.cases
after = tlsfloor.verify("1.2"), tlsfloor.verify("1.3")
print(bool(before), bool(before.below), *map(bool, after), len(before.observations))
"""


def test_a_process_can_verify_itself_by_one_call() -> None:
    """It is a function, also after a module of the verifier was imported."""
    without, below, held, too_much, tried = python("-W", "ignore", "-c", CALL).stdout.split()
    assert (without, below, held, too_much) == ("False", "True", "True", "False")
    assert int(tried) > 20


def test_an_ssl_without_security_levels_can_be_verified() -> None:
    """It is asked for all suites without a level, and the floor holds against that."""
    program = f"""{(PROGRAMS / "without_levels.py").read_text()}
import tlsfloor
before = tlsfloor.verify()
tlsfloor.enforce("1.2")
after = tlsfloor.verify("1.2")
print(bool(before), len(before.doubts), bool(after), len(after.doubts))
"""
    assert python("-W", "ignore", "-c", program).stdout.split() == ["False", "0", "True", "0"]


#: A client of ``ssl`` that is out of memory whenever it begins.
NO_MEMORY = """
import ssl
def do_handshake(self):
    if self.server_side:
        return begin(self)
    raise ssl.SSLError(1, "[SSL] malloc failure (_ssl.c:1006)")
begin, ssl.SSLObject.do_handshake = ssl.SSLObject.do_handshake, do_handshake
"""


@pytest.mark.parametrize("fault", [NO_MEMORY, ""], ids=["no memory", "the control"])
def test_a_role_in_which_nothing_is_accepted_is_inconclusive(fault: str) -> None:
    """A refusal needs a positive control."""
    program = f"""{fault}
import tlsfloor
tlsfloor.enforce("1.2")
found = tlsfloor.verify("1.2")
clients = [each for each in found.observations if each.role == "client"]
print(bool(found), len(found.below), {{each.role for each in found.doubts}} or "",
    any(each.outcome == "accepted" for each in clients))
"""
    done = python("-W", "ignore", "-c", program)
    expected = "False 0 {'client'} False" if fault else "True 0  True"
    assert done.stdout == f"{expected}\n", done


PRINT = """
import tlsfloor
print(tlsfloor.verify())
tlsfloor.enforce("1.2")
result = tlsfloor.verify()
print(result, repr(result), sep="\\n")
"""


def test_what_verify_returns_is_printed_as_one_line() -> None:
    without, held, as_repr = python("-W", "ignore", "-c", PRINT).stdout.splitlines()
    assert without.startswith("floor 1.2 does not hold: client ")
    assert len(without) < 200
    assert held == "floor 1.2 holds: ssl accepts no older version"
    assert as_repr == f"<Verification: {held}>"


@pytest.mark.parametrize("floor", ["", "x", None, 1.2])
def test_verify_rejects_what_is_not_a_floor(floor: object) -> None:
    with pytest.raises(tlsfloor.PolicyError):
        tlsfloor.verify(floor)


UNDONE = """
import ssl, tlsfloor
tlsfloor.enforce("1.2")
held = tlsfloor.status().held
import tlsfloor.floor as state
state.held = state.least = 0x0301  # as code in the process can, which is no boundary; it is named
undone = tlsfloor.status()
print(held, undone.held, "the floor was changed to 1.0" in " ".join(undone.problems))
"""


def test_status_notices_a_floor_that_was_undone() -> None:
    assert python("-W", "ignore", "-c", UNDONE).stdout.split() == ["True", "False", "True"]


def test_the_hello_evidence_needs_nothing_but_the_standard_library() -> None:
    names = python(
        "-c", "import tlsfloor.verifier.in_process, sys; print(*sys.modules)"
    ).stdout.split()
    assert "tlsfloor.verifier.in_process" in names
    assert not {"tlslite", "urllib3", "rich", "certifi", "wrapt"} & set(names)
