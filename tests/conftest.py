"""What holds for all tests.

Tests whose parts are not installed (see ``parts.py``) are left out: one line at the end says so,
and not one for each. They are remembered, as pytest remembers failures for ``--last-failed``:
``pytest --left-out`` runs them alone, in an environment that has their parts.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import parts

#: What pytest's cache has of it: the ids of the tests.
REMEMBERED = "tlsfloor/left-out"


@pytest.fixture(scope="session", autouse=True)
def _elsewhere() -> Iterator[None]:
    """Leave the checkout: ``python -m`` would find its package, and not the one installed."""
    before = os.getcwd()
    os.chdir(Path(__file__).parent)
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def fetched(pytestconfig: pytest.Config) -> Callable[[str], str]:
    """Return what gives the folder of some of ``parts.PACKAGES``, once they are in it."""
    assert pytestconfig.cache is not None
    return functools.partial(parts.fetched, Path(pytestconfig.cache.mkdir("packages")))


@pytest.fixture(scope="session")
def urllib3_path(fetched: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Return what tells which path has a major version of urllib3: none if it is installed."""

    def path(major: str) -> list[str]:
        parts.need("urllib3", "requests")
        return [] if version("urllib3").split(".")[0] == major else [fetched(f"urllib3-{major}")]

    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "only the tests that runs before this one left out, or all if there are none"
    parser.addoption("--left-out", action="store_true", help=told)


def pytest_configure(config: pytest.Config) -> None:
    # A script starts what it runs in the background with SIGINT ignored, and so would be the
    # servers that tests end by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "needs(*modules, since): left out unless they are there")
    config.pluginmanager.register(LeftOut(config))


class LeftOut:
    """Which tests were left out, in this run and before."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.before: set[str] = set(config.cache.get(REMEMBERED, ()))
        self.remaining = set(self.before)
        #: In CI no run comes after this one that could still make up for what it leaves out.
        self.last = config.getoption("left_out") and os.environ.get("CI") == "true"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.config.getoption("left_out") and self.before:
            others = [item for item in items if item.nodeid not in self.before]
            self.config.hook.pytest_deselected(items=others)
            items[:] = [item for item in items if item.nodeid in self.before]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        for each in item.iter_markers("needs"):
            parts.need(*each.args, **each.kwargs)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Iterator[None]:
        outcome: Any = yield
        if call.excinfo and isinstance(call.excinfo.value, parts.LeftOut):
            outcome.get_result().left_out = call.excinfo.value.part

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        return ("left out", "-", "LEFT OUT") if hasattr(report, "left_out") else None

    def pytest_runtest_logreport(self, report: Any) -> None:
        if hasattr(report, "left_out"):
            self.remaining.add(report.nodeid)
        elif report.when == "call" or not report.passed:
            self.remaining.discard(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self.config, "workerinput"):  # workers of pytest-xdist only run tests
            return
        self.config.cache.set(REMEMBERED, sorted(self.remaining))
        if self.remaining and self.last:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        reports = terminalreporter.stats.get("left out", ())
        if reports:
            names = ", ".join(sorted({each.left_out for each in reports}, key=str.lower))
            terminalreporter.write_line(f"left out: {len(reports)} tests that need {names}")
        if self.remaining and self.last:
            names = ", ".join(sorted(self.remaining))
            terminalreporter.write_line(f"never run: {names}", red=True)
