"""Fuzz what an interpreter prints: it is a report of any format, and never hides what a peer saw.

In full: whatever the probe says, the verifier judges without an error. A case is accepted if its
peer has completed the handshake. Only a launch without such a case below the floor is immune or
enforced. A case counts as refused only if there is a positive control, or if the floor says so.
Every format can be written and read.

An input begins with a byte for each peer, for what that saw. The rest is what the probe printed.
"""

from __future__ import annotations

import json
import os
import zlib
from xml.etree import ElementTree as ET

from tlsfloor import versions
from tlsfloor.verifier import formats, launch, sarif, text
from tlsfloor.verifier.cases import Case
from tlsfloor.verifier.examine import InterpreterResult, VerifyReport, libraries_of
from tlsfloor.verifier.find import Interpreter, SearchResult
from tlsfloor.verifier.judge import CaseResult, LaunchResult, judge_cases, judge_launch
from tlsfloor.verifier.startup_code import has_shared_code

FLOOR = versions.TLS1_2
CASES = [
    Case("client", "ssl", setup, version, exchange)
    for setup in ("default", "lowered, @SECLEVEL=0")
    for version, exchange in ((0x301, "rsa"), (0x302, "ecdhe"), (0x303, "ecdhe"))
]
#: What a peer saw: whether it completed a handshake, and the text.
SEEN = [
    (True, "AES128-SHA"),
    (False, ""),
    (False, "refused: Alert: protocol_version"),
    (False, "TLSAbruptCloseError: "),
    (False, "no end of it"),
    (False, "timed out"),
]
ISOLATED = LaunchResult(
    "isolated", [CaseResult(case, "accepted", case.id, "AES128-SHA") for case in CASES]
)
RUN = {"time": "2026-11-29T00:00:00Z", "host": "host"}

# Few inputs become reports, which takes ten times as long as all else.
ONE_OF = 16


def launched(printed, peer_saw):
    """Return the result of a launch, as ``Launcher`` makes it."""
    facts, said, failure = {}, {}, ""
    try:
        facts, said = launch._extract(printed)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        failure = "the probe printed no facts"
    results = judge_cases(CASES, said, peer_saw, FLOOR)
    return LaunchResult(launch.AS_STARTED, results, facts, failure)


def one_input(data):
    """Check the invariant on what an interpreter printed."""
    seen = [SEEN[byte % len(SEEN)] for byte in data[: len(CASES)]]
    seen += SEEN[1:2] * (len(CASES) - len(seen))
    printed = data[len(CASES) :].decode("utf-8", "surrogateescape")
    started = launched(
        f"{launch._BEGIN}{printed}{launch._END}",
        {case.id: saw for case, saw in zip(CASES, seen)},
    )
    low = started.below(FLOOR, "accepted")
    has_control = any(
        completed for case, (completed, _) in zip(CASES, seen) if case.version >= FLOOR
    )
    for result, (completed, _) in zip(started.results, seen):
        assert result.outcome == "accepted" or not completed, result
        assert result in low or result.case.version >= FLOOR or not completed
        if result.outcome == "refused":  # there is a control, or the floor says that it was it
            assert has_control or result.probe_said.startswith("ProtocolRefused: "), result
    verdict = judge_launch(ISOLATED, started, FLOOR)
    if verdict.name in ("enforced", "immune"):
        assert not low
        assert not started.failure
        assert {each.outcome for each in started.results} & {"refused", "accepted"}
    elif verdict.name in ("leaks", "lowerable"):
        assert low
    if zlib.crc32(data) % ONE_OF == 0:
        check_reports(started, verdict)


def is_here(path):
    """Return whether a path of this machine would be read, which may take long."""
    try:
        return os.path.exists(path)
    except ValueError:
        return False


def check_reports(started, verdict):
    """Write the report in each format, and read it."""
    named = [*started.fact_list("sys_path"), *started.fact_list("loaded_libraries")]
    if any(is_here(str(each)) for each in (*named, started.facts.get("standard_library"))):
        return
    has_shared_code(started, "/venv")
    interpreter = Interpreter("/usr/bin/python3")
    found = SearchResult([interpreter])
    result = InterpreterResult(
        interpreter, verdict, [ISOLATED, started], {}, 0.0, *libraries_of(started)
    )
    report = VerifyReport(FLOOR, ["/usr"], "1.0", found, [result], run=RUN)
    assert json.loads(formats.to_json(report), parse_constant=refuse)["interpreters"]
    json.loads(sarif.to_sarif(report), parse_constant=refuse)
    ET.fromstring(formats.to_junit(report).encode())
    for line in text.to_text(report).splitlines():
        assert line.isprintable(), line


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")
