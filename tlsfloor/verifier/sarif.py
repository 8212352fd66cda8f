"""A report as SARIF 2.1.0 (OASIS), which code hosts show beside the findings of other scanners.

There is a result for each flagged interpreter, at its path; each names CWE-326 and CWE-327.
"""

from __future__ import annotations

import json
from pathlib import Path

from tlsfloor import versions
from tlsfloor.errors import printable
from tlsfloor.verifier.judge import SOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.verifier.examine import Examined, Report

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_ARM = "arm the floor: set PYTHONPATH to what `tlsfloor path` prints, and verify again"

# Each flagged verdict: level, GitHub's severity from 0 to 10, name of the rule, what it means, and
# what to do.
_RULES = {
    "leaks": (
        "error",
        "8.1",
        "TlsBelowFloorByDefault",
        "a default context connects below the floor",
        _ARM,
    ),
    "lowerable": (
        "warning",
        "5.9",
        "TlsFloorCanBeLowered",
        "a program that asks for less than the floor gets it",
        _ARM,
    ),
    "inconclusive": (
        "note",
        "3.1",
        "TlsFloorNotProven",
        "whether the floor holds is not proven",
        "the result names the reason: remove it, and verify again",
    ),
}

# How that is known, by the evidence of the run; of what is not proven there is none.
_EVIDENCE = {
    "handshake": "a full handshake below the floor was completed with a peer of the verifier",
    "hello": "a crafted hello below the floor was accepted",
}
_NO_EVIDENCE = "it could not be tried, or the attempts do not suffice; the result names the reason"
_CWE = {
    "326": "Inadequate Encryption Strength",
    "327": "Use of a Broken or Risky Cryptographic Algorithm",
}


def to_sarif(report: Report) -> str:
    """Return the flagged interpreters as SARIF 2.1.0, a result each.

    .. versionadded:: 0.1
    """
    flagged = [each for each in report.examined if each.verdict not in SOUND]
    notes = [
        *report.doubts,
        *(f"skipped: {path}: {why}" for path, why in report.found.skipped.items()),
    ]
    run = {
        "tool": {
            "driver": {
                "name": "tlsfloor",
                "version": report.tool,
                "rules": [_rule(name, report.evidence) for name in _RULES],
                "supportedTaxonomies": [{"name": "CWE", "index": 0}],
            }
        },
        "taxonomies": [
            {
                "name": "CWE",
                "organization": "MITRE",
                "informationUri": "https://cwe.mitre.org/",
                "shortDescription": {"text": "the MITRE Common Weakness Enumeration"},
                "taxa": [
                    {"id": number, "shortDescription": {"text": text}}
                    for number, text in _CWE.items()
                ],
            }
        ],
        "invocations": [
            {
                "executionSuccessful": not report.doubts,
                "exitCode": report.status,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": printable(text)}} for text in notes
                ],
            }
        ],
        "results": [_result(each, report.floor) for each in flagged],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(verdict: str, evidence: str) -> dict[str, Any]:
    level, severity, name, text, advice = _RULES[verdict]
    how = _NO_EVIDENCE if verdict == "inconclusive" else _EVIDENCE[evidence]
    return {
        "id": f"tlsfloor/{verdict}",
        "name": name,
        "shortDescription": {"text": text},
        "fullDescription": {"text": f"{text}: {how}"},
        "help": {"text": advice},
        "defaultConfiguration": {"level": level},
        "relationships": [
            {
                "target": _taxon(number),
                "kinds": ["superset" if verdict != "inconclusive" else "relevant"],
            }
            for number in _CWE
        ],
        "properties": {
            "tags": ["security", *(f"external/cwe/cwe-{number}" for number in _CWE)],
            "precision": "very-high",
            "security-severity": severity,
        },
    }


def _taxon(number: str) -> dict[str, Any]:
    return {
        "id": number,
        "index": list(_CWE).index(number),
        "toolComponent": {"name": "CWE", "index": 0},
    }


def _result(examined: Examined, floor: int) -> dict[str, Any]:
    path = examined.interpreter.path
    more = f", and {len(examined.reasons) - 1} more" if len(examined.reasons) > 1 else ""
    verdict = f"{examined.verdict} at floor {versions.floor_name(floor)}"
    text = f"{path}: {verdict}: {examined.reasons[0]}{more}"
    return {
        "ruleId": f"tlsfloor/{examined.verdict}",
        "ruleIndex": list(_RULES).index(examined.verdict),
        "level": _RULES[examined.verdict][0],
        "message": {"text": printable(text)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": Path(path).as_uri()}}}],
        "partialFingerprints": {"interpreter/v1": f"{examined.verdict} {printable(path)}"},
        "taxa": [_taxon(number) for number in _CWE],
        "properties": {
            "reasons": [printable(reason) for reason in examined.reasons],
            "openssl": printable(examined.fact("openssl")),
            "version": printable(examined.fact("version")),
        },
    }
