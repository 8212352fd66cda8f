"""CPython's own tests of what speaks TLS: a floor changes a few of them, and no other.

All cases but the first are weekly: ``nox -s cpython-3.13``, or another version, runs them all.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from programs import PROGRAMS, armed_environment, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The modules in which most handshakes are.
SUITES = [
    "test_ssl",
    "test_asyncio.test_events",
    "test_asyncio.test_sendfile",
    "test_asyncio.test_ssl",
    "test_asyncio.test_sslproto",
    "test_asyncio.test_streams",
    "test_ftplib",
    "test_httplib",
    "test_imaplib",
    "test_nntplib",
    "test_poplib",
    "test_urllib2_localnet",
]

#: It wants the type _ssl._SSLContext to be immutable: a class with gates has its name. (A metaclass
#: would make that one so, and break ``class X(SSLContext, ABC)``.)
TYPE = {"BasicSocketTests.test_ssl_types"}

#: It lowers a context and reads the lower value back, which is what a floor is about.
READS_BACK = {"ContextTests.test_min_max_version"}

#: They connect with TLS 1.0 or 1.1, or want a failure because one end has nothing newer.
TLS_1_0 = {
    "ThreadedTests.test_PROTOCOL_TLS",
    "ThreadedTests.test_min_max_version_mismatch",
    "ThreadedTests.test_min_max_version_tlsv1_1",
    "ThreadedTests.test_protocol_tlsv1",
    "ThreadedTests.test_protocol_tlsv1_1",
}

#: They connect with TLS 1.2, or want what is different there: key exchange, sessions, alerts.
TLS_1_2 = {
    "TestPostHandshakeAuth.test_pha_not_tls13",
    "TestSSLDebug.test_msg_callback_tls12",
    "ThreadedTests.test_default_ecdh_curve",
    "ThreadedTests.test_dh_params",
    "ThreadedTests.test_min_max_version_tlsv1_2",
    "ThreadedTests.test_no_shared_ciphers",
    "ThreadedTests.test_protocol_tlsv1_2",
    "ThreadedTests.test_psk",
    "ThreadedTests.test_session",
    "ThreadedTests.test_session_handling",
    "ThreadedTests.test_wrong_cert_tls12",
}

if sys.version_info < (3, 10):
    TLS_1_0 |= {"ThreadedTests.test_echo"}  # by contexts of one version
    TLS_1_2 |= {"ThreadedTests.test_dual_rsa_ecc"}  # by OP_NO_TLSv1_3

#: Floor and mode -> the tests of test_ssl that differ. No other suite has one.
DIFFERENT = {
    ("1.2", "enforce"): TYPE | READS_BACK | TLS_1_0,
    ("1.2", "observe"): TYPE,
    ("1.3", "enforce"): TYPE | READS_BACK | TLS_1_0 | TLS_1_2,
}

CASES = [(suite, *how) for suite in SUITES for how in DIFFERENT]

#: How often a test is asked again, with and without the floor.
ROUNDS = 8

#: As many tests of a suite may fail without a floor too: three of 3.8's do where OpenSSL is newer.
BROKEN = 5


def run(
    tmp_path: Path, env: dict[str, str], names: set[str]
) -> tuple[set[str], set[str], set[str]]:
    """Run tests; return the names of those that passed, failed, and skipped themselves."""
    file = tmp_path / "outcomes.json"
    command = [sys.executable, str(PROGRAMS / "cpython_suite.py"), str(file), *sorted(names)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr  # bytes, because tests print any
    passed, failed, skipped = map(set, json.loads(file.read_text("utf-8")))
    return passed, failed, skipped


def there(suite: str) -> bool:
    """Return whether this Python came with these tests."""
    try:
        return importlib.util.find_spec(f"test.{suite}") is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("suite", "floor", "mode"),
    [CASES[0], *(pytest.param(*each, marks=pytest.mark.weekly) for each in CASES[1:])],
)
def test_cpythons_own_tests_see_no_other_difference(
    suite: str, floor: str, mode: str, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    """A test that skips itself because of the floor is a difference, too."""
    if not there(suite):
        pytest.skip(f"this Python came without test.{suite}")
    file = tmp_path / "events"
    armed = armed_environment(floor, TLSFLOOR_MODE=mode, TLSFLOOR_EVENTS=str(file))
    passed, failed, skipped = run(tmp_path, armed, {f"test.{suite}"})
    events = map(json.loads, file.read_text("utf-8").splitlines())
    handshakes = sum(event["count"] for event in events if event["kind"] == "handshake")
    found, known = failed | skipped, passed | failed | skipped
    names = DIFFERENT[floor, mode] if suite == "test_ssl" else set()
    different = {f"test.{suite}.{name}" for name in names} & known
    # Some fail now and then, with or without the floor, and some always on this machine. What is of
    # the floor fails each time with it, and never without.
    broken: set[str] = set()
    for _ in range(ROUNDS):
        if found:
            _, failed, skipped = run(tmp_path, clean_environment(), found)
            broken |= failed
            found -= failed | skipped
        if found == different:
            break
        if found:
            _, failed, skipped = run(tmp_path, armed, found)
            found &= failed | skipped
    for what, value in (
        ("passed", len(passed)),
        ("handshakes", handshakes),
        ("broken", sorted(broken)),
    ):
        record_property(what, value)
    assert found == different
    # The control: most tests passed, and they did speak TLS.
    assert handshakes > 0
    assert len(passed) > len(known) // 2
    assert len(broken) <= BROKEN
