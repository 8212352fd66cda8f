"""The judge: its verdict on this interpreter, and that it claims nothing that was not observed."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

import tlsfloor
from programs import PROGRAMS, armed_environment, clean_environment, python
from tlsfloor.versions import TLS1_0, TLS1_2


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
