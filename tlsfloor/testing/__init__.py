"""The plugin of pytest: runs a suite under a floor, and brings legacy servers and clients to it.

pytest loads this module in each of its runs (entry point ``pytest11``), so it only declares options
and fixtures. Everything else is imported when one of them is used.
"""

from __future__ import annotations

import sys

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlsfloor.testing.floors import TLSFloor
    from tlsfloor.testing.peers import LegacyClient, LegacyServers, Server


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, and the same as settings of the ini file."""
    group = parser.getgroup("tlsfloor", "a floor for TLS versions")
    add = group.addoption
    about = "run the tests under this TLS floor (1.2, 1.3), and list those that it concerns"
    add("--tls-floor", metavar="VERSION", help=about)
    note = "observe: change no test (default); enforce: hold the floor, as in production"
    add("--tls-floor-mode", metavar="MODE", help=note)
    parser.addini("tls_floor", about, default="")
    parser.addini("tls_floor_mode", note, default="")


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Be registered once, also for ``-p tlsfloor.testing``, or ``pytest_plugins`` in a conftest."""
    if plugin is sys.modules[__name__]:
        for name in {"tlsfloor", __name__} - {manager.get_name(plugin)}:
            manager.set_blocked(name)


def pytest_configure(config: pytest.Config) -> None:
    """Arm this process, if a floor was asked for."""
    options = [config.getoption(name) for name in ("tls_floor", "tls_floor_mode")]
    if options != [None, None] or config.getini("tls_floor") or config.getini("tls_floor_mode"):
        from tlsfloor.testing import suite

        suite.start(config)


@pytest.fixture
def tls_floor(request: pytest.FixtureRequest) -> TLSFloor:
    """A floor for one test: observed in this process, or held in another one.

    ``with tls_floor("1.3") as seen:`` observes the block, and changes nothing in the process.
    ``tls_floor.run("1.3", "program.py")`` runs a program with this Python, and holds it there.

    .. versionadded:: 0.2
    """
    from tlsfloor.testing.floors import TLSFloor

    return TLSFloor(request.node.nodeid)


@pytest.fixture
def legacy_server() -> Iterator[LegacyServers]:
    """Start TLS servers of one version: ``legacy_server("1.0", "rsa")`` returns a ``Server``.

    The key exchange is ``"rsa"`` or ``"ecdhe"``. The servers end with the test.

    .. versionadded:: 0.2
    """
    from tlsfloor.testing import peers

    with peers.legacy_servers() as start:
        yield start


@pytest.fixture
def modern_server() -> Iterator[Server]:
    """A TLS server that speaks TLS 1.3 only, and ends with the test.

    .. versionadded:: 0.2
    """
    from tlsfloor.testing import peers

    with peers.legacy_servers() as start:
        yield start("1.3", "ecdhe")


@pytest.fixture
def legacy_client() -> LegacyClient:
    """Connect to a port as a client of one version: ``legacy_client(port, "1.0", "rsa")``.

    .. versionadded:: 0.2
    """
    from tlsfloor.testing import peers

    return peers.legacy_client()
