"""The formats of a report: each is valid by its published schema, whatever its content is."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import outputs
from parts import need
from programs import python
from verify_reports import REPORTS, a_report, examined, result, shared
from tlsfloor.cli._evidence import about_run
from tlsfloor.inventory import identity, libraries
from tlsfloor.verifier import cases, examine, find, formats, sarif, schedule
from tlsfloor.versions import FLOORS, SSL3, TLS1_1, TLS1_2, TLS1_3

need("jsonschema", "schemastore", "xmlschema", "rich")

import jsonschema  # noqa: E402 - only where it is there
import xmlschema  # noqa: E402

from tlsfloor.verifier import text  # noqa: E402


@pytest.fixture(scope="module")
def real() -> examine.VerifyReport:
    """A report on this interpreter, with a few cases."""
    planned = [
        case
        for case in cases.plan_cases(TLS1_2)
        if case.library == "ssl" and case.setup == "default"
    ]
    search = find.find_interpreters([sys.executable])
    report = examine.VerifyReport(TLS1_2, [], "0.1", search, run=about_run()["run"])
    report.describe = lambda found: identity.with_identity(libraries.without_coverage(found))
    schedule.examine_interpreters(report, planned, 60, 2, armed=True)
    return report


@pytest.fixture(params=[*REPORTS, "real"])
def report(request: pytest.FixtureRequest) -> examine.VerifyReport:
    if request.param == "real":
        found: examine.VerifyReport = request.getfixturevalue("real")
        return found
    return REPORTS[request.param]


def test_the_schema_has_the_version_of_the_json() -> None:
    assert outputs.schema("verify")["properties"]["schema"]["const"] == formats.SCHEMA


def test_json_is_valid_by_its_schema(report: examine.VerifyReport) -> None:
    report.describe = lambda found: identity.with_identity(libraries.without_coverage(found[:9]))
    found = json.loads(formats.to_json(report))
    outputs.validate_json("verify", found)
    assert found["exit_status"] == report.exit_status


def test_json_holds_the_evidence_of_each_case(real: examine.VerifyReport) -> None:
    [interpreter] = json.loads(formats.to_json(real))["interpreters"]
    assert [each["name"] for each in interpreter["launches"]] == [
        "isolated",
        "as started",
        "with floor 1.2",
    ]
    accepted = [
        case
        for each in interpreter["launches"]
        for case in each["cases"]
        if case["outcome"] == "accepted"
    ]
    assert accepted
    assert all(
        case["probe_said"].startswith("TLSv1") and case["peer_saw"].startswith("TLS_")
        for case in accepted
    )


def test_sarif_is_valid_by_the_published_schema_and_rules(report: examine.VerifyReport) -> None:
    assert outputs.validate(sarif.to_sarif(report)) == "sarif"


def test_the_sarif_schema_refuses_what_is_not_sarif() -> None:
    """A control: a schema that takes everything proves nothing."""
    log = json.loads(sarif.to_sarif(REPORTS["every verdict"]))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        outputs.validate_sarif(log)


@pytest.mark.parametrize(
    ("owner", "key"),
    [
        ("log", "version"),
        ("rule", "shortDescription"),
        ("rule", "help"),
        ("rule", "helpUri"),
        ("result", "message"),
        ("result", "locations"),
        ("result", "partialFingerprints"),
        ("place", "region"),
        ("place", "artifactLocation"),
    ],
)
def test_the_rules_of_code_scanning_refuse_what_it_cannot_show(owner: str, key: str) -> None:
    log = json.loads(sarif.to_sarif(REPORTS["every verdict"]))
    outputs.check_code_scanning(log)
    [run] = log["runs"]
    owners = {"log": log, "rule": run["tool"]["driver"]["rules"][0], "result": run["results"][0]}
    owners["place"] = run["results"][0]["locations"][0]["physicalLocation"]
    del owners[owner][key]
    with pytest.raises((AssertionError, KeyError)):
        outputs.check_code_scanning(log)


def test_a_sarif_result_keeps_its_fingerprint_while_its_verdict_is_the_same() -> None:
    def prints(*found: examine.InterpreterResult) -> list[str]:
        results = json.loads(sarif.to_sarif(a_report(*found)))["runs"][0]["results"]
        return [each["partialFingerprints"]["primaryLocationLineHash"] for each in results]

    first, second, other = examined("leaks"), examined("lowerable"), examined("leaks", "/python")
    assert prints(first) == prints(examined("leaks"))
    assert len({*prints(first, second, other)}) == 3


def test_sarif_has_a_result_for_each_flagged_interpreter() -> None:
    [run] = json.loads(sarif.to_sarif(REPORTS["every verdict"]))["runs"]
    rules = run["tool"]["driver"]["rules"]
    found = {}
    for each in run["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        uri = each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        found[uri] = each["level"]
        assert [taxon["id"] for taxon in each["taxa"]] == ["326", "327"]
    assert found == {
        "file:///leaks/python": "error",
        "file:///lowerable/python": "warning",
        "file:///inconclusive/python": "note",
    }
    notes = [
        each["message"]["text"] for each in run["invocations"][0]["toolExecutionNotifications"]
    ]
    assert notes == ["not searched: /root: Permission denied", "skipped: /app/python: a script"]


def test_a_sarif_rule_has_the_evidence_and_advice() -> None:
    """The rule for inconclusive results names no evidence, and does not advise to set a floor."""
    for evidence, seen in (("handshake", "a full handshake below"), ("hello", "a crafted hello")):
        report = a_report(examined("inconclusive"))
        report.evidence = evidence
        [run] = json.loads(sarif.to_sarif(report))["runs"]
        rules = {each["id"]: each for each in run["tool"]["driver"]["rules"]}
        for verdict in ("leaks", "lowerable"):
            assert seen in rules[f"tlsfloor/{verdict}"]["fullDescription"]["text"]
            assert rules[f"tlsfloor/{verdict}"]["help"]["text"].startswith("set the floor")
        unproven = rules["tlsfloor/inconclusive"]
        text = unproven["fullDescription"]["text"]
        assert not any(word in text for word in ("full handshake", "hello", "was tried"))
        assert unproven["help"]["text"].startswith("remove the reason that the result names")
        assert run["results"][0]["properties"]["reasons"][0] == "first"


def test_ssl_3_is_shown_if_it_was_accepted() -> None:
    def shown(outcome: str) -> bool:
        found = examined("leaks", results=[result(outcome, SSL3), result("accepted", TLS1_2)])
        return "SSLv3 -   -   1.2" in text.to_text(a_report(found))

    assert [shown(outcome) for outcome in ("accepted", "refused")] == [True, False]


def test_junit_is_valid_by_the_common_schema(report: examine.VerifyReport) -> None:
    assert outputs.validate(formats.to_junit(report)) == "junit"


def test_the_junit_schema_refuses_what_is_not_junit() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        outputs.validate('<?xml version="1.0"?><testsuites><testsuite/></testsuites>')


def test_cyclonedx_is_valid_by_its_own_validator(report: examine.VerifyReport) -> None:
    need("cyclonedx")
    from tlsfloor.verifier import cyclonedx

    report.describe = lambda found: identity.with_identity(libraries.without_coverage(found[:9]))
    assert outputs.validate(cyclonedx.to_cyclonedx(report)) == "cyclonedx"


def test_junit_fails_exactly_when_the_status_does(report: examine.VerifyReport) -> None:
    root = ET.fromstring(formats.to_junit(report))
    assert (root.find(".//failure") is None and root.find(".//error") is None) == (
        report.exit_status == 0
    )


def test_junit_has_a_test_for_each_case() -> None:
    [suite] = ET.fromstring(formats.to_junit(REPORTS["every outcome"]))
    counts = {
        name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time")
    }
    assert counts == {
        "name": "/app/bin/python",
        "tests": "5",
        "failures": "2",
        "errors": "1",
        "skipped": "1",
        "time": "1.234",
    }
    test = suite.findall("testcase")[1]
    assert test.get("name") == "client ssl default TLS 1.0 rsa"
    assert test[0].get("message") == "TLS 1.0 was accepted"
    assert test[0].text == "TLS 1.0 was accepted\nprobe_said: said\npeer_saw: saw"


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_the_advice_of_sarif_is_about_the_floor_of_the_report(floor: str) -> None:
    report = a_report(examined("leaks"))
    report.floor = FLOORS[floor]
    [run] = json.loads(sarif.to_sarif(report))["runs"]
    for rule in run["tool"]["driver"]["rules"][:2]:
        for advice in rule["help"].values():
            assert f"`tlsfloor env --floor {floor}`" in advice
            assert f"tlsfloor install --floor {floor}" in advice


def test_sarif_and_junit_name_the_run_and_the_libraries() -> None:
    """So the file alone says what it is about, and which files were tried."""
    report = REPORTS["shared"]
    suites = ET.fromstring(formats.to_junit(report))
    properties = [(each.get("name"), each.get("value")) for each in suites[1].iter("property")]
    [run] = json.loads(sarif.to_sarif(report))["runs"]
    [invocation] = run["invocations"]
    assert run["tool"]["driver"]["informationUri"] == sarif.ADDRESS
    for name, value in {"floor": "1.2", "evidence": "handshake", "tool": "tlsfloor 0.1"}.items():
        assert (name, value) in properties
        assert invocation["properties"][name] == value
    assert invocation["machine"] == report.run["host"]
    assert ("library", "/srv/1/lib/native.so: OpenSSL 3") in properties
    libraries = run["results"][1]["properties"]["libraries"]
    assert libraries == ["/srv/1/lib/native.so: OpenSSL 3"]


@pytest.mark.parametrize("version", [TLS1_2, TLS1_3])
def test_what_the_floor_allows_never_fails_in_junit(version: int) -> None:
    report = a_report(
        examined("immune", results=[result("accepted", version), result("refused", version)])
    )
    assert "<failure" not in formats.to_junit(report)
    assert "<failure" in formats.to_junit(
        a_report(examined("leaks", results=[result("accepted", TLS1_1)]))
    )


def test_the_exit_status_is_the_worst_of_all() -> None:
    assert [each.exit_status for each in REPORTS.values()] == [1, 3, 1, 1, 3, 3]
    assert a_report(examined("immune"), examined("enforced")).exit_status == 0
    assert a_report(examined("immune"), unread={"/root": "Permission denied"}).exit_status == 3
    assert a_report(examined("inconclusive"), examined("lowerable")).exit_status == 1
    assert a_report().exit_status == 3


def test_the_text_is_plain(report: examine.VerifyReport) -> None:
    printed = text.to_text(report)
    assert all(line.isprintable() and line == line.rstrip() for line in printed.splitlines())
    for each in report.results:
        assert each.verdict.name.upper() in printed


RUN = {"time": "2026-01-31T08:00:00Z", "host": "build-7"}


@pytest.mark.parametrize(
    ("evidence", "roles", "end"),
    [
        ("handshake", ("client", "server"), "tried as client and server, by full handshakes"),
        (
            "hello",
            ("client",),
            "tried as client, by crafted hellos only: no handshake was completed",
        ),
    ],
)
def test_the_last_line_says_what_made_the_report(
    evidence: str, roles: tuple[str, ...], end: str
) -> None:
    report = a_report(examined("leaks", results=[result("accepted")]))
    report.evidence, report.roles, report.run = evidence, roles, RUN
    lines = text.to_text(report).splitlines()
    assert lines[-1] == f"made 2026-01-31T08:00:00Z by tlsfloor 0.1 on build-7; {end}"
    assert formats.report_as_dict(report)["roles"] == list(roles)
    # Only cases of handshakes have a key exchange each.
    assert any("two key exchanges" in line for line in lines) == (evidence == "handshake")


def test_a_line_that_begins_with_a_launch_is_a_verdict() -> None:
    lines = text.to_text(a_report(examined("leaks", results=[result("accepted")]))).splitlines()
    assert [line for line in lines if line.startswith("as started")] == [
        "as started: LEAKS, a sentence"
    ]
    assert [line for line in lines if '"as started" means: ' in line]


def test_a_library_is_said_to_be_covered_if_a_floor_is_set() -> None:
    report = a_report(examined("leaks"))
    facts = {"path": "/x", "stack": "_awscrt", "coverage": "guarded"}
    pure = {"stack": "tlslite.handshakesettings", "implementation": "tlslite (pure Python)"}
    report.describe = lambda _: [{**facts, "implementation": "s2n"}, {**facts, **pure}]
    lines = text.to_text(report).splitlines()
    assert [line for line in lines if line.startswith("other TLS library: ")] == [
        "other TLS library: _awscrt (s2n): guarded if floor 1.2 is set",
        "other TLS library: tlslite (pure Python): guarded if floor 1.2 is set",
    ]


def test_colors_are_the_only_escapes_in_the_text() -> None:
    colored = text.to_text(REPORTS["hostile"], colors=True)
    assert "\033[1;31mINCONCLUSIVE\033[0m" in colored
    assert "\033" not in re.sub("\033\\[(1;31|32|33|0)m", "", colored)
    assert "\033" not in text.to_text(REPORTS["hostile"])


def test_few_interpreters_have_tables_and_many_have_a_line_each() -> None:
    few = [
        examined("leaks", f"/{number}/python", results=[result("accepted")]) for number in range(3)
    ]
    many = [
        *few,
        examined(
            "immune",
            "/3/python",
            facts={
                "implementation": "PyPy",
                "version": "3.10.1",
                "openssl": "OpenSSL 3.5.0 8 Apr 2025",
            },
        ),
    ]
    assert text.to_text(a_report(*few)).count("accepts TLS") == 3
    printed = text.to_text(a_report(*many))
    assert "accepts TLS" not in printed
    assert printed.splitlines()[-2].split() == [
        "/3/python",
        "PyPy",
        "3.10.1",
        "3.5.0",
        "IMMUNE",
        "a",
        "sentence",
    ]


def test_sarif_and_junit_say_when_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place below the current folder is relative to it; GitHub shows no other."""
    monkeypatch.chdir(tmp_path)
    below, above = str(tmp_path / "a b" / "python"), "/python"
    report = a_report(examined("leaks", below), examined("leaks", above))
    report.run = {"time": "2026-01-31T08:00:00Z", "host": "build-7"}
    log = json.loads(sarif.to_sarif(report))
    outputs.validate_sarif(log)
    [run] = log["runs"]
    assert run["invocations"][0]["startTimeUtc"] == "2026-01-31T08:00:00Z"
    places = [
        each["locations"][0]["physicalLocation"]["artifactLocation"] for each in run["results"]
    ]
    assert places == [
        {"uri": "a%20b/python", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///python"},
    ]
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"] == f"{tmp_path.as_uri()}/"
    suite = ET.fromstring(formats.to_junit(report))[0]
    assert (suite.get("timestamp"), suite.get("hostname")) == ("2026-01-31T08:00:00Z", "build-7")


@pytest.mark.parametrize("kind", ["json", "sarif", "junit", "cyclonedx"])
def test_an_output_is_written_whole_or_not_at_all(kind: str, tmp_path: Path) -> None:
    if kind == "cyclonedx":
        need("cyclonedx")
    (tmp_path / "nothing").mkdir()
    place, other = tmp_path / "a folder", tmp_path / "report"
    place.mkdir()
    words = ["verify", str(tmp_path / "nothing"), "--format", kind, "--output"]
    done = python("-m", "tlsfloor", *words, str(place))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {place} cannot be written: ")
    assert "\nhint: " in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["a folder", "nothing"]
    other.write_text("the report before")
    done = python("-m", "tlsfloor", *words, str(other))
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert outputs.validate(other.read_text()) in (kind, "verify")
    assert sorted(os.listdir(tmp_path)) == ["a folder", "nothing", "report"]


def test_every_interpreter_is_in_every_report_although_one_was_tried_for_all() -> None:
    report = a_report(*shared(6))
    found = json.loads(formats.to_json(report))["interpreters"]
    assert [each["verdict"] for each in found] == ["leaks"] * 6
    assert [bool(each["launches"]) for each in found] == [True, *[False] * 5]
    assert [each["likeness"]["same_as"] for each in found] == [None, *["/srv/0/bin/python"] * 5]
    # Its files are its own, although those of another one were read.
    assert [each["libraries"][0]["path"] for each in found] == [
        f"/srv/{number}/lib/native.so" for number in range(6)
    ]
    results = json.loads(sarif.to_sarif(report))["runs"][0]["results"]
    assert len(results) == 6
    assert results[5]["message"]["text"].endswith("; tried as /srv/0/bin/python: it is alike")
    assert results[5]["properties"]["likeness"]["same_as"] == "/srv/0/bin/python"
    suites = list(ET.fromstring(formats.to_junit(report)))
    assert [suite.get("name") for suite in suites] == [each["path"] for each in found]
    assert [suite.get("failures") for suite in suites] == ["2", *["1"] * 5]
    assert suites[5].findtext("testcase/system-out") == "tried as /srv/0/bin/python: it is alike"


def test_text_names_those_that_share_a_verdict_in_one_line() -> None:
    lines = text.to_text(a_report(*shared(6))).splitlines()
    some = "/srv/1/bin/python, /srv/2/bin/python, …, /srv/5/bin/python"
    assert lines[-3:-1] == [
        f"    the same for 5: {some}: it is alike",
        "tried: 1 of 6 interpreters; with --each, every one is tried",
    ]
    assert sum("LEAKS" in line for line in lines) == 1


def test_an_unfinished_report_is_never_good() -> None:
    report = a_report(examined("immune"))
    report.found.interpreters = [report.results[0].interpreter, find.Interpreter("/other")]
    assert (report.exit_status, formats.report_as_dict(report)["finished"]) == (0, True)
    report.not_reached = 1
    assert (report.exit_status, formats.report_as_dict(report)["finished"]) == (3, False)
    assert report.problems == ["interrupted: 1 of 2 interpreters are not verified"]
