"""Reports of ``tlsfloor verify`` for tests of formats: every verdict and outcome, hostile text."""

from __future__ import annotations

from typing import Any

from tlsfloor.cli._evidence import about_run
from tlsfloor.inventory import libraries
from tlsfloor.verifier import cases, examine, find, judge
from tlsfloor.versions import TLS1_0, TLS1_2

#: What a target can say of itself, or be called: escapes, a null, half a character, markup.
HOSTILE = "\x1b[2J\0\udcff]]>&<é\u202e\n\r"


def result(
    outcome: str, version: int = TLS1_0, said: str = "said", setup: str = "default"
) -> judge.CaseResult:
    return judge.CaseResult(
        cases.Case("client", "ssl", setup, version, "rsa"), outcome, said, "saw"
    )


def examined(name: str, path: str = "/app/bin/python", **launch: Any) -> examine.InterpreterResult:
    launches = [judge.LaunchResult(each, **launch) for each in ("isolated", "as started")]
    verdict = judge.Verdict(name, "a sentence", ["first", "second"])
    return examine.InterpreterResult(find.Interpreter(path), verdict, launches, seconds=1.2345)


def a_report(*found: examine.InterpreterResult, **more: Any) -> examine.VerifyReport:
    search, run = find.SearchResult(**more), about_run()["run"]
    return examine.VerifyReport(TLS1_2, ["/app"], "0.1", search, list(found), run=run)


def shared(number: int) -> list[examine.InterpreterResult]:
    """Return one result that was tried, and others that share its verdict."""
    first = examined("leaks", "/srv/0/bin/python", results=[result("accepted")])
    first.interpreter = find.Interpreter("/srv/0/bin/python", venv="/srv/0", found_in="/srv")
    first.libraries = [libraries.Library("/srv/0/lib/native.so", {"OpenSSL": "3"})]
    others = [f"/srv/{each}" for each in range(1, number)]
    interpreters = [find.Interpreter(f"{top}/bin/python", venv=top) for top in others]
    return [first, *(first.shared_by(each, "it is alike") for each in interpreters)]


REPORTS = {
    "shared": a_report(*shared(3)),
    "nothing": a_report(empty=["/app"]),
    "every verdict": a_report(
        *(examined(verdict, f"/{verdict}/python") for verdict in judge.EXIT_STATUSES),
        skipped={"/app/python": "a script"},
        unread={"/root": "Permission denied"},
    ),
    "every outcome": a_report(
        examined(
            "leaks",
            results=[
                result(outcome) for outcome in ("accepted", "refused", "absent", "inconclusive")
            ],
        )
    ),
    "not started": a_report(
        examine.InterpreterResult(
            find.Interpreter("/python", ("/python3",), "/", "/", "why"), judge.unproven(["why"])
        )
    ),
    "hostile": a_report(
        examined(
            "inconclusive",
            f"/{HOSTILE}/python",
            failure=HOSTILE,
            facts={"version": HOSTILE, "openssl": 5, "implementation": [HOSTILE]},
            results=[result("accepted", said=HOSTILE)],
        ),
        skipped={HOSTILE: HOSTILE},
        empty=[HOSTILE],
    ),
}
