"""Examine many interpreters: choose which of them are tried, and try several at a time.

Of the virtual environments that are alike (see ``alike``), one is tried, and the others get its
verdict. The result of an isolated launch, in which no environment takes part, is used for the other
environments of its runtime. So of each runtime one interpreter is tried first.
"""

from __future__ import annotations

import collections
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from tlsfloor.verifier import alike, startup_code, workers
from tlsfloor.verifier.examine import InterpreterResult, examine_interpreter, is_like
from tlsfloor.verifier.judge import LaunchResult, unproven

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tlsfloor.verifier.cases import Case
    from tlsfloor.verifier.environment import User
    from tlsfloor.verifier.examine import VerifyReport
    from tlsfloor.verifier.find import Interpreter
    from tlsfloor.verifier.resume import EarlierRun

# Seconds between attempts to kill what is left when a run is given up.
_TICK = 0.1

#: Why an interpreter has the verdict of another one.
ALIKE = "it has the same runtime, start-up files and packages"
_TRIED_BRIEFLY = f"{ALIKE}, and the decisive cases were tried in it too, with the same outcomes"
_CHANGED = "another one, which was alike, changed while it was tried"
_NOT_LIKE = "it has the start-up files and packages of another, but not the same outcomes"


def examine_interpreters(
    report: VerifyReport,
    cases: list[Case],
    timeout: float,
    jobs: int,
    *,
    armed: bool = False,
    progress: Callable[[], object] = bool,
    user: User | None = None,
    try_each: bool = False,
    earlier: EarlierRun | None = None,
    keep: bool = False,
) -> None:
    """Examine the interpreters that a report found, ``jobs`` at a time; all, if ``try_each``.

    Of ``earlier`` is taken over what has not changed since; with ``keep``, each result gets the
    fingerprint that shows this. ``progress`` is called after each. An exception ends every program
    that was started, and the report has the results until then.
    """
    interpreters = report.found.interpreters
    count = max(1, min(jobs, len(interpreters)))
    with ThreadPoolExecutor(count) as pool:
        options = {"armed": armed, "user": user, "keep": keep}
        run = _Run(pool, workers.Workers(count), progress, cases, report.floor, timeout, options)
        run.earlier = None if armed else earlier
        run.comparer = None if try_each else alike.Comparer(user)
        try:
            run.examine(interpreters)
        except BaseException:
            for future in run.pending:
                future.cancel()
            # A cancelled future counts as done. Any other may start its next launch first.
            while wait(run.pending, timeout=_TICK).not_done:
                run.workers.stop()
            report.not_reached = len(interpreters) - len(run.results)
            raise
        finally:
            run.workers.stop()
            report.results = [run.results[each] for each in interpreters if each in run.results]


