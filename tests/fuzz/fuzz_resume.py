"""Fuzz the report of an earlier run: what is taken over is what a run could have written.

In full: a damaged report is one error, or its interpreter is tried again, or it gives a verdict
that follows from outcomes which the judge knows, one for each case of this run. What is taken over
can be written as a report, and this one gives the same result.

An input is the JSON of an earlier run. Where its fingerprint is ``same``, nothing has changed.
"""

from __future__ import annotations

import io

from tlsfloor import versions
from tlsfloor.errors import VerifyError, printable
from tlsfloor.verifier import formats, launch, resume
from tlsfloor.verifier.cases import Case
from tlsfloor.verifier.examine import VerifyReport
from tlsfloor.verifier.find import Interpreter, SearchResult
from tlsfloor.verifier.judge import OUTCOMES, judge_launch

FLOOR = versions.TLS1_2
CASES = [
    Case("client", "ssl", "default", version, exchange)
    for version, exchange in ((0x301, "rsa"), (0x302, "ecdhe"), (0x303, "ecdhe"))
]
INTERPRETER = Interpreter("/usr/bin/python3")
RUN = {"time": "2026-11-29T00:00:00Z", "host": "host", "user_id": 0}
REPORT = VerifyReport(FLOOR, ["/usr"], "1.0", SearchResult([INTERPRETER]), run=RUN)
NOW = formats.report_as_dict(REPORT)

# The files of this machine are the same, and it has no library.
resume.fingerprint = lambda *_: "same"
resume.libraries_of = lambda _: ([], {})
resume._distrust = lambda _: ""


def earlier(text):
    """Return the result that is taken over from the JSON of an earlier run; None if there is none.

    The file is in memory, because a file would make it several times slower.
    """
    resume.open = lambda *_, **__: io.TextIOWrapper(File(text), encoding="utf-8")
    found = resume.read_earlier_run("earlier.json", NOW, [INTERPRETER])
    return found.result_for(INTERPRETER, CASES, FLOOR, None)


class File(io.BytesIO):
    """A file in memory, with the descriptor of a real one."""

    def fileno(self):
        return 0


def one_input(data):
    """Check the invariant on one report."""
    try:
        result = earlier(data)
    except VerifyError as error:
        assert printable(str(error)).isprintable()
        return
    if result is None:
        return
    isolated, started, *options = result.launches
    for each in (isolated, started):
        assert [found.case for found in each.results] == CASES, each
    for each in result.launches:
        assert {found.outcome for found in each.results} <= {*OUTCOMES}, each
    assert result.verdict == judge_launch(isolated, started, FLOOR)
    assert result.verdict.name != "inconclusive"
    if result.verdict.name == "enforced":
        assert len(options) == len(launch.options_of(str(started.facts.get("version"))))
    REPORT.results = [result]
    again = earlier(formats.to_json(REPORT).encode())
    assert again is not None
    assert again.verdict == result.verdict
    assert repr(again.launches) == repr(result.launches)  # in which NaN equals NaN
