"""CI runs the test commands of the README, and one line names what is not installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from programs import clean_environment

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


def test_ci_runs_the_readmes_test_commands_as_they_are() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Tests\n")[2]
    commands = re.findall(r"^\$ (.*)$", section.partition("\n## ")[0], re.MULTILINE)
    assert len(commands) == 2
    ran = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert [line for line in ran if line in commands] == commands
    # Each has a new environment, and no test runs before the first.
    first, second = (ran.index(each) for each in commands)
    assert "rm -rf .venv" in ran[first:second]
    assert not [line for line in ran[:first] if "pytest" in line or "pip install" in line]


def test_a_new_contributor_sees_the_right_test_fail(tmp_path: Path) -> None:
    """The first screen of CONTRIBUTING.md, in a copy of the checkout."""
    [shown] = re.findall(
        r"^\$ (sed .*)\n\$ pytest (\S+)\n\[…\]\n(FAILED \S+)$",
        (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
        re.MULTILINE,
    )
    command, tests, failed = shown
    for name in ("tlsfloor", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    _, before, after, _ = command.split("'")[1].split("/")
    file = tmp_path / command.split()[-1]
    assert file.read_text("utf-8").count(before) == 1
    file.write_text(file.read_text("utf-8").replace(before, after), "utf-8")
    # Faster than all of them: the test, and the next one, which passes.
    only = ["-k", "birth or invalid_values"]
    env = {**clean_environment(), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", tests, *only],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert re.findall(r"^FAILED \S+", done.stdout, re.MULTILINE) == [failed], done.stdout
    assert " 1 failed, " in done.stdout
    assert " passed" in done.stdout


#: Tests that need parts which are installed, missing, or installed later.
SUITE = """
import parts, pytest

def test_that_needs_nothing(): pass
@pytest.mark.parametrize("number", range(9))
def test_that_needs(number): parts.need("no_such_module")
@pytest.mark.needs("no_other_module", "os")
def test_that_is_marked(): pass
def test_that_needs_a_program(): parts.need_program("no-such-program")
def test_that_cannot_be(): parts.need("os", since=(9, 0))
"""


class Suite:
    """Tests in a folder, with our ``conftest.py`` and ``parts.py``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for file in (TESTS / "conftest.py", TESTS / "support" / "parts.py"):
            shutil.copy(file, folder)
        (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
        (folder / "test_it.py").write_text(SUITE)

    def run(self, *args: str, **env: str) -> tuple[int, str]:
        """Run the tests. Return the exit status and what pytest printed."""
        given = {**clean_environment(**env), "PYTHONPATH": str(self.folder)}
        if "CI" not in env:
            given.pop("CI", None)
        command = [sys.executable, "-m", "pytest", *args]
        done = subprocess.run(
            command, cwd=self.folder, env=given, stdout=subprocess.PIPE, text=True, check=False
        )
        return done.returncode, done.stdout


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_tests_that_are_left_out_are_one_line(suite: Suite, workers: str) -> None:
    status, printed = suite.run("-n", workers)
    assert status == 0, printed
    lines = printed.splitlines()
    named = "no-such-program, no_other_module, no_such_module"
    assert [line for line in lines if "no_" in line] == [f"left out: 11 tests that need {named}"]
    assert re.search(r"\b1 passed, 1 skipped, 11 left out in ", lines[-1]), printed


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_later_run_runs_what_was_left_out(suite: Suite, workers: str) -> None:
    suite.run("-n", workers)
    suite.run("-k", "needs_nothing")  # it changes nothing
    (suite.folder / "no_such_module.py").touch()
    status, printed = suite.run("-n", workers, "--left-out")
    assert status == 0, printed
    assert re.search(r" 9 passed, (2 deselected, )?2 left out in ", printed), printed
    # In CI, the last such run reports the tests that no run has run.
    status, printed = suite.run("-n", workers, "--left-out", CI="true")
    assert status == 1
    assert re.search(r" 1 failed, (11 deselected, )?1 error in ", printed), printed
    (suite.folder / "no_other_module.py").touch()
    (suite.folder / "test_it.py").write_text(SUITE.replace("needs_a_program", "is_renamed"))
    suite.run()
    (suite.folder / "test_it.py").write_text(SUITE)
    status, printed = suite.run("--left-out", "-k", "marked", CI="true")
    assert (status, "never run: test_it.py::test_that_is_renamed" in printed) == (1, True), printed


def test_in_ci_a_missing_part_is_a_failure(suite: Suite) -> None:
    status, printed = suite.run(CI="true")
    assert (status, "10 failed, 1 passed, 1 skipped, 1 error in" in printed) == (1, True), printed
    assert "hint: an extra of pyproject.toml has it" in printed
    assert "hint: .ci/run names its package" in printed


@pytest.mark.skipif(os.name != "posix", reason="only POSIX shells do this")
def test_the_tests_run_in_the_background_of_a_script(suite: Suite) -> None:
    """A script starts background processes with SIGINT ignored, and some tests send SIGINT."""
    (suite.folder / "test_it.py").write_text(
        "import subprocess, sys\n"
        "def test_it():\n"
        "    program = 'import signal; print(signal.getsignal(signal.SIGINT).__name__)'\n"
        "    printed = subprocess.check_output([sys.executable, '-c', program], text=True)\n"
        "    assert printed == 'default_int_handler\\n'\n"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert suite.run()[0] == suite.run("-n", "2")[0] == 0
    finally:
        signal.signal(signal.SIGINT, before)