@dataclass
class _Run:
    """What is known, and what is still to be done. All but the calls is done in one thread."""

    pool: ThreadPoolExecutor
    workers: workers.Workers
    progress: Callable[[], object]
    cases: list[Case]
    floor: int
    timeout: float
    options: dict[str, Any]
    earlier: EarlierRun | None = None
    comparer: alike.Comparer | None = None
    results: dict[Interpreter, InterpreterResult] = field(default_factory=dict)
    pending: dict[Future[Any], Callable[[Any], None]] = field(default_factory=dict)
    likeness: dict[Interpreter, alike.Likeness] = field(default_factory=dict)
    # Runtime -> the result of its isolated launch, and the interpreters that wait for it.
    isolated: dict[str, LaunchResult] = field(default_factory=dict)
    waiting: dict[str, list[Interpreter]] = field(default_factory=dict)
    # Digest -> the result of the interpreter that is tried, and those that wait for it.
    tried: dict[str, InterpreterResult] = field(default_factory=dict)
    followers: dict[str, list[Interpreter]] = field(default_factory=dict)

    def examine(self, interpreters: list[Interpreter]) -> None:
        """Examine interpreters. Without a comparer each of them is tried."""
        comparer = self.comparer
        runtimes = {each: alike.runtime_of(each) if comparer else "" for each in interpreters}
        numbers = collections.Counter(runtimes.values())
        for each, runtime in runtimes.items():
            found = alike.Likeness()
            if comparer and numbers[runtime] > 1:
                found = comparer.likeness(each)
            self.likeness[each] = found
            if found.digest in self.tried:
                self._follow(each, self.tried[found.digest])
            elif found.digest in self.followers:
                self.followers[found.digest].append(each)
            else:
                if found.digest:
                    self.followers[found.digest] = []
                self._try_after_runtime(each, runtime)
            self._finish(timeout=0)
        while self.pending:
            self._finish()

    def _finish(self, timeout: float | None = None) -> None:
        """Go on with what has been done, or after the next thing that will be."""
        for future in wait(self.pending, timeout, FIRST_COMPLETED).done:
            self.pending.pop(future)(future)

    def _call(self, then: Callable[[Any], None], function: Any, *args: Any, **more: Any) -> None:
        """Call a function in a worker, and then another one with its result or its failure."""

        def done(future: Future[Any]) -> None:
            error = future.exception()
            if error and not isinstance(error, workers.WorkerEndedError):
                raise error
            then(error or future.result())

        self.pending[self.pool.submit(self.workers.call, function, *args, **more)] = done

    def _try_after_runtime(self, interpreter: Interpreter, runtime: str) -> None:
        """Try an interpreter; if another one of its runtime is being tried, after that."""
        user = self.options["user"]
        if self.earlier:
            result = self.earlier.result_for(interpreter, self.cases, self.floor, user)
            if result:
                self._tried(result, runtime, "")
                return
        if runtime in self.waiting:
            self.waiting[runtime].append(interpreter)
            return
        if runtime and runtime not in self.isolated:
            self.waiting[runtime] = []
        self._try(interpreter, runtime)

    def _try(self, interpreter: Interpreter, runtime: str, reason: str = "") -> None:
        def then(found: Any) -> None:
            if not isinstance(found, InterpreterResult):
                found = InterpreterResult(
                    interpreter, unproven([f"the verifier failed: its process {found}"])
                )
            self._tried(found, runtime, reason)

        isolated = self.isolated.get(runtime)
        limits = self.cases, self.floor, self.timeout
        options = {**self.options, "isolated": isolated}
        self._call(then, examine_interpreter, interpreter, *limits, **options)

    def _tried(self, result: InterpreterResult, runtime: str, reason: str) -> None:
        """Keep a result, and go on with the interpreters that waited for it."""
        path, likeness = result.interpreter.path, self.likeness[result.interpreter]
        result.reason, result.likeness = reason or likeness.why, likeness.digest
        if self.comparer and likeness.digest:
            # It counts for others only as what it was before and after it was tried.
            result.likeness = self.comparer.likeness(result.interpreter).digest
        self._keep(result)
        if result.launches and not result.launches[0].doubts() and runtime:
            isolated = result.launches[0]
            launched = replace(isolated, reused_from=isolated.reused_from or path)
            self.isolated.setdefault(runtime, launched)
        for each in self.waiting.pop(runtime, ()):
            self._try(each, runtime)
        if likeness.digest in self.followers:
            self.tried[likeness.digest] = result
            for each in self.followers.pop(likeness.digest):
                self._follow(each, result)

    def _follow(self, interpreter: Interpreter, tried: InterpreterResult) -> None:
        """Give an interpreter the verdict of one that is alike, if its start-up code lets it."""
        runtime = alike.runtime_of(interpreter)

        def then(is_like: object) -> None:
            if is_like is True:
                self._keep(tried.shared_by(interpreter, _TRIED_BRIEFLY))
            else:
                self._try(interpreter, runtime, _NOT_LIKE)

        if not tried.launches:  # the verifier failed
            self._try(interpreter, runtime)
        elif tried.likeness != self.likeness[interpreter].digest:
            self._try(interpreter, runtime, _CHANGED)
        elif not (
            self.likeness[interpreter].has_code
            or startup_code.has_shared_code(tried.as_started, tried.interpreter.venv)
        ):
            self._keep(tried.shared_by(interpreter, ALIKE))
        else:
            user = self.options["user"]
            limits = tried.as_started, self.floor, self.timeout, user
            self._call(then, is_like, interpreter, *limits)

    def _keep(self, result: InterpreterResult) -> None:
        self.results[result.interpreter] = result
        self.progress()
