"""Write a report as SARIF 2.1.0 (OASIS), which code hosts show next to other scanners' findings.

There is a result for each flagged interpreter, at its path. ``sarif.json`` holds all that is the
same in each report: the rules, one for each flagged verdict, and the weaknesses CWE-326 and
CWE-327, to which each result refers.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from urllib.parse import quote

from tlsfloor import versions
from tlsfloor.errors import printable
from tlsfloor.verifier.formats import circumstances, files_of, likeness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.verifier.examine import InterpreterResult, VerifyReport

_TEMPLATE = Path(__file__).with_name("sarif.json")

#: Where the project is in the web: the address of a release. None is published yet, and nobody can
#: own this name (RFC 6761 section 6.4). The schemas have it too, and a test compares them.
ADDRESS = "https://tlsfloor.invalid"

# The name of the folder to which places are relative.
_ROOT = "%SRCROOT%"

# An interpreter has no lines, but code scanning demands a region, and the only fingerprint that it
# uses is that of the first line.
_REGION = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}

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
    driver["informationUri"] = ADDRESS
    places = {}
    for index, rule in enumerate(driver["rules"]):
        text = rule["fullDescription"]["text"]
        rule["fullDescription"]["text"] = text.format(evidence=_EVIDENCE[report.evidence])
        for kind, advice in rule["help"].items():
            rule["help"][kind] = advice.format(floor=versions.floor_name(report.floor))
        places[rule["id"]] = {
            "ruleId": rule["id"],
            "ruleIndex": index,
            "level": rule["defaultConfiguration"]["level"],
            "taxa": [relationship["target"] for relationship in rule["relationships"]],
        }
    skipped = [f"skipped: {path}: {why}" for path, why in report.found.skipped.items()]
    # The log has no results for what is not flagged, and that may be what another run says.
    before = [
        f"{result.interpreter.path}: {result.verdict.name}; {'; '.join(result.notes)}"
        for result in report.results
        if result.tried_before
    ]
    began = report.run.get("time")
    run["invocations"] = [
        {
            **({"startTimeUtc": began, "endTimeUtc": _now()} if began else {}),
            "executionSuccessful": not report.problems,
            "exitCode": report.exit_status,
            **({"machine": printable(report.run["host"])} if "host" in report.run else {}),
            "properties": circumstances(report),
            "toolExecutionNotifications": [
                {"level": "warning", "message": {"text": printable(text)}}
                for text in (*report.problems, *skipped, *before)
            ],
        }
    ]
    run["automationDetails"] = {"id": f"tlsfloor/verify {' '.join(report.targets)}".rstrip() + "/"}
    run["originalUriBaseIds"] = {_ROOT: {"uri": os.path.join(_folder().as_uri(), "")}}
    run["results"] = [
        {**places[f"tlsfloor/{result.verdict.name}"], **_facts(result, report)}
        for result in report.results
        if result.verdict.exit_status
    ]
    return json.dumps(log, indent=2) + "\n"


def _place(path: str) -> dict[str, str]:
    """Return where an interpreter is: relative to the current folder if it is below it.

    GitHub shows a result only if its place is relative to the root of the repository.
    """
    try:
        relative = Path(path).relative_to(_folder())
    except ValueError:
        return {"uri": Path(path).as_uri()}
    return {"uri": quote(os.fsencode(relative)), "uriBaseId": _ROOT}


def _folder() -> Path:
    """Return the current folder, which may have been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.path.abspath(os.sep))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _facts(result: InterpreterResult, report: VerifyReport) -> dict[str, Any]:
    """Return what a SARIF result says about this interpreter and no other."""
    path, verdict = result.interpreter.path, result.verdict
    floor = versions.floor_name(report.floor)
    text = "; ".join([f"{path}: {verdict} (floor {floor})", *result.notes])
    place, identity = _place(path), f"{verdict.name} {printable(path)}"
    digest = hashlib.sha256(f"{verdict.name} {place['uri']}".encode())
    return {
        "message": {"text": printable(text)},
        "locations": [{"physicalLocation": {"artifactLocation": place, "region": _REGION}}],
        "partialFingerprints": {
            "interpreter/v1": identity,
            "primaryLocationLineHash": f"{digest.hexdigest()[:16]}:1",
        },
        "properties": {
            "reasons": [printable(reason) for reason in verdict.reasons],
            "openssl": printable(result.fact("openssl")),
            "libraries": files_of(result, report),
            "likeness": likeness(result),
            "earlierRun": result.tried_before or None,
            "version": printable(result.fact("version")),
        },
    }
