"""Examine interpreters: launch each of them in several ways, and conclude a verdict on it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field

from tlsfloor.inventory import libraries
from tlsfloor.verifier import child, launch
from tlsfloor.verifier.environment import environment_for
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

# Seconds between attempts to kill what is left when a run is given up.
_TICK = 0.1

# Open files in addition to those of the peers. Each case has a listener and a connection or two.
_RESERVED_FILES = 64


@dataclass
class InterpreterResult:
    """The verdict on an interpreter as started, and all that was observed.

    ``other_verdicts`` has the names of further launches as keys: with the floor, or with an option
    of Python. ``libraries`` are the TLS implementations that the interpreter
    loaded or that are among its packages.
    """

    interpreter: Interpreter
    verdict: Verdict
    launches: list[LaunchResult] = field(default_factory=list)
    other_verdicts: dict[str, Verdict] = field(default_factory=dict)
    seconds: float = 0.0
    libraries: list[Library] = field(default_factory=list)

    @property
    def as_started(self) -> LaunchResult:
        """The launch that decides; an empty one if the interpreter was not launched."""
        return self.launches[1] if self.launches else LaunchResult(launch.AS_STARTED)

    def fact(self, name: str) -> str:
        """Return a fact that the interpreter reported about itself, empty if it did not."""
        return next((str(each.facts[name]) for each in self.launches if each.facts.get(name)), "")


@dataclass
class VerifyReport:
    """A run of ``tlsfloor verify``: what was asked for, found and examined.

    ``tool`` is the version of tlsfloor, and ``evidence`` is ``"handshake"`` or ``"hello"``.
    ``describe`` returns libraries as JSON types, with the coverage of each. ``run`` says when,
    where, as whom and how tlsfloor was called, as JSON types. ``roles`` are those that were tried.
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

    @property
    def problems(self) -> list[str]:
        """Why the search as a whole does not prove that everything was verified."""
        empty = [f"no interpreter found below {path}" for path in self.found.empty]
        return empty + [f"not searched: {path}: {why}" for path, why in self.found.unread.items()]

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
) -> InterpreterResult:
    """Launch an interpreter in isolation, as started and, if ``armed``, with the floor.

    An interpreter that is protected as started is also launched with each option of Python that the
    protection may not survive.
    """
    if interpreter.problem:
        return InterpreterResult(interpreter, unproven([interpreter.problem]))
    environment = environment_for(interpreter, user)
    launcher = launch.Launcher(interpreter.path, cases, floor, timeout, environment)
    start = time.monotonic()
    try:
        isolated, started = launcher.isolated(), launcher.as_started()
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
        _libraries_of(started),
    )


def _libraries_of(started: LaunchResult) -> list[Library]:
    """Return the TLS implementations that an interpreter loaded, and those of its packages."""
    path, own = map(str, started.fact_list("sys_path")), started.facts.get("standard_library")
    found = libraries.installed(path, own)[1] if isinstance(own, str) else []
    return found + libraries.named(map(str, started.fact_list("loaded_libraries")), found)


def _foreign_library(interpreter: Interpreter, launches: list[LaunchResult]) -> str:
    """Return a TLS library that an interpreter of an unpacked image loaded from outside of it."""
    loaded = (str(name) for launched in launches for name in launched.fact_list("loaded_libraries"))
    inside = interpreter.image + os.sep
    return next((name for name in loaded if interpreter.image and not name.startswith(inside)), "")


def examine_interpreters(
    report: VerifyReport,
    cases: list[Case],
    timeout: float,
    jobs: int,
    *,
    armed: bool = False,
    progress: Callable[[], object] = bool,
    user: User | None = None,
) -> None:
    """Examine the interpreters that a report found, ``jobs`` at a time.

    ``progress`` is called after each. An exception ends every program that was started.
    """
    with ThreadPoolExecutor(max(1, min(jobs, _affordable(len(cases))))) as pool:
        futures = [
            pool.submit(
                examine_interpreter, each, cases, report.floor, timeout, armed=armed, user=user
            )
            for each in report.found.interpreters
        ]
        try:
            for _ in as_completed(futures):
                progress()
        except BaseException:
            for future in futures:
                future.cancel()
            # A cancelled future counts as done. Any other may start its next launch first.
            while wait(futures, timeout=_TICK).not_done:
                child.stop_all()
            raise
        report.results = [future.result() for future in futures]


def _affordable(cases: int) -> int:
    """Return for how many interpreters at a time this process may open enough files."""
    try:
        import resource
    except ImportError:  # Windows does not tell
        return 1
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 2**20
    return limit // (cases + cases // 4 + _RESERVED_FILES)
