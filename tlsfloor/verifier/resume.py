"""Take over results from the JSON of an earlier run, as far as nothing has changed since.

Theory of operation
-------------------

The verdict is not taken over but concluded again from the outcomes of all cases, which the JSON
has. An interpreter is tried again if a case is missing, if the verdict was inconclusive, or if its
fingerprint is another one now (see ``fingerprint``).

Nothing in the file proves who wrote it. So it has to belong to the user of this process or root, no
other user may write to it, and every format says which interpreters an earlier run tried.

Interpreters that shared a verdict are not taken over. They are compared again, which is cheap.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from typing import Any

from tlsfloor import versions
from tlsfloor.errors import VerifyError
from tlsfloor.verifier import launch
from tlsfloor.verifier.examine import InterpreterResult, libraries_of
from tlsfloor.verifier.fingerprint import fingerprint
from tlsfloor.verifier.judge import OUTCOMES, CaseResult, LaunchResult, judge_launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.cases import Case
    from tlsfloor.verifier.environment import User
    from tlsfloor.verifier.find import Interpreter


@dataclass(frozen=True)
class EarlierRun:
    """The results of an earlier run, by path, and when it began."""

    time: str
    entries: dict[str, dict[str, Any]]

    def result_for(
        self, interpreter: Interpreter, cases: list[Case], floor: int, user: User | None
    ) -> InterpreterResult | None:
        """Return the earlier result of an interpreter, None if it has to be tried again."""
        entry = self.entries.get(interpreter.path)
        try:
            return self._result(interpreter, entry, cases, floor, user) if entry else None
        except (KeyError, TypeError, ValueError, AttributeError):  # not what this version writes
            return None

    def _result(
        self,
        interpreter: Interpreter,
        entry: dict[str, Any],
        cases: list[Case],
        floor: int,
        user: User | None,
    ) -> InterpreterResult | None:
        planned = {_key(case.__dict__, versions.name(case.version)): case for case in cases}
        launches = [_launch(each, planned) for each in entry["launches"]]
        if len(launches) < 2:
            return None
        isolated, started, *options = launches
        wanted = [
            ("isolated", [case for case in cases if case.library == "ssl"]),
            (launch.AS_STARTED, cases),
        ]
        tried = [(each.name, [result.case for result in each.results]) for each in launches[:2]]
        verdict = judge_launch(isolated, started, floor)
        if tried != wanted or verdict.name == "inconclusive" or verdict.name != entry["verdict"]:
            return None
        if verdict.name == "enforced":
            names = launch.options_of(str(started.facts.get("version")))
            if [each.name for each in options] != [f"{started.name}, {name}" for name in names]:
                return None
        now = fingerprint(interpreter, launches, user, float("inf"))
        if not now or now != entry["fingerprint"]:
            return None
        return InterpreterResult(
            interpreter,
            verdict,
            launches,
            {each.name: judge_launch(isolated, each, floor, started) for each in options},
            float(entry["seconds"]),
            *libraries_of(started),
            fingerprint=now,
            earlier_run=entry["earlier_run"] or self.time,
        )


def _key(case: dict[str, Any], version: str) -> tuple[str, ...]:
    return case["role"], case["library"], case["setup"], version, case["key_exchange"]


def _launch(launched: dict[str, Any], planned: dict[tuple[str, ...], Case]) -> LaunchResult:
    results = [
        CaseResult(
            planned[_key(each, each["version"])],
            str(each["outcome"]),
            str(each["probe_said"]),
            str(each["peer_saw"]),
        )
        for each in launched["cases"]
    ]
    if not {each.outcome for each in results} <= {*OUTCOMES}:
        raise ValueError("an outcome is unknown")
    name, failure, reused_from = (launched[key] for key in ("name", "failure", "reused_from"))
    return LaunchResult(name, results, {**launched["facts"]}, failure, reused_from or "")


def _distrust(at: os.stat_result) -> str:
    """Return why a report may be a forgery: it proves what its author says, and nothing else."""
    if not hasattr(os, "geteuid"):
        return ""
    if at.st_uid not in (0, os.geteuid()):
        return f"it belongs to another user (user id {at.st_uid}), who can write any verdict in it"
    if stat.S_ISREG(at.st_mode) and at.st_mode & stat.S_IWOTH:
        return "every user may write to it, and so any verdict in it"
    return ""


def read_earlier_run(path: str, now: dict[str, Any], found: list[Interpreter]) -> EarlierRun:
    """Read the JSON of an earlier run.

    ``now`` is the report of this run, as JSON types, and ``found`` are its interpreters.

    Raises:
        VerifyError: the file is not the JSON of a run that this one can go on with.
    """

    def fail(problem: str, hint: str = "verify everything again, without --resume") -> VerifyError:
        return VerifyError(f"--resume {path}: {problem}", hint=hint)

    try:
        with open(path, encoding="utf-8") as file:
            distrust = _distrust(os.fstat(file.fileno()))
            if distrust:
                raise fail(distrust)
            report = json.load(file)
    except OSError as error:
        raise fail(error.strerror or "it cannot be read") from None
    except (ValueError, RecursionError):
        raise fail("it is not JSON, or cut short") from None
    try:
        entries = {each["path"]: each for each in report["interpreters"]}
        roles = report["roles"]
        pairs = (
            ("schema", report["schema"], now["schema"], ""),
            ("version of tlsfloor", report["tool"]["version"], now["tool"]["version"], ""),
            ("host", report["run"]["host"], now["run"]["host"], ""),
            ("user id", report["run"]["user_id"], now["run"]["user_id"], ""),
            ("floor", report["floor"], now["floor"], f"--floor {report['floor']}"),
            ("evidence", report["evidence"], now["evidence"], "give --hello both times or never"),
            ("role", roles, now["roles"], f"--role {roles[0] if len(roles) == 1 else 'both'}"),
        )
        time = str(report["run"]["time"])
    except (LookupError, TypeError, AttributeError):
        raise fail("it is not what tlsfloor verify --format json writes") from None
    for what, there, here, hint in pairs:
        if there != here:
            text = f"its {what} is {there}, and the {what} of this run is {here}"
            raise fail(text, *filter(None, [hint]))
    if entries and not entries.keys() & {each.path for each in found}:
        raise fail("it has none of the interpreters of this run", "name the same targets")
    return EarlierRun(time, entries)
