"""The plugin of pytest, in runs of pytest of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from parts import need

from programs import BOOTSTRAP, IMPORT_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

#: What every suite below has: a client of urllib that asks for any version, and one that does not.
CONFTEST = """
import ssl
import urllib.request
import warnings

import pytest

@pytest.fixture
def fetch():
    def fetch(server, minimum="MINIMUM_SUPPORTED"):
        context = ssl.create_default_context(cafile=server.ca_file)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = getattr(ssl.TLSVersion, minimum)
        with urllib.request.urlopen(server.url, context=context) as response:
            return response.read().decode().split()[-1]
    return fetch
"""

SUITE = """
import asyncio
import contextlib
import ssl
import unittest

import pytest

def test_legacy(legacy_server, fetch, caplog):
    server = legacy_server("1.0")
    assert fetch(server) == "TLSv1"
    assert [each.version for each in server.handshakes()] == ["1.0"]
    assert caplog.records == []

def test_legacy_once_more(legacy_server, fetch):
    assert fetch(legacy_server("1.0")) == "TLSv1"

@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1")
def test_fixed(legacy_server):
    import socket
    server = legacy_server("1.0")
    context = ssl.SSLContext(ssl.PROTOCOL_TLSv1)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        with context.wrap_socket(plain) as tls:
            assert tls.version() == "TLSv1"

def test_modern(modern_server, fetch):
    assert fetch(modern_server, "TLSv1_2") == "TLSv1.3"

def test_usual(modern_server, fetch):
    assert fetch(modern_server, "TLSv1_3") == "TLSv1.3"

def test_a_maximum():
    ssl.create_default_context().maximum_version = ssl.TLSVersion.TLSv1_2

def test_that_fails():
    assert 1 == 2

class TestUnit(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _server(self, legacy_server, fetch):
        self.server, self.fetch = legacy_server("1.1"), fetch

    def test_unit(self):
        self.assertEqual(self.fetch(self.server), "TLSv1.1")

def test_asyncio(legacy_server):
    server = legacy_server("1.2", "ecdhe")
    async def connect():
        context = ssl.create_default_context(cafile=server.ca_file)
        _, writer = await asyncio.open_connection("localhost", server.port, ssl=context)
        writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
        return version
    assert asyncio.run(connect()) == "TLSv1.2"

def test_a_server_of_the_suite(legacy_client):
    import socket, threading
    from tlsfloor.peers.base import PEER_FILE
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEER_FILE)
    def serve():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        seen = legacy_client(listener.getsockname()[1], "1.2", "ecdhe")
        thread.join()
    assert seen.version == "1.2"
"""

TRIO = """
import ssl

def test_trio(legacy_server):
    import trio
    server = legacy_server("1.2", "ecdhe")
    async def connect():
        context = ssl.create_default_context(cafile=server.ca_file)
        stream = await trio.open_ssl_over_tcp_stream("localhost", server.port, ssl_context=context)
        await stream.do_handshake()
        return stream.version()
    assert trio.run(connect) == "TLSv1.2"
