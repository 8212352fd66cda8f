"""Write a report as JSON and as JUnit XML. The module ``sarif`` writes the third format."""

from __future__ import annotations

import json
import os

from tlsfloor import versions
from tlsfloor.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from xml.etree import ElementTree as ET

    from tlsfloor.verifier.examine import InterpreterResult, VerifyReport
    from tlsfloor.verifier.judge import CaseResult, LaunchResult, Verdict

#: The version of the JSON. It rises when a key is removed or changes its meaning.
SCHEMA = 2

# The JUnit element for the outcome of a case below the floor, None if the test passes.
_ELEMENTS = {"accepted": "failure", "refused": None, "absent": "skipped", "inconclusive": "error"}


def to_json(report: VerifyReport) -> str:
    """Return a report as JSON. ``verify.schema.json``, in this folder, describes it."""
    return json.dumps(report_as_dict(report), indent=2) + "\n"


def report_as_dict(report: VerifyReport) -> dict[str, Any]:
    """Return a report as JSON types: verdicts, their reasons, and the evidence of each case."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "tlsfloor", "version": report.tool},
        "run": report.run,
        "floor": versions.floor_name(report.floor),
        "evidence": report.evidence,
        "roles": list(report.roles),
        "targets": report.targets,
        "exit_status": report.exit_status,
        "finished": not report.not_reached,
        "problems": report.problems,
        "interpreters": [_interpreter(result, report) for result in report.results],
        "skipped": report.found.skipped,
    }


def _interpreter(result: InterpreterResult, report: VerifyReport) -> dict[str, Any]:
    interpreter = result.interpreter
    return {
        "path": interpreter.path,
        "other_names": list(interpreter.other_names),
        "venv": interpreter.venv or None,
        "image": interpreter.image or None,
        **{name: result.fact(name) or None for name in ("implementation", "version", "openssl")},
        **_verdict(result.verdict),
        "other_verdicts": {name: _verdict(each) for name, each in result.other_verdicts.items()},
        "seconds": round(result.seconds, 3),
        "likeness": likeness(result),
        "fingerprint": result.fingerprint or None,
        "earlier_run": result.tried_before or None,
        "libraries": moved(report.describe(result.libraries), result),
        "launches": [_launch(launch) for launch in result.launches],
    }


def likeness(result: InterpreterResult) -> dict[str, str | None]:
    """Return which interpreter was tried in place of this one, and why it could be."""
    return {
        "digest": result.likeness or None,
        "same_as": result.same_as.interpreter.path if result.same_as else None,
        "reason": result.reason or None,
    }


def moved(value: Any, result: InterpreterResult) -> Any:
    """Return JSON types with the files of the environment itself, if another one was tried."""
    if not result.same_as:
        return value
    if isinstance(value, dict):
        return {key: moved(each, result) for key, each in value.items()}
    if isinstance(value, list):
        return [moved(each, result) for each in value]
    tried = os.path.join(result.same_as.interpreter.venv, "")
    inside = isinstance(value, str) and value.startswith(tried)
    return os.path.join(result.interpreter.venv, value[len(tried) :]) if inside else value


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.name,
        "flagged": verdict.exit_status != 0,
        "summary": str(verdict),
        "reasons": verdict.reasons,
    }


def _launch(launch: LaunchResult) -> dict[str, Any]:
    cases = [_case(result) for result in launch.results]
    return {
        "name": launch.name,
        "failure": launch.failure,
        "reused_from": launch.reused_from or None,
        "facts": launch.facts,
        "cases": cases,
    }


def _case(result: CaseResult) -> dict[str, Any]:
    case = {**vars(result.case), "version": versions.name(result.case.version), **vars(result)}
    return {key: value for key, value in case.items() if key != "case"}


# What names a file of a library for certain: an implementation has the name and the version.
_OF_A_FILE = ("path", "implementation", "built", "sha256")


def circumstances(report: VerifyReport) -> dict[str, str]:
    """Return what a report is about, and how, where and as whom it was made, as texts."""
    run = report.run
    return {
        "tool": f"tlsfloor {report.tool}",
        "floor": versions.floor_name(report.floor),
        "evidence": report.evidence,
        "roles": ", ".join(report.roles),
        "command": printable(" ".join(run.get("command", ()))),
        "system": printable(" ".join(str(run.get(key)) for key in ("system", "kernel", "machine"))),
        "distribution": printable(str(run.get("distribution"))),
        "user_id": str(run.get("user_id")),
    }


def files_of(result: InterpreterResult, report: VerifyReport) -> list[str]:
    """Return path, implementation, build date and SHA-256 of each file of TLS libraries."""
    libraries = moved(report.describe(result.libraries), result)
    files = [file for each in libraries for file in (each, *each.get("parts", ()))]
    return [
        printable(": ".join(str(file[key]) for key in _OF_A_FILE if file.get(key)))
        for file in files
    ]


def to_junit(report: VerifyReport) -> str:
    """Return a report as JUnit XML: a suite for each interpreter, a test for each of its cases."""
    from xml.etree import ElementTree as ET

    root = ET.Element("testsuites", name="tlsfloor verify")
    for result in report.results:
        suite = ET.SubElement(root, "testsuite", name=printable(result.interpreter.path))
        suite.set("time", f"{result.seconds:.3f}")
        if report.run:
            suite.set("timestamp", report.run["time"])
            suite.set("hostname", printable(report.run["host"]))
        _add_properties(suite, result, report)
        verdict = result.verdict
        element = {0: None, 1: "failure", 3: "error"}[verdict.exit_status]
        # The verdict is a test of its own: it may be about the isolated launch.
        _test(suite, "verdict", element, verdict.name, "\n".join([str(verdict), *verdict.reasons]))
        if result.notes:
            ET.SubElement(suite[1], "system-out").text = printable("; ".join(result.notes))
        for each in result.as_started.results:
            text = _evidence_of(each)
            _test(suite, each.case.id, _element(each, report.floor), each.outcome, text)
    if report.problems or not report.results:
        suite = ET.SubElement(root, "testsuite", name="search")
        for problem in report.problems or ["no interpreter found"]:
            _test(suite, problem, "error", "inconclusive", problem)
    for suite in root:
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(suite.findall("testcase"))))
    for node in root.iter():
        node.tail = "\n"
    # ASCII is the same in every locale.
    text = str(ET.tostring(root, encoding="us-ascii"), "ascii")
    return '<?xml version="1.0" encoding="us-ascii"?>\n' + text.split("?>\n", 1)[-1]


def _add_properties(suite: ET.Element, result: InterpreterResult, report: VerifyReport) -> None:
    from xml.etree import ElementTree as ET

    libraries = [("library", each) for each in files_of(result, report)]
    properties = ET.SubElement(suite, "properties")
    for name, value in (*circumstances(report).items(), *libraries):
        ET.SubElement(properties, "property", name=name, value=value)


def _evidence_of(result: CaseResult) -> str:
    """Return what happened in one line, and then what each side says about it."""
    first = result.probe_said or result.peer_saw
    if result.outcome == "accepted":
        first = f"{versions.name(result.case.version)} was accepted"
    return f"{first}\nprobe_said: {result.probe_said}\npeer_saw: {result.peer_saw}"


def _element(result: CaseResult, floor: int) -> str | None:
    """Return the element of a case. A version that the floor allows is a control, and passes."""
    if result.case.version >= floor and result.outcome != "absent":
        return None
    return _ELEMENTS[result.outcome]


def _test(suite: ET.Element, name: str, element: str | None, kind: str, text: str) -> None:
    from xml.etree import ElementTree as ET

    test = ET.SubElement(suite, "testcase", name=printable(name), classname=suite.attrib["name"])
    if element:
        lines = [printable(line) for line in text.split("\n")]
        ET.SubElement(test, element, type=kind, message=lines[0][:500]).text = "\n".join(lines)
