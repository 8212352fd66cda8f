"""The policy for stacks that cannot be raised: they are refused, or pass with a warning."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from programs import IMPORT_PATH, armed_environment, clean_environment, python
from parts import need

PROGRAM = """
import pymssql, tlsfloor
try:
    pymssql.connect("localhost", "x", "x", port=1, login_timeout=1)
except OSError as error:
    print(error)
except pymssql.Error:
    print("passed")
print(tlsfloor.status().stacks["pymssql._mssql"])
"""

UNCOVERED = "pymssql._mssql is uncovered: "
REFUSED = "FreeTDS has no setting for a minimum version and could use TLS 1.0 for this connection"


@pytest.mark.parametrize(
    ("env", "passed"),
    [
        ({}, False),
        ({"TLSFLOOR_UNCOVERED": "block"}, False),
        ({"TLSFLOOR_UNCOVERED": "warn"}, True),
        ({"TLSFLOOR_UNCOVERED": "warn", "TLSFLOOR_ON_ERROR": "abort"}, True),
        ({"TLSFLOOR_STACKS": "pymssql._mssql=warn"}, True),
        ({"TLSFLOOR_STACKS": "FreeTDS=warn"}, True),
        ({"TLSFLOOR_STACKS": "pyOpenSSL=warn"}, False),
        ({"TLSFLOOR_UNCOVERED": "warn", "TLSFLOOR_STACKS": "FreeTDS = block"}, False),
        ({"TLSFLOOR_UNCOVERED": "block", "TLSFLOOR_STACKS": "FreeTDS=warn, ssl=block"}, True),
    ],
)
def test_the_environment_sets_the_policy(env: dict[str, str], passed: bool) -> None:
    need("pymssql")
    done = python("-c", PROGRAM, env=armed_environment(**env))
    assert done.returncode == 0, done.stderr
    first, state = done.stdout.splitlines()
    if passed:
        assert first == "passed"
        assert state.startswith("uncovered: ")
        assert done.stderr.startswith(f"tlsfloor: error: {UNCOVERED}")
        assert done.stderr.endswith("; it is imported all the same\n")
        assert len(done.stderr.splitlines()) == 1
    else:
        assert REFUSED in first
        assert "TLSFLOOR_STACKS=pymssql._mssql=warn" in first
        assert state == "guarded"


@pytest.mark.parametrize(
    ("call", "env", "passed"),
    [
        ("uncovered='warn'", {}, True),
        ("stacks={'FreeTDS': 'warn'}", {}, True),
        ("uncovered='warn', stacks={'FreeTDS': 'block'}", {}, False),
        ("uncovered='warn'", {"TLSFLOOR_UNCOVERED": "block"}, False),
        ("", {"TLSFLOOR_UNCOVERED": "warn"}, True),
    ],
)
def test_a_call_sets_the_policy_and_the_strictest_wins(
    call: str, env: dict[str, str], passed: bool
) -> None:
    need("pymssql")
    program = f"import tlsfloor; tlsfloor.enforce('1.2', {call})\n{PROGRAM}"
    done = python("-c", program, env=clean_environment(PYTHONPATH=IMPORT_PATH, **env))
    assert (done.stdout.splitlines()[0] == "passed") == passed, done.stderr


@pytest.mark.parametrize("words", [("block", "warn"), ("warn", "block")])
def test_the_strictest_of_two_calls_wins(words: tuple[str, str]) -> None:
    need("pymssql")
    calls = "\n".join(f"tlsfloor.enforce('1.2', uncovered={each!r})" for each in words)
    program = f"import tlsfloor\n{calls}\n{PROGRAM}"
    done = python("-c", program, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert REFUSED in done.stdout.splitlines()[0], done.stderr


@pytest.mark.parametrize("on_error", ["block", "warn"])
def test_no_variable_weakens_an_installed_policy(on_error: str, tmp_path: Path) -> None:
    need("pymssql")
    prefix = tmp_path / "venv"
    make = [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(prefix)]
    subprocess.run(make, check=True)
    [site] = prefix.glob("lib/python*/site-packages")
    (site / "beside.pth").write_text(f"{sysconfig.get_path('platlib')}\n{IMPORT_PATH}\n")
    words = ("install", "--prefix", str(prefix), "--on-error", on_error)
    assert python("-m", "tlsfloor", *words).returncode == 0
    env = clean_environment(TLSFLOOR_UNCOVERED="warn", TLSFLOOR_STACKS="FreeTDS=warn")
    done = python("-c", PROGRAM, executable=str(prefix / "bin" / "python"), env=env)
    assert (done.stdout.splitlines()[0] == "passed") == (on_error == "warn"), done.stderr


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (
            "uncovered='wran'",
            "unknown value in enforce(): 'wran'; hint: write one of warn, block",
        ),
        ("stacks={'pyOpenSSL': 'off'}", "unknown value of 'pyOpenSSL' in enforce(): 'off'"),
        ("stacks={'pyopenSSL': 'warn'}", "'pyopenSSL'; hint: did you mean pyOpenSSL?"),
        ("stacks='pyOpenSSL=warn'", "stacks of enforce() is of type str, not a dict; hint: write"),
        ("on_event='print'", "on_event of enforce() is of type str, and cannot be called; hint: w"),
        ("mode='watch'", "unknown mode in enforce(): 'watch'; hint: write one of enforce, observe"),
    ],
)
def test_a_mistake_in_a_call_raises_and_arms_nothing(call: str, problem: str) -> None:
    program = f"""
import tlsfloor
try:
    tlsfloor.enforce("1.2", {call})
except tlsfloor.PolicyError as error:
    print(error, tlsfloor.status().armings)
"""
    done = python("-c", program, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert problem in done.stdout, done.stderr
    assert done.stdout.endswith(" []\n")


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"TLSFLOOR_UNCOVERED": ""}, "unknown value in TLSFLOOR_UNCOVERED: ''"),
        ({"TLSFLOOR_STACKS": "FreeTDS"}, "unknown value of 'FreeTDS' in TLSFLOOR_STACKS: ''"),
        ({"TLSFLOOR_STACKS": "FreeTSD=warn"}, "'FreeTSD'; hint: did you mean FreeTDS?"),
    ],
)
def test_a_mistake_in_the_environment_refuses_tls(env: dict[str, str], problem: str) -> None:
    program = "import tlsfloor\ntry:\n    import ssl\nexcept ImportError as error: print(error)"
    assert problem in python("-c", program, env=armed_environment(**env)).stdout