"""

#: The lines of the table for SUITE and TRIO, under floor 1.3.
TABLE = [
    "connected below * refused * asked for * test",
    "client TLS 1.0 * - * any version *::test_legacy",
    "client TLS 1.0 * - * any version *::test_legacy_once_more",
    "client TLS 1.0 * TLS 1.0 * - *::test_fixed",
    "- * - * at most TLS 1.2 *::test_a_maximum",
    "client TLS 1.1 * - * any version *::test_unit",
    "client TLS 1.2 * - * - *::test_asyncio",
    "server TLS 1.2 * - * - *::test_a_server_of_the_suite",
]
RESULTS = {"passed": 9, "failed": 1}


@pytest.fixture
def suite(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, entry_point: Path
) -> Callable[..., pytest.RunResult]:
    """Return a function that runs pytest on files; the plugin is loaded by its entry point."""
    need("tlslite")
    for name in os.environ:
        if name.startswith(("TLS", "COV", "PYTEST_XDIST")):
            monkeypatch.delenv(name)
    path = [str(entry_point), IMPORT_PATH]
    pytester.makeconftest(CONFTEST)

    def run(
        source: str = "", *arguments: str, conftest: str = "", first: str = "", **env: str
    ) -> pytest.RunResult:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*filter(None, [first]), *path]))
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        if conftest:
            pytester.makeconftest(conftest)
        if source:
            pytester.makepyfile(test_suite=source)
        return pytester.runpytest_subprocess("-p", "no:hypothesispytest", *arguments)

    return run


def test_without_being_asked_it_loads_nothing_but_itself(suite: Callable[..., Any]) -> None:
    result = suite(
        """
        import sys
        def test_modules():
            loaded = {each for each in sys.modules if each.split(".")[0] == "tlsfloor"}
            assert loaded == {"tlsfloor", "tlsfloor.testing"}
            assert not hasattr(sys, "_tlsfloor")
        """,
        "-Werror",
    )
    result.assert_outcomes(passed=1)
    assert "tlsfloor:" not in result.stdout.str()


def test_a_suite_is_observed_and_not_changed(suite: Callable[..., Any]) -> None:
    control = suite(SUITE, "-q")
    assert control.parseoutcomes() == RESULTS
    assert "connected below" not in control.stdout.str()
    result = suite(SUITE, "--tls-floor=1.3")
    assert result.parseoutcomes() == RESULTS
    assert result.ret == control.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "tlsfloor: TLS 1.3 is observed, and no test is changed",
            "*= tlsfloor: TLS 1.3, observe =*",
            *TABLE,
            "8 of 10 tests completed a TLS handshake",
            "6 of 10 tests connected below TLS 1.3",
            "1 of 10 tests would be refused",
            "4 of 10 tests asked for less than TLS 1.3",
            "1 of 10 tests set a minimum of TLS 1.2, as many libraries do",
            "no test was changed; --tls-floor-mode=enforce shows which of them then fail",
        ]
    )
    assert "::test_modern" not in result.stdout.str().partition("tlsfloor: TLS 1.3, obs")[2]
    assert "not observed" not in result.stdout.str()


def test_enforce_fails_what_production_would_fail(suite: Callable[..., Any]) -> None:
    result = suite(SUITE, "--tls-floor-mode=enforce", "--tls-floor=1.3", "--tb=line")
    assert result.parseoutcomes() == {"passed": 3, "failed": 7}
    result.stdout.fnmatch_lines(
        [
            "tlsfloor: TLS 1.3 is held",
            "*floor of this process, set by pytest --tls-floor=1.3;*",
            "*= tlsfloor: TLS 1.3, enforce =*",
            "- * client any version * any version *::test_legacy",
            "- * TLS 1.0 * - *::test_fixed",
            "0 of 10 tests connected below TLS 1.3",
            "6 of 10 tests were refused",
        ]
    )


def test_the_floor_can_be_in_the_ini_file(
    suite: Callable[..., Any], pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\ntls_floor = 1.3\ntls_floor_mode = enforce\n")
    held = "import ssl\ndef test_held(): assert ssl.create_default_context().minimum_version == "
    suite(held + "ssl.TLSVersion.TLSv1_3").assert_outcomes(passed=1)
    # The command line wins.
    suite(held + "ssl.TLSVersion.TLSv1_2", "--tls-floor=1.2").assert_outcomes(passed=1)


def test_trio(suite: Callable[..., Any]) -> None:
    need("trio")
    result = suite(TRIO, "--tls-floor=1.3")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["client TLS 1.2 * - * - *::test_trio"])


CRASH = """
import os

def test_legacy_first(legacy_server, fetch):
    assert fetch(legacy_server("1.0")) == "TLSv1"

def test_crash():
    os._exit(3)

def test_legacy_last(legacy_server, fetch):
    assert fetch(legacy_server("1.1")) == "TLSv1.1"
"""


def test_xdist_also_with_a_worker_that_crashes(suite: Callable[..., Any]) -> None:
    need("xdist")
    result = suite(CRASH, "-n1", "--tls-floor=1.3")
    assert result.parseoutcomes()["passed"] == 2
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        [
            "not observed: the last test of a worker that crashed (1 crashed)",
            "client TLS 1.0 * any version *::test_legacy_first",
            "client TLS 1.1 * any version *::test_legacy_last",
            "2 of * tests connected below TLS 1.3",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--tls-floor=9"], "*--tls-floor=9: '9' is not a TLS version; hint: write 1.2 or 1.3"),
        (
            ["-o", "tls_floor=9"],
            "*tls_floor=9 in -o: '9' is not a TLS version; hint: write 1.2 or*",
        ),
        (["--tls-floor="], "*--tls-floor=: it is empty; hint: write 1.2 or 1.3"),
        (["--tls-floor=1.2", "--tls-floor-mode=x"], "*--tls-floor-mode=x*write one of enforce,*"),
        (["--tls-floor-mode=enforce"], "*no floor with --tls-floor-mode=enforce; hint: --tls-f*"),
    ],
)
def test_an_option_that_cannot_be_understood_runs_no_test(
    suite: Callable[..., Any], arguments: list[str], line: str
) -> None:
    result = suite("def test_nothing(): pass", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    assert "Traceback" not in result.stderr.str()
    assert "test_suite.py" not in result.stdout.str()


def test_it_works_without_other_plugins(suite: Callable[..., Any]) -> None:
    without = ("logging", "junitxml", "xdist", "warnings", "threadexception", "assertion")
    blocked = [word for name in without for word in ("-p", f"no:{name}")]
    result = suite(CRASH.replace("os._exit(3)", "pass"), "--tls-floor=1.3", *blocked)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["2 of 3 tests connected below TLS 1.3"])
    result = suite("", "--tls-floor=1.3", "-p", "no:terminal")
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("conftest", ["", "pytest_plugins = ['tlsfloor.testing']"])
def test_it_may_be_named_although_pytest_finds_it(suite: Callable[..., Any], conftest: str) -> None:
    arguments = [] if conftest else ["-p", "tlsfloor.testing"]
    result = suite("def test_it(): pass", "--tls-floor=1.3", *arguments, conftest=conftest)
    result.assert_outcomes(passed=1)
    assert result.stdout.str().count("= tlsfloor: TLS 1.3, observe =") == 1


RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):  # as pytest-rerunfailures does
    for _ in range(2):
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


def test_a_test_that_runs_again_is_one_test(suite: Callable[..., Any]) -> None:
    program = "import ssl\ndef test_it(): ssl.create_default_context().maximum_version = 0x303"
    result = suite(program, "--tls-floor=1.3", conftest=RERUN)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["1 of 1 tests asked for less than TLS 1.3"])


def test_a_run_without_tests_has_no_table(suite: Callable[..., Any]) -> None:
    result = suite("def test_it(): pass", "--tls-floor=1.3", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["*::test_it", "", "*= tlsfloor: TLS 1.3, obs*", "no test was run"])
    assert " tests " not in result.stdout.str()


TWICE = """
import logging
import ssl
import sys

