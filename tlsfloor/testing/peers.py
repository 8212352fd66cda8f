"""The fixtures ``legacy_server``, ``modern_server`` and ``legacy_client``: real peers on loopback.

They are tlslite-ng's, so they speak versions that the local OpenSSL may not support.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tlsfloor import floor as current
from tlsfloor import policy, versions
from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.testing.recorder import own_stacks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Literal, Protocol

    from tlsfloor._types import Floor

    KeyExchange = Literal["rsa", "ecdhe"]

    class LegacyServers(Protocol):
        """The type of ``legacy_server``."""

        def __call__(  # noqa: D102
            self,
            version: Floor,
            key_exchange: KeyExchange = "rsa",
            *,
            client_certificate: bool = False,
            port: int = 0,
        ) -> Server: ...

    class LegacyClient(Protocol):
        """The type of ``legacy_client``."""

        def __call__(  # noqa: D102
            self,
            port: int,
            version: Floor,
            key_exchange: KeyExchange = "rsa",
            *,
            host: str = "127.0.0.1",
        ) -> Handshake: ...


#: Seconds to wait for connections that are still open, before saying what became of all of them.
_PATIENCE = 1.0


class Handshake(NamedTuple):
    """The result of a handshake.

    ``version`` is the version that was negotiated, as in ``"1.0"``, or None if it failed; then
    ``error`` says why.
    """

    version: str | None
    suite: str
    error: str


class Server:
    """A server that speaks one TLS version, over HTTP or as a small Redis.

    ``host``, ``port`` and ``url`` are where it listens, and ``ca_file`` is the authority that has
    signed its certificate for localhost, 127.0.0.1 and ::1.
    """

    host = "localhost"

    def __init__(self, peer: Any, ca_file: str) -> None:
        self._peer = peer
        self.port: int = peer.port
        self.url = f"https://{self.host}:{self.port}/"
        self.ca_file = ca_file

    def handshakes(self) -> list[Handshake]:
        """Return the result of each connection until now; waits a second for open ones."""
        self._peer.wait(_PATIENCE)
        return [_result(seen) for seen in self._peer.seen]


def _result(seen: Any) -> Handshake:
    version = None if seen.version is None else versions.floor_name(seen.version)
    return Handshake(version, seen.suite, seen.error)


def _handshakes() -> Any:
    """Return the module of the peers; the test is an error if a package is missing."""
    before = set(current.stacks)
    try:
        from tlsfloor.peers import handshakes
    except VerifyError as error:
        pytest.fail(f"tlsfloor: error: {error}", pytrace=False)
    own_stacks.update(current.stacks.keys() - before)
    return handshakes


def _asked(version: Floor, key_exchange: str, source: str, known: Any) -> int:
    wire = policy.floor_of(version, source)
    if key_exchange not in known:
        raise PolicyError(
            f"{source}: {key_exchange!r} is no key exchange",
            hint=f"write one of {', '.join(known)}",
            value=key_exchange,
            source=source,
        )
    return wire


@contextmanager
def legacy_servers() -> Iterator[LegacyServers]:
    """Yield a function that starts a server; all of them end with the context."""
    handshakes = _handshakes()
    with ExitStack() as stack:

        def legacy_server(
            version: Floor,
            key_exchange: KeyExchange = "rsa",
            *,
            client_certificate: bool = False,
            port: int = 0,
        ) -> Server:
            """Start a server; ``client_certificate=True`` demands one, ``port`` is free if 0."""
            options = {"client_certificate": client_certificate, "port": port}
            wire = _asked(version, key_exchange, "legacy_server()", handshakes.KEY_EXCHANGES)
            peer = stack.enter_context(handshakes.ServerPeer(wire, key_exchange, **options))
            return Server(peer, handshakes.CA_FILE)

        yield legacy_server


def legacy_client() -> LegacyClient:
    """Return a function that connects to a server as a client of one version."""
    handshakes = _handshakes()

    def legacy_client(
        port: int, version: Floor, key_exchange: KeyExchange = "rsa", *, host: str = "127.0.0.1"
    ) -> Handshake:
        """Connect, shake hands and leave; raises ``OSError`` if nobody listens."""
        wire = _asked(version, key_exchange, "legacy_client()", handshakes.KEY_EXCHANGES)
        return _result(handshakes.call(host, port, wire, key_exchange, request=b""))

    return legacy_client
