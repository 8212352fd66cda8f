"""Runs a suite under a floor, and ends with a table of the tests that the floor concerns.

Each report of a test carries what the floor did, or would have done, in that phase. So it arrives
with pytest-xdist too, also from a worker that crashes later. What a worker did outside of its tests
arrives as it ends.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest

from tlsfloor import _enforce, events, policy, versions
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, PolicyError
from tlsfloor.stacks import COVERED
from tlsfloor.testing.recorder import (
    ABOVE,
    ASKED,
    BELOW,
    REFUSED,
    USUAL,
    Recorder,
    describe,
    own_stacks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

#: The names of the options, and of the settings in the ini file.
FLOOR, MODE = "tls_floor", "tls_floor_mode"

#: The most rows of the table, without ``-v``.
MAX_ROWS = 50

#: The attribute of a report, and the key of a worker's output, with pairs of kind and text.
CARRIED = "tls_floor"

_OUTSIDE = "(outside of the tests)"
_HEADINGS = {BELOW: "connected below", REFUSED: "refused", ASKED: "asked for"}


def start(config: pytest.Config) -> None:
    """Arm this process as the options and the ini file ask, and watch the tests.

    Raises:
        UsageError: an option cannot be understood, or a floor cannot be held that is to be held.
    """
    (floor, floor_source), (mode, mode_source) = _asked(config, FLOOR), _asked(config, MODE)
    if not floor_source:
        raise pytest.UsageError(f"tlsfloor: no floor with {mode_source}; hint: --tls-floor=1.2")
    armed_earlier = bool(current.armings)
    try:
        wire = policy.floor_of(floor, floor_source)
        mode = policy.mode_of(mode, mode_source) if mode_source else policy.OBSERVE
        suite = Suite(wire, mode, f"pytest {floor_source}")
        _enforce.arm_for(suite.set_by, wire, mode=mode, on_event=suite.recorder)
        suite.is_armed(current.armings[-1])
    except PolicyError as error:
        raise pytest.UsageError(f"tlsfloor: {error}") from None
    except Exception as error:  # noqa: BLE001 - a suite may have replaced ssl by anything
        text = str(error) if isinstance(error, GuardError) else f"{type(error).__name__}: {error}"
        if mode == policy.ENFORCE:
            raise pytest.UsageError(f"tlsfloor: no test was run: {text}") from None
        suite.failure = text
    if mode == policy.OBSERVE and not armed_earlier:
        # A test may look at all that is logged (``caplog``), and must see what it sees without us.
        logging.getLogger("tlsfloor").disabled = True
    config.pluginmanager.register(suite, "tlsfloor-suite")


def _asked(config: pytest.Config, name: str) -> tuple[str, str]:
    """Return the value of an option or setting, and where it is written; empty if it is not."""
    option = config.getoption(name)
    if option is not None:
        return option, f"--{name.replace('_', '-')}={option}"
    value = config.getini(name)
    return (value, f"{name}={value} in {config.inipath or '-o'}") if value else ("", "")


class Suite:
    """The tests of this run, and what the floor did or would have done in them."""

    def __init__(self, floor: int, mode: str, set_by: str) -> None:
        self.name = versions.name(floor)
        self.mode, self.set_by = mode, set_by
        self.recorder = Recorder(floor)
        self.failure = self.raised = ""
        self.observing: dict[str, Any] = {}
        self.found: dict[str, dict[str, set[str]]] = {}
        self.tests: set[str] = set()
        self.crashes = 0
        self.notes: set[str] = set()

    def is_armed(self, arming: dict[str, Any]) -> None:
        """Keep what was armed: the environment may have asked for a higher floor."""
        self.name = versions.name(arming["floor"])
        self.recorder.floor = arming["floor"]
        self.raised = arming["set_by"][len(self.set_by) :]
        if self.mode == policy.OBSERVE:
            self.observing = arming

    def pytest_unconfigure(self) -> None:
        """Leave no trace of a floor that was observed: a program may call ``pytest.main()``."""
        if self.recorder in events.callbacks:
            events.callbacks.remove(self.recorder)
        if self.observing:
            from tlsfloor.testing.floors import stop_observing

            stop_observing(self.observing)
            logging.getLogger("tlsfloor").disabled = False

    def pytest_report_header(self) -> str:
        """Say what this run does."""
        return f"tlsfloor: {self._what()}"

    def _what(self) -> str:
        if self.failure:
            return f"{self.name} is not observed: {self.failure}"
        done = "held" if self.mode == policy.ENFORCE else "observed, and no test is changed"
        text = f"{self.name} is {done}{self.raised}"
        others = [each for each in current.armings if not each["set_by"].startswith(self.set_by)]
        for other in others:
            held = "observed" if other["mode"] == policy.OBSERVE else "held"
            text += f"; {versions.name(other['floor'])} is {held}, set by {other['set_by']}"
        return text

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        """Add to a report what the floor did in this phase of the test."""
        outcome: Any = yield
        found = self._take()
        if found:
            setattr(outcome.get_result(), CARRIED, found)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a report carries, here or from a worker."""
        self.tests.add(report.nodeid)
        self._keep(report.nodeid, getattr(report, CARRIED, ()))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Look at what happened outside of the tests, and whether the floor could be held."""
        try:
            found, notes = self._take(), self._unseen()
        except Exception as error:  # noqa: BLE001 - as above; the results of the tests must stay
            found, notes = [], [f"not observed: ssl: {type(error).__name__}: {error}"]
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[CARRIED] = [found, notes]
        self._keep(_OUTSIDE, found)
        self.notes.update(notes)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Keep what a worker of pytest-xdist did outside of its tests."""
        found, notes = getattr(node, "workeroutput", {}).get(CARRIED, ((), ()))
        self._keep(_OUTSIDE, found)
        self.notes.update(notes)
        self.crashes += bool(error)

    def _take(self) -> list[tuple[str, str]]:
        return sorted({(kind, describe(event)) for kind, event in self.recorder.take()})

    def _keep(self, test: str, found: Sequence[tuple[str, str]]) -> None:
        for kind, text in found:
            self.found.setdefault(test, {}).setdefault(kind, set()).add(text)

    def _unseen(self) -> list[str]:
        """Return what is not guarded or observed in this process, as lines."""
        if self.failure:
            return []
        from tlsfloor.stacks import _coverage, _ssl_state

        known = (*COVERED, "observed")
        states = {
            name: state
            for name, state in current.stacks.items()
            if state not in known and name not in own_stacks
        }
        module = sys.modules.get("ssl")
        if module is not None and "ssl" not in states:
            replaced = "" if hasattr(module, "SSLContext") else f"{module!r} has no SSLContext"
            states["ssl"] = replaced or _ssl_state.undone(module)
        not_done = "not observed: " if self.mode == policy.OBSERVE else "not held: "
        return [
            f"{not_done}{_coverage.ABOUT.get(name, (name,))[0]}: {state.replace(not_done, '')}"
            for name, state in states.items()
            if state
        ]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table."""
        line = terminalreporter.write_line
        terminalreporter.write_sep("=", f"tlsfloor: {self.name}, {self.mode}")
        if self.failure:
            line(f"nothing was observed: {self.failure}", red=True)
            return
        for note in sorted(self.notes):
            line(note, red=True)
        if self.crashes:
            line(
                f"not observed: the last test of a worker that crashed ({self.crashes} crashed)",
                red=True,
            )
        if not self.tests:
            line("no test was run")
            return
        rows = {test: kinds for test, kinds in self.found.items() if kinds.keys() & _HEADINGS}
        shown = list(rows)
        if not terminalreporter.config.option.verbose > 0:
            shown = shown[:MAX_ROWS]
        cells = [
            [*(", ".join(sorted(rows[test].get(kind, "-"))) for kind in _HEADINGS), test]
            for test in shown
        ]
        if cells:
            for cell in _aligned([[*_HEADINGS.values(), "test"], *cells]):
                line(cell)
        if len(shown) < len(rows):
            line(f"… and {len(rows) - len(shown)} more; -v prints them all")
        for text in self._totals(rows):
            line(text)

    def _totals(self, rows: dict[str, dict[str, set[str]]]) -> Iterator[str]:
        found = [kinds.keys() for test, kinds in self.found.items() if test != _OUTSIDE]
        for which, text in (
            ({ABOVE, BELOW}, "completed a TLS handshake"),
            ({BELOW}, f"connected below {self.name}"),
            ({REFUSED}, "were refused" if current.is_held() else "would be refused"),
            ({ASKED}, f"asked for less than {self.name}"),
            ({USUAL}, "set a minimum of TLS 1.2, as many libraries do"),
        ):
            count = sum(not which.isdisjoint(kinds) for kinds in found)
            if count or which != {USUAL}:
                yield f"{count} of {len(self.tests)} tests {text}"
        if rows and not current.is_held():
            yield "no test was changed; --tls-floor-mode=enforce shows which of them then fail"


def _aligned(table: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