import pytest
import tlsfloor
from tlsfloor import events

for floor in ("1.3", "1.2"):
    assert pytest.main([f"--tls-floor={floor}", "test_suite.py"]) == 0
    assert tlsfloor.status().armings == events.callbacks == []
    assert not logging.getLogger("tlsfloor").disabled
"""


def test_a_program_that_runs_pytest_is_not_observed_afterwards(
    suite: Callable[..., Any], pytester: pytest.Pytester
) -> None:
    suite("def test_it(): pass")
    result = pytester.runpython_c(TWICE)
    assert result.ret == 0, result.stderr.str()
    result.stdout.fnmatch_lines(["tlsfloor: TLS 1.3 is observed, and no test is changed"])
    result.stdout.fnmatch_lines(["tlsfloor: TLS 1.2 is observed, and no test is changed"])


def test_it_can_be_blocked(suite: Callable[..., Any]) -> None:
    result = suite("def test_nothing(): pass", "-p", "no:tlsfloor")
    result.assert_outcomes(passed=1)


REPLACED = {
    "the class": ("import ssl\nclass Other: pass\nssl.SSLContext = Other", "its SSLContext is *"),
    "the module": (
        # asyncio needs it, and is imported by pytest on 3.15.
        "import asyncio, sys, types\nsys.modules['ssl'] = types.ModuleType('ssl')",
        "<module 'ssl'> has no SSLContext",
    ),
}


def test_a_suite_that_replaces_ssl_by_a_mock_keeps_its_results(suite: Callable[..., Any]) -> None:
    code = """
    import sys
    from unittest import mock
    sys.modules.update(ssl=mock.MagicMock(), _ssl=mock.MagicMock())
    """
    result = suite("def test_it(): pass", "--tls-floor=1.3", conftest=code)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["nothing was observed: *"])
    assert "INTERNALERROR" not in result.stdout.str()


@pytest.mark.parametrize("what", REPLACED)
def test_a_suite_that_replaces_ssl_is_named(suite: Callable[..., Any], what: str) -> None:
    code, line = REPLACED[what]
    result = suite("def test_it(): pass", "--tls-floor=1.3", conftest=code)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"not observed: ssl: *{line}"])


def test_a_floor_of_the_environment_stays(suite: Callable[..., Any]) -> None:
    """pytest must not warn either that the floor has loaded tlsfloor before pytest has."""
    program = """
    import ssl
    import urllib.error
    import pytest

    def test_refused(legacy_server, fetch):
        with pytest.raises(urllib.error.URLError, match="set by TLSFLOOR=1.2"):
            fetch(legacy_server("1.1"))

    def test_observed(legacy_server, fetch):
        assert fetch(legacy_server("1.2")) == "TLSv1.2"
    """
    strict = "-Werror::pytest.PytestAssertRewriteWarning"
    result = suite(program, "--tls-floor=1.3", strict, first=BOOTSTRAP, TLSFLOOR="1.2")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "tlsfloor: TLS 1.3 is observed, *; TLS 1.2 is held, set by TLSFLOOR=1.2, read by *",
            "- * client any version * any version *::test_refused",
            "client TLS 1.2 * - * any version *::test_observed",
            "1 of 2 tests were refused",
        ]
    )
    assert "rewritten" not in result.stdout.str()


def test_a_higher_floor_of_the_environment_is_named(suite: Callable[..., Any]) -> None:
    held = "import ssl\ndef test_it(): assert ssl.create_default_context().minimum_version == 0x304"
    options = ["--tls-floor=1.2", "--tls-floor-mode=enforce"]
    result = suite(held, *options, TLSFLOOR="1.3")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["tlsfloor: TLS 1.3 is held, raised by the environment", "*= tlsfloor: TLS 1.3, enforce =*"]
    )


#: What makes this Python one whose OpenSSL does not keep a minimum of TLS 1.3.
OLD_OPENSSL = """
import _ssl

