"""Write a report as SARIF 2.1.0 (OASIS), which code hosts show next to other scanners' findings.

There is a result for each flagged interpreter, at its path. ``sarif.json`` holds all that is the
same in each report: the rules, one for each flagged verdict, and the weaknesses CWE-326 and
CWE-327, to which each result refers.
"""

from __future__ import annotations

import json
from pathlib import Path

from tlsfloor import versions
from tlsfloor.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.verifier.examine import InterpreterResult, VerifyReport

_TEMPLATE = Path(__file__).with_name("sarif.json")

# What proves that a version was accepted, by the evidence of the run.
_EVIDENCE = {
    "handshake": "a full handshake below the floor was completed with a peer of the verifier",
    "hello": "a crafted hello below the floor was accepted",
}


def to_sarif(report: VerifyReport) -> str:
    """Return the flagged interpreters as SARIF 2.1.0."""
    log = json.loads(_TEMPLATE.read_text("ascii"))
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    driver["version"] = report.tool
    places = {}
    for index, rule in enumerate(driver["rules"]):
        text = rule["fullDescription"]["text"]
        rule["fullDescription"]["text"] = text.format(evidence=_EVIDENCE[report.evidence])
        places[rule["id"]] = {
            "ruleId": rule["id"],
            "ruleIndex": index,
            "level": rule["defaultConfiguration"]["level"],
            "taxa": [relationship["target"] for relationship in rule["relationships"]],
        }
    skipped = [f"skipped: {path}: {why}" for path, why in report.found.skipped.items()]
    run["invocations"] = [
        {
            "executionSuccessful": not report.problems,
            "exitCode": report.exit_status,
            "toolExecutionNotifications": [
                {"level": "warning", "message": {"text": printable(text)}}
                for text in (*report.problems, *skipped)
            ],
        }
    ]
    run["results"] = [
        {**places[f"tlsfloor/{result.verdict.name}"], **_facts(result, report.floor)}
        for result in report.results
        if result.verdict.exit_status
    ]
    return json.dumps(log, indent=2) + "\n"


def _facts(result: InterpreterResult, floor: int) -> dict[str, Any]:
    """Return what a SARIF result says about this interpreter and no other."""
    path, verdict = result.interpreter.path, result.verdict
    text = f"{path}: {verdict} (floor {versions.floor_name(floor)})"
    return {
        "message": {"text": printable(text)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": Path(path).as_uri()}}}],
        "partialFingerprints": {"interpreter/v1": f"{verdict.name} {printable(path)}"},
        "properties": {
            "reasons": [printable(reason) for reason in verdict.reasons],
            "openssl": printable(result.fact("openssl")),
            "version": printable(result.fact("version")),
        },
    }
