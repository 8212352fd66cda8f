"""Examines interpreters: both launches of each, what they mean, and what all of it comes to."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field

from tlsfloor import versions
from tlsfloor.inventory import libraries
from tlsfloor.verifier import child, judge, launch, surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tlsfloor.inventory.libraries import Library
    from tlsfloor.verifier.cases import Case
    from tlsfloor.verifier.find import Found, Interpreter
    from tlsfloor.verifier.surroundings import User

#: The exit status of each verdict, design section 7: 0 is for what is sound alone.
STATUSES = {"immune": 0, "enforced": 0, "lowerable": 1, "leaks": 1, "inconclusive": 3}

# How bad a status is: what is flagged outweighs what could not be tried.
_WORSE = (0, 3, 1)

# How often what is left is ended when a run is given up: seconds.
_TICK = 0.1

# Files that are open beside the peers: a listener for each case, and a connection or two.
_SPARE = 64


@dataclass
class Examined:
    """One interpreter: the verdict on it as deployed, the reasons, and all that was observed.

    ``more`` holds the verdicts on further launches: with the floor, or with a flag; ``libraries``
    the implementations of TLS that lie where it finds its packages.

    .. versionadded:: 0.1
    """

    interpreter: Interpreter
    verdict: str
    reasons: list[str]
    launches: list[judge.Launch] = field(default_factory=list)
    more: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    seconds: float = 0.0
    libraries: list[Library] = field(default_factory=list)

    @property
    def deployed(self) -> judge.Launch | None:
        """The launch that decides, None if there was none."""
        return self.launches[1] if self.launches else None

    def fact(self, name: str) -> str:
        """Return what the interpreter said of itself, empty if it did not."""
        return next((str(each.facts[name]) for each in self.launches if each.facts.get(name)), "")


@dataclass
class Report:
    """A whole run: what was asked for, found and examined; ``tool`` is our own version.

    ``evidence`` is what was exchanged: ``"handshake"`` or ``"hello"``; ``describe`` returns
    libraries as JSON types, with what covers each.

    .. versionadded:: 0.1
    """

    floor: int
    targets: list[str]
    tool: str
    found: Found
    examined: list[Examined] = field(default_factory=list)
    evidence: str = "handshake"
    describe: Callable[[list[Library]], list[dict[str, str]]] = libraries.plain

    @property
    def doubts(self) -> list[str]:
        """What keeps the run as a whole from proving that all is well."""
        found = [f"no interpreter found below {path}" for path in self.found.empty]
        return found + [f"not searched: {path}: {why}" for path, why in self.found.unread.items()]

    @property
    def status(self) -> int:
        """The exit status: the worst of all; never 0 when there was nothing to verify."""
        statuses = [STATUSES[each.verdict] for each in self.examined]
        if self.doubts or not statuses:
            statuses.append(3)
        return max(statuses, key=_WORSE.index)


def examine(
    interpreter: Interpreter,
    cases: list[Case],
    floor: int,
    timeout: float,
    *,
    armed: bool = False,
    user: User | None = None,
) -> Examined:
    """Launch an interpreter isolated and as deployed (and ``armed``: with the floor), and judge.

    ``user`` is whom it runs as, None for ours. One that a floor protects is launched with each flag
    as well that the floor may not survive.

    .. versionadded:: 0.1
    """
    if interpreter.problem:
        return Examined(interpreter, "inconclusive", [interpreter.problem])
    path, around = interpreter.path, surroundings.of(interpreter, user)
    start = time.monotonic()
    more = {}
    try:
        launches = [
            launch.isolated(path, cases, floor, timeout, around),
            launch.as_deployed(path, cases, floor, timeout, around),
        ]
        if armed:
            name = versions.floor_name(floor)
            launches.append(launch.with_floor(path, cases, floor, name, timeout, around))
        if judge.verdict(launches[0], launches[1], floor)[0] == "enforced":
            launches += [
                launch.with_flag(path, flag, cases, floor, timeout, around)
                for flag in launch.flags(str(launches[1].facts.get("version")))
            ]
    except OSError as error:  # of ours: no ports or files are left
        return Examined(interpreter, "inconclusive", [f"the verifier failed: {error}"])
    for each in launches[2:]:
        more[each.name] = judge.verdict(launches[0], each, floor)
    verdict, reasons = judge.verdict(launches[0], launches[1], floor)
    examined = Examined(interpreter, verdict, reasons, launches, more, time.monotonic() - start)
    examined.libraries = _libraries(launches[1])
    outside = _outside(examined)
    if outside:
        examined.verdict = "inconclusive"
        examined.reasons = [
            f"it ran with this machine's {outside}, not its image's: verify it there"
        ]
    return examined


def _libraries(launched: judge.Launch) -> list[Library]:
    """Return what lies where an interpreter that was launched finds its packages."""
    path, own = launched.facts.get("path"), launched.facts.get("standard_library")
    if not isinstance(path, list) or not isinstance(own, str):
        return []
    return libraries.installed([each for each in path if isinstance(each, str)], own)[1]


def _outside(examined: Examined) -> str:
    """Return a TLS library that an interpreter of an unpacked image loaded from elsewhere."""
    inside = examined.interpreter.image + os.sep
    for each in examined.launches if examined.interpreter.image else ():
        loaded = each.facts.get("loaded")
        for name in loaded if isinstance(loaded, list) else ():
            if not str(name).startswith(inside):
                return str(name)
    return ""


def run(
    report: Report,
    cases: list[Case],
    timeout: float,
    jobs: int,
    *,
    armed: bool = False,
    progress: Callable[[], object] = bool,
    user: User | None = None,
) -> None:
    """Examine what a report found, ``jobs`` at a time; ``progress`` is called after each.

    Interpreters run as ``user``, None for ours.

    Whatever ends the run early ends every program that it started.

    .. versionadded:: 0.1
    """
    with ThreadPoolExecutor(max(1, min(jobs, _affordable(len(cases))))) as pool:
        futures = [
            pool.submit(examine, each, cases, report.floor, timeout, armed=armed, user=user)
            for each in report.found.interpreters
        ]
        try:
            for _ in as_completed(futures):
                progress()
        except BaseException:
            for future in futures:
                future.cancel()
            # One that is cancelled counts as done; each other may come to its next launch first.
            while wait(futures, timeout=_TICK).not_done:
                child.stop_all()
            raise
        report.examined = [future.result() for future in futures]


def _affordable(cases: int) -> int:
    """Return how many interpreters fit into the files that this process may open at once."""
    try:
        import resource
    except ImportError:  # not on Windows, where nothing is known of it
        return 1
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2**20 if limit == resource.RLIM_INFINITY else limit // (cases + cases // 4 + _SPARE)