bound = _ssl._SSLContext.minimum_version

def put(context, value):
    if value == 0x304:
        raise ValueError("Unsupported protocol version 0x304")
    bound.__set__(context, value)

old = property(bound.__get__, put)
_ssl._SSLContext = type("Old", (_ssl._SSLContext,), {"__slots__": (), "minimum_version": old})
"""


def test_where_no_floor_can_be_held_the_run_says_so(suite: Callable[..., Any]) -> None:
    program = "def test_it(): pass"
    result = suite(program, "--tls-floor=1.3", conftest=OLD_OPENSSL)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["nothing was observed: * cannot be held to TLS 1.3: *; hint: *"])
    result = suite(program, "--tls-floor=1.3", "--tls-floor-mode=enforce")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no test was run: * cannot be held to TLS 1.3: *; hint: *"])


FIXTURES = """
import ssl

import pytest
import tlsfloor
from tlsfloor import floor

def test_it_is_undone(tls_floor, legacy_server, modern_server, fetch):
    server = legacy_server("1.0")
    for _ in range(3):
        with tls_floor("1.2") as seen:
            assert tlsfloor.status().observed == "1.2"
            assert fetch(server) == "TLSv1"
        assert [each["version"] for each in seen.below] == ["TLS 1.0"]
        assert [each["asked"] for each in seen.asked] == ["any version"]
    with tls_floor("1.2") as seen:
        assert fetch(modern_server, "TLSv1_2") == "TLSv1.3"
    assert (seen.below, seen.refused, seen.asked) == ([], [], [])
    with tls_floor("1.3"), tls_floor("1.2"):
        assert tlsfloor.status().observed == "1.3"
    assert fetch(server) == "TLSv1"
    assert not tlsfloor.status()
    assert tlsfloor.status().armings == []
    assert floor.threshold == floor.observed == floor.held == floor.NO_FLOOR

def test_it_is_held_in_another_process(tls_floor, legacy_server, fetch, tmp_path):
    server = legacy_server("1.1")
    program = tmp_path / "program.py"
    program.write_text(
        "import ssl, sys, urllib.request as r\\n"
        "context = ssl.create_default_context(cafile=sys.argv[2])\\n"
        "context.set_ciphers('DEFAULT:@SECLEVEL=0')\\n"
        "context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED\\n"
        "print(r.urlopen(sys.argv[1], context=context).read())\\n"
    )
    allowed = tls_floor.run("1.0", program, server.url, server.ca_file)
    assert "TLSv1.1" in allowed.stdout, allowed.stderr
    refused = tls_floor.run("1.2", program, server.url, server.ca_file)
    assert refused.returncode == 1
    assert "the floor of this process, set by TLSFLOOR=1.2" in refused.stderr
    assert [each.version for each in server.handshakes()] == ["1.1", None]
    assert not tlsfloor.status()

@pytest.mark.parametrize("key_exchange", ["rsa", "ecdhe"])
def test_peers(legacy_server, legacy_client, key_exchange):
    server = legacy_server("1.0", key_exchange)
    assert legacy_client(server.port, "1.0", key_exchange).version == "1.0"
    failed = legacy_client(server.port, "1.2", key_exchange)
    assert failed.version is None
    assert failed.error
    assert [each.version for each in server.handshakes()] == ["1.0", None]

def test_bad_arguments(tls_floor, legacy_server, legacy_client):
    for call in (
        lambda: legacy_server("1.4"),
        lambda: legacy_server("1.0", "dh"),
        lambda: legacy_client(1, "9"),
        lambda: tls_floor("x").__enter__(),
        lambda: tls_floor.run("x"),
    ):
        with pytest.raises(tlsfloor.PolicyError, match="hint: "):
            call()
"""


def test_the_fixtures(suite: Callable[..., Any]) -> None:
    suite(FIXTURES).assert_outcomes(passed=5)


def test_without_tlslite_the_fixtures_name_the_extra(suite: Callable[..., Any]) -> None:
    block = """
    import sys

    class Without:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "tlslite":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Without())
    """
    result = suite("def test_it(legacy_server): pass", conftest=block)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["tlsfloor: error: *; hint: pip install 'tlsfloor[[]verify]'"])
