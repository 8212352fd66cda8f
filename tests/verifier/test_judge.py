"""The judge without launches: it claims nothing that was not observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest

from tlsfloor.verifier import cases, judge
from tlsfloor.versions import TLS1_2, TLS1_3

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


def test_a_verdict_on_one_case_is_in_the_singular() -> None:
    one = judge.LaunchResult("x", [each for each in OPEN.results if each.case.version < TLS1_2][:1])
    verdict = judge.judge_launch(OPEN, one, TLS1_2)
    assert verdict.explanation == "1 connection below TLS 1.2 succeeded with default settings"
    refused = [each for each in SOUND.results if each.case == one.results[0].case]
    verdict = judge.judge_launch(one, judge.LaunchResult("x", refused), TLS1_2)
    assert verdict.explanation == "1 downgrade that works without the floor is blocked"


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
    assert judge.unproven(["x", "y"]).explanation.endswith(": the first of 2 reasons: x")
    assert judge.unproven(["x"]).explanation == "nothing is proven: x"


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


def test_only_immune_and_enforced_have_exit_status_0() -> None:
    statuses = {name: judge.Verdict(name, "", []).exit_status for name in judge.EXIT_STATUSES}
    assert statuses == {"immune": 0, "enforced": 0, "lowerable": 1, "leaks": 1, "inconclusive": 3}


def test_evidence_and_verdicts_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SOUND.results[0].outcome = "accepted"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        judge.unproven(["x"]).name = "immune"  # type: ignore[misc]


def test_a_version_equal_to_the_floor_is_allowed_and_is_a_control() -> None:
    def said(case: cases.Case) -> dict[str, str]:
        return {"version": "TLSv1.2"} if case.version == TLS1_2 else {"error": "SSLError: x"}

    found = launch(said, lambda case: (case.version == TLS1_2, ""))
    assert judge.judge_launch(found, found, TLS1_2).name == "immune"
    assert not [each for each in found.below(TLS1_2, "accepted") if each.case.version == TLS1_2]


def test_a_control_needs_both_sides() -> None:
    """A peer that saw a handshake which the program knows nothing of is no control."""
    found = launch(lambda case: {"error": "SSLError: x"}, completed_if_allowed)
    assert judge.judge_launch(OPEN, found, TLS1_2).name == "inconclusive"


def test_what_an_interpreter_does_not_have_proves_nothing() -> None:
    found = launch(lambda case: {"absent": "No module named 'ssl'"}, lambda case: (False, ""))
    assert {(each.outcome, each.probe_said) for each in found.results} == {
        ("absent", "No module named 'ssl'")
    }
    assert found.doubts() == ["nothing could be tried"]


@pytest.mark.parametrize(
    ("absent", "outcome"),
    [
        ("tlsfloor: error: it is not covered", "refused"),
        ("libx.so: cannot allocate memory in static TLS block", "inconclusive"),
        ("libx.so: too many open files", "inconclusive"),
        ("No module named 'x'", "absent"),
    ],
)
def test_an_import_that_failed_is_not_always_that_of_an_absent_library(
    absent: str, outcome: str
) -> None:
    def said(case: cases.Case) -> dict[str, str]:
        return {"absent": absent} if case.setup == "lowered" else allowed_only(case)

    def saw(case: cases.Case) -> tuple[bool, str]:
        return case.version >= TLS1_2 and case.setup != "lowered", ""

    found = launch(said, saw).results
    assert {each.outcome for each in found if each.case.setup == "lowered"} == {outcome}
    # If nothing can be imported, no import that is refused has a control.
    nothing = launch(lambda case: {"absent": absent}, lambda case: (False, "")).results
    assert {each.outcome for each in nothing} == {
        "inconclusive" if outcome == "refused" else outcome
    }


@pytest.mark.parametrize(("saw", "outcome"), [("", "refused"), ("hello", "inconclusive")])
def test_a_library_that_the_floor_refuses_needs_no_control(saw: str, outcome: str) -> None:
    error = "ProtocolRefused: it cannot be held"
    found = launch(lambda case: {"error": error}, lambda case: (False, saw))
    assert {each.outcome for each in found.results} == {outcome}


def test_a_doubt_names_its_case_and_what_was_seen_last() -> None:
    for said, saw, text in (("EOF", "an end", "EOF"), ("", "an end", "an end")):
        found = launch(lambda case: {"error": said}, lambda case: (False, saw))
        assert found.doubts()[:-1] == [f"{case.id}: {text}" for case in PLAN]
        assert found.doubts()[-1] == "nothing could be tried"


def test_a_case_that_the_probe_did_not_reach_is_inconclusive() -> None:
    reached = {case.id: allowed_only(case) for case in PLAN if case.version >= TLS1_2}
    saw = {case.id: completed_if_allowed(case) for case in PLAN}
    found = judge.judge_cases(PLAN, reached, saw, TLS1_2)
    below = [each for each in found if each.case.version < TLS1_2]
    assert {(each.outcome, each.probe_said) for each in below} == {
        ("inconclusive", "the probe did not reach this case")
    }


def test_a_fact_that_is_no_list_counts_as_an_empty_one() -> None:
    found = judge.LaunchResult("x", facts={"armings": [1], "startup_files": "a text"})
    assert [found.fact_list(name) for name in ("armings", "startup_files", "x")] == [[1], [], []]


def test_doubts_about_a_launch_hide_no_block_but_prevent_enforced() -> None:
    """Also if the doubt is about one case of many that are blocked."""

    def said(case: cases.Case) -> dict[str, str]:
        return {"error": "EOF"} if case.setup == "lowered" else allowed_only(case)

    def saw(case: cases.Case) -> tuple[bool, str]:
        return case.version >= TLS1_2 and case.setup != "lowered", ""

    verdict = judge.judge_launch(OPEN, launch(said, saw), TLS1_2)
    assert verdict.name == "inconclusive"
    assert all(" lowered " in reason and reason.endswith(": EOF") for reason in verdict.reasons)


def test_reasons_begin_with_what_happened_to_the_case() -> None:
    words = {
        judge.judge_launch(isolated, started, TLS1_2).reasons[0].partition(": ")[0]
        for isolated, started in ((OPEN, OPEN), (OPEN, SOUND), (SOUND, SOUND))
    }
    assert words == {"accepted", "blocked", "refused"}
