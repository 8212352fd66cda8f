"""Fixtures for all tests, and the tests that are left out. ``README.md`` says where what is.

A test is left out if a package or program that it needs is not installed (see ``parts.py``). One
line at the end names what is missing. pytest's cache keeps the list of these tests, as it keeps
failures for ``--last-failed``: ``pytest --left-out`` runs only them, in an environment that has
what they need.
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

#: The key in pytest's cache, for the ids of the tests that were left out.
REMEMBERED = "tlsfloor/left-out"


@pytest.fixture(scope="session", autouse=True)
def _elsewhere() -> Iterator[None]:
    """Leave the checkout, where ``python -m`` would find its package and not the installed one."""
    before = os.getcwd()
    os.chdir(Path(__file__).parent)
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def fetched(pytestconfig: pytest.Config) -> Callable[[str], str]:
    """Return a function that installs some of ``parts.PACKAGES`` and returns their folder."""
    assert pytestconfig.cache is not None
    return functools.partial(parts.fetched, Path(pytestconfig.cache.mkdir("packages")))


@pytest.fixture(scope="session")
def urllib3_path(fetched: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Return a function that returns the path of a major version of urllib3.

    The path is empty if that version is installed.
    """

    def path(major: str) -> list[str]:
        parts.need("urllib3", "requests")
        return [] if version("urllib3").split(".")[0] == major else [fetched(f"urllib3-{major}")]

    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    about = "run only the tests that earlier runs left out, or all if there are none"
    parser.addoption("--left-out", action="store_true", help=about)


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with SIGINT ignored. The servers that tests end by SIGINT would
    # inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "needs(*modules, since): left out unless they are there")
    config.addinivalue_line("markers", "weekly: too long for each push; a session of nox runs it")
    config.pluginmanager.register(LeftOut(config))


class LeftOut:
    """The tests that were left out, in this run and before."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.cache = getattr(config, "cache", None)  # there is none with -p no:cacheprovider
        self.before: set[str] = set(self.cache.get(REMEMBERED, ()) if self.cache else ())
        self.remaining = set(self.before)
        #: In CI this run is the last one, so a test that is still left out never runs.
        self.last = config.getoption("left_out") and os.environ.get("CI") == "true"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.config.getoption("left_out") and self.before:
            others = [item for item in items if item.nodeid not in self.before]
            self.config.hook.pytest_deselected(items=others)
            items[:] = [item for item in items if item.nodeid in self.before]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        for marker in item.iter_markers("needs"):
            parts.need(*marker.args, **marker.kwargs)

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
        if self.cache:
            self.cache.set(REMEMBERED, sorted(self.remaining))
        if self.remaining and self.last:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        reports = terminalreporter.stats.get("left out", ())
        if reports:
            names = ", ".join(sorted({report.left_out for report in reports}, key=str.lower))
            terminalreporter.write_line(f"left out: {len(reports)} tests that need {names}")
        if self.remaining and self.last:
            names = ", ".join(sorted(self.remaining))
            terminalreporter.write_line(f"never run: {names}", red=True)
