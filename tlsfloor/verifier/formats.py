"""A report in the formats that programs read: JSON and JUnit XML; ``sarif`` has the third.

All of them are made of the same ``examine.Report``. The JSON holds the evidence of every case, and
its schema is ``report.schema.json``, beside this file.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from tlsfloor import versions
from tlsfloor.errors import printable
from tlsfloor.verifier.examine import STATUSES
from tlsfloor.verifier.judge import SOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.verifier.examine import Examined, Report
    from tlsfloor.verifier.judge import Result

#: The version of the JSON. It rises when a key changes its meaning or goes.
SCHEMA = 1

# What becomes of a case below the floor in JUnit: its element, None for one that passes.
_ELEMENTS = {"accepted": "failure", "refused": None, "absent": "skipped", "inconclusive": "error"}


def as_dict(report: Report) -> dict[str, Any]:
    """Return a report as JSON types: verdicts, their reasons, and the evidence of each case.

    .. versionadded:: 0.1
    """
    return {
        "schema": SCHEMA,
        "tool": {"name": "tlsfloor", "version": report.tool},
        "floor": versions.floor_name(report.floor),
        "evidence": report.evidence,
        "targets": report.targets,
        "status": report.status,
        "doubts": report.doubts,
        "interpreters": [_interpreter(each, report) for each in report.examined],
        "skipped": report.found.skipped,
    }


def _interpreter(examined: Examined, report: Report) -> dict[str, Any]:
    interpreter = examined.interpreter
    return {
        "path": interpreter.path,
        "also": list(interpreter.also),
        "venv": interpreter.venv or None,
        "image": interpreter.image or None,
        **{name: examined.fact(name) or None for name in ("implementation", "version", "openssl")},
        **_verdict(examined.verdict, examined.reasons),
        "more": {name: _verdict(*each) for name, each in examined.more.items()},
        "seconds": round(examined.seconds, 3),
        "libraries": report.describe(examined.libraries),
        "launches": [each.as_dict() for each in examined.launches],
    }


def _verdict(verdict: str, reasons: list[str]) -> dict[str, Any]:
    return {"verdict": verdict, "flagged": verdict not in SOUND, "reasons": reasons}


def to_json(report: Report) -> str:
    """Return a report as JSON, as ``report.schema.json`` describes it.

    .. versionadded:: 0.1
    """
    return json.dumps(as_dict(report), indent=2) + "\n"


def to_junit(report: Report) -> str:
    """Return a report as JUnit XML: a suite for each interpreter, a test for each of its cases.

    .. versionadded:: 0.1
    """
    root = ET.Element("testsuites", name="tlsfloor verify")
    for examined in report.examined:
        suite = ET.SubElement(root, "testsuite", name=printable(examined.interpreter.path))
        suite.set("time", f"{examined.seconds:.3f}")
        outcome = {0: None, 1: "failure", 3: "error"}[STATUSES[examined.verdict]]
        # The verdict is a case of its own: doubts of the isolated launch belong to no other.
        _test(suite, "verdict", outcome, examined.verdict, "\n".join(examined.reasons))
        for result in examined.deployed.results if examined.deployed else ():
            outcome = _outcome(result, report.floor)
            _test(suite, result.case.id, outcome, result.outcome, result.told or result.seen)
    if report.doubts or not report.examined:
        suite = ET.SubElement(root, "testsuite", name="search")
        for doubt in report.doubts or ["no interpreter found"]:
            _test(suite, doubt, "error", "inconclusive", doubt)
    for suite in root:
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(suite)))
    for element in root.iter():
        element.tail = "\n"
    # ASCII is written the same in every locale, as the JSON is.
    text = str(ET.tostring(root, encoding="us-ascii"), "ascii")
    return '<?xml version="1.0" encoding="us-ascii"?>\n' + text.split("?>\n", 1)[-1]


def _outcome(result: Result, floor: int) -> str | None:
    """Return the element of a case; what the floor allows is a control, and passes."""
    if result.case.version >= floor and result.outcome != "absent":
        return None
    return _ELEMENTS[result.outcome]


def _test(suite: ET.Element, name: str, outcome: str | None, message: str, text: str) -> None:
    case = ET.SubElement(suite, "testcase", name=printable(name), classname=suite.attrib["name"])
    if outcome:
        lines = [printable(line) for line in text.split("\n")]
        element = ET.SubElement(case, outcome, type=message, message=lines[0][:500])
        element.text = "\n".join(lines)
