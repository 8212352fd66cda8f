"""Replay the corpus of each fuzz target, and show that each target detects a fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TARGETS = sorted(path.stem[len("fuzz_") :] for path in FOLDER.glob("fuzz_*.py"))

#: Target -> faults of the product that it must detect, as statements.
FAULTS = {
    "binary": "import tlsfloor.inventory.libraries as m; m._texts_in = lambda data: data[:] * 3",
    "environment": "import tlsfloor.policy as m; m.floor_in = lambda environment: 0x0301",
    "events": "import tlsfloor.events as m; m._plain = lambda name, value: value",
    "exemptions": "import tlsfloor.exemptions as m; m._parse_host = lambda text: text[1:]",
    "installed": "import tlsfloor.deploy.startup_files as m; m.versions.FLOORS = {'1.2', '1.4'}",
    "probe": "import tlsfloor.verifier.judge as m; m._is_refusal = lambda *_: True",
    "reader": "import tlsfloor.report.reader as m; m.PROBLEMS = {m.NOT_JSON}",
    "resume": 'import tlsfloor.verifier.resume as m; m.OUTCOMES += ("a\'cepted",)',
    "wire": "import tlsfloor.wire as m; m.Record.write = lambda self: b'something else'",
}


def replay(target: str, fault: str = "pass") -> subprocess.CompletedProcess[str]:
    """Replay a corpus in a process of its own, because a target replaces parts of the product."""
    code = f"import runpy, sys; {fault}; sys.argv[1:] = [{target!r}]; "
    code += f"runpy.run_path({str(FOLDER)!r}, run_name='__main__')"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", TARGETS)
def test_the_invariant_holds_for_the_corpus(target: str) -> None:
    done = replay(target)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"of the corpus of {target}: the invariant holds\n")


@pytest.mark.parametrize("target", TARGETS)
def test_a_fault_breaks_the_invariant(target: str) -> None:
    done = replay(target, FAULTS[target])
    assert done.returncode == 1
    assert "in one_input" in done.stderr
