"""Examine interpreters: launch each of them in several ways, and conclude a verdict on it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from tlsfloor.inventory import libraries
from tlsfloor.verifier import launch
from tlsfloor.verifier.environment import environment_for
from tlsfloor.verifier.fingerprint import fingerprint
from tlsfloor.verifier.judge import LaunchResult, Verdict, judge_launch, unproven

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tlsfloor.inventory.libraries import Library
    from tlsfloor.verifier.cases import Case
    from tlsfloor.verifier.environment import User
    from tlsfloor.verifier.find import Interpreter, SearchResult

# Exit statuses from good to bad: what is flagged outweighs what could not be tried.
_SEVERITY = (0, 3, 1)

# Facts that have to be the same in an environment and in the one that was tried for it.
_FACTS = (
    *("implementation", "version", "openssl", "minimum_version", "security_level", "all_ciphers"),
    *("openssl_config_file", "openssl_config_lines", "arming_failure"),
)


@dataclass
class InterpreterResult:
    """The verdict on an interpreter as started, and all that was observed.

    ``other_verdicts`` has the names of further launches as keys: with the floor, or with an option
    of Python. ``libraries`` are the TLS implementations that the interpreter loaded or that are
    among its packages, and ``unread`` is path -> why it is not known whether it has one.

    If the interpreter was not tried, ``same_as`` is the result of the one that was tried in its
    place, whose ``libraries`` they are, and ``reason`` says why. If it was tried although there are
    others of its runtime, ``reason`` may say why. ``likeness`` is the digest of what decides.

    ``fingerprint`` changes if anything changes that decides about the interpreter. ``earlier_run``
    is the time of the run from whose report the result was taken over.
    """

    interpreter: Interpreter
    verdict: Verdict
    launches: list[LaunchResult] = field(default_factory=list)
    other_verdicts: dict[str, Verdict] = field(default_factory=dict)
    seconds: float = 0.0
    libraries: list[Library] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    same_as: InterpreterResult | None = None
    reason: str = ""
    likeness: str = ""
    fingerprint: str = ""
    earlier_run: str = ""

    @property
    def as_started(self) -> LaunchResult:
        """The launch that decides; an empty one if the interpreter was not launched."""
        return self.launches[1] if self.launches else LaunchResult(launch.AS_STARTED)

    def fact(self, name: str) -> str:
        """Return a fact that the interpreter reported about itself, empty if it did not."""
        launches = (self.same_as or self).launches
        return next((str(each.facts[name]) for each in launches if each.facts.get(name)), "")

    @property
    def tried_before(self) -> str:
        """The time of the earlier run that tried this interpreter, or the one in its place."""
        return (self.same_as or self).earlier_run

    @property
    def notes(self) -> list[str]:
        """What a reader has to know if this run did not try this interpreter itself."""
        shared = self.same_as and f"tried as {self.same_as.interpreter.path}: {self.reason}"
        before = self.tried_before and f"tried by an earlier run, of {self.tried_before}"
        return [note for note in (shared, before) if note]

    def shared_by(self, interpreter: Interpreter, reason: str) -> InterpreterResult:
        """Return the same verdict for an interpreter that is alike."""
        return InterpreterResult(
            interpreter,
            self.verdict,
            libraries=self.libraries,
            other_verdicts=self.other_verdicts,
            same_as=self,
            reason=reason,
            likeness=self.likeness,
        )


@dataclass
class VerifyReport:
    """A run of ``tlsfloor verify``: what was asked for, found and examined.

    ``tool`` is the version of tlsfloor, and ``evidence`` is ``"handshake"`` or ``"hello"``.
    ``describe`` returns libraries as JSON types, with the coverage of each. ``run`` says when,
    where, as whom and how tlsfloor was called, as JSON types. ``roles`` are those that were tried.
    ``not_reached`` counts the interpreters that a run which was interrupted did not reach.
    """

    floor: int
    targets: list[str]
    tool: str
    found: SearchResult
    results: list[InterpreterResult] = field(default_factory=list)
    evidence: str = "handshake"
    describe: Callable[[list[Library]], list[dict[str, Any]]] = libraries.without_coverage
    run: dict[str, Any] = field(default_factory=dict)
    roles: tuple[str, ...] = ("client", "server")
    not_reached: int = 0

    @property
    def problems(self) -> list[str]:
        """Why the search as a whole does not prove that everything was verified."""
        empty = [f"no interpreter found below {path}" for path in self.found.empty]
        if self.not_reached:
            total = len(self.found.interpreters)
            empty.append(
                f"interrupted: {self.not_reached} of {total} interpreters are not verified"
            )
        unread = dict(self.found.unread)
        for result in self.results:
            unread.update(result.unread)
        return empty + [f"not searched: {path}: {why}" for path, why in unread.items()]

    @property
    def exit_status(self) -> int:
        """The worst of all exit statuses; never 0 if there was nothing to verify."""
        statuses = {result.verdict.exit_status for result in self.results}
        if self.problems or not statuses:
            statuses.add(3)
        return max(statuses, key=_SEVERITY.index)


def examine_interpreter(
    interpreter: Interpreter,
    cases: list[Case],
    floor: int,
    timeout: float,
    *,
    armed: bool = False,
    user: User | None = None,
    isolated: LaunchResult | None = None,
    keep: bool = False,
) -> InterpreterResult:
    """Launch an interpreter in isolation, as started and, if ``armed``, with the floor.

    An interpreter that is protected as started is also launched with each option of Python that the
    protection may not survive. It is not launched in isolation if ``isolated`` is the result. With
    ``keep``, the result gets a fingerprint.
    """
    if interpreter.problem:
        return InterpreterResult(interpreter, unproven([interpreter.problem]))
    environment = environment_for(interpreter, user)
    launcher = launch.Launcher(interpreter.path, cases, floor, timeout, environment)
    start, began = time.monotonic(), time.time()
    try:
        isolated = isolated or launcher.isolated()
        started = launcher.as_started()
        further = [launcher.with_floor()] if armed else []
        verdict = judge_launch(isolated, started, floor)
        if verdict.name == "enforced":
            options = launch.options_of(str(started.facts.get("version")))
            further += [launcher.with_option(option) for option in options]
    except OSError as error:  # this process has no ports or files left
        return InterpreterResult(interpreter, unproven([f"the verifier failed: {error}"]))
    launches = [isolated, started, *further]
    foreign = _foreign_library(interpreter, launches)
    if foreign:
        text = f"it ran with this machine's {foreign}, not its image's: verify it there"
        verdict = unproven([text])
    return InterpreterResult(
        interpreter,
        verdict,
        launches,
        {each.name: judge_launch(isolated, each, floor, started) for each in further},
        time.monotonic() - start,
        *libraries_of(started),
        fingerprint=fingerprint(interpreter, launches, user, began) if keep else "",
    )


def libraries_of(started: LaunchResult) -> tuple[list[Library], dict[str, str]]:
    """Return the TLS implementations that an interpreter loaded, and those of its packages.

    The second result is what could not be read: path -> why.
    """
    path, own = map(str, started.fact_list("sys_path")), started.facts.get("standard_library")
    _, found, unread = libraries.installed(path, own) if isinstance(own, str) else ([], [], {})
    loaded = [str(name) for name in started.fact_list("loaded_libraries")]
    gone = [name for name in loaded if not os.path.isfile(name)]
    unread.update(dict.fromkeys(gone, "a library that was loaded is not there any more"))
    return found + libraries.named(loaded, found), unread


def _foreign_library(interpreter: Interpreter, launches: list[LaunchResult]) -> str:
    """Return a TLS library that an interpreter of an unpacked image loaded from outside of it."""
    loaded = (str(name) for launched in launches for name in launched.fact_list("loaded_libraries"))
    inside = interpreter.image + os.sep
    return next((name for name in loaded if interpreter.image and not name.startswith(inside)), "")


def _decisive(tried: LaunchResult, floor: int) -> dict[Case, str]:
    """Return the outcomes of the cases that decide whether another interpreter is like this one.

    They are those with one key exchange: of the setups that ask for no version or for every
    version, with each version; of every other setup, as start-up code may hold the floor on some
    of them only, with the nearest version below the floor and the nearest that it allows. Of other
    libraries than ``ssl`` each case is one.
    """
    found = [
        each
        for each in tried.results
        if each.outcome != "absent"
        and (each.case.version >= floor or each.case.key_exchange != "ecdhe")
    ]
    nearest: dict[tuple[str, bool], int] = {}
    for case in sorted((each.case for each in found), key=lambda case: -abs(case.version - floor)):
        nearest[case.program, case.version < floor] = case.version
    return {
        each.case: each.outcome
        for each in found
        if each.case.library != "ssl"
        or each.case.setup in launch.DECISIVE
        or each.case.version == nearest[each.case.program, each.case.version < floor]
    }


def is_like(
    interpreter: Interpreter,
    tried: LaunchResult,
    floor: int,
    timeout: float,
    user: User | None = None,
) -> bool:
    """Return whether an interpreter has the facts and decisive outcomes of another, as started."""
    expected = _decisive(tried, floor)
    environment = environment_for(interpreter, user)
    launcher = launch.Launcher(interpreter.path, list(expected), floor, timeout, environment)
    try:
        found = launcher.as_started()
    except OSError:  # this process has no ports or files left
        return False
    outcomes = {each.case: each.outcome for each in found.results}
    same_facts = all(found.facts.get(name) == tried.facts.get(name) for name in _FACTS)
    return not found.failure and outcomes == expected and same_facts
