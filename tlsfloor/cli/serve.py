"""Run a server that speaks one TLS version, and show what each client offers.

It speaks that version whatever the local OpenSSL supports.

Examples:
  $ tlsfloor serve --version 1.0
      on a free port of this machine
  $ tlsfloor serve --version 1.2 --kx ecdhe --port 8443
      with ECDHE key exchange

Exit statuses:
  0     it was ended by Ctrl-C
  2     the call was wrong, or a package is missing
"""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.cli import complain
from tlsfloor.errors import PolicyError, VerifyError

if TYPE_CHECKING:
    import argparse

    from tlsfloor.peers.base import SeenConnection
    from tlsfloor.wire import ClientHello

#: Seconds for who types a request by hand.
PATIENCE = 60.0

_S_CLIENT = {
    versions.SSL3: "-ssl3",
    versions.TLS1_0: "-tls1",
    versions.TLS1_1: "-tls1_1",
    versions.TLS1_2: "-tls1_2",
    versions.TLS1_3: "-tls1_3",
}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--version", required=True, help="the one to speak: 1.0, 1.1, 1.2, 1.3 or SSLv3"
    )
    parser.add_argument(
        "--kx", choices=("rsa", "ecdhe"), help="kind of key exchange (default: rsa, up to 1.2)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="where to listen (default: a free port)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--client-certificate", action="store_true", help="demand one, whoever signed it"
    )
    parser.add_argument(
        "--cert", metavar="FILE", help="RSA key and certificate to show, instead of our own"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, a line for each connection; return 0."""
    version = _version(arguments.version)
    if version == versions.TLS1_3 and arguments.kx == "rsa":
        raise PolicyError("TLS 1.3 has no static RSA", hint="--version 1.3 --kx ecdhe")
    key_exchange = arguments.kx or ("ecdhe" if version == versions.TLS1_3 else "rsa")
    # Not before: `tlsfloor path` must work where the extra is not installed.
    from tlsfloor.peers import handshakes

    if arguments.cert is not None:
        _try_identity(arguments.cert)
    told: queue.Queue[SeenConnection | OSError | RuntimeError] = queue.Queue()

    class Server(handshakes.ServerPeer):
        timeout = PATIENCE

        def on_handshake(self, seen: SeenConnection) -> None:
            told.put(seen)
            self.seen.remove(seen)  # it may run for months

        def on_shortage(self, error: OSError | RuntimeError) -> None:
            told.put(error)

    try:
        server = Server(
            version,
            key_exchange,
            client_certificate=arguments.client_certificate,
            identity=arguments.cert or handshakes.PEER_FILE,
            host=arguments.host,
            port=arguments.port,
        )
    except (OSError, OverflowError) as error:
        where = f"{arguments.host} port {arguments.port}"
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        hint = "--port 0 takes a free one, --host 127.0.0.1 is always there"
        raise VerifyError(f"cannot listen at {where}: {reason}", hint=hint) from None
    # A script starts what it runs in the background with SIGINT ignored, and waits for ever for a
    # server that it ends by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with server:
            exchange = "" if version == versions.TLS1_3 else f" with {key_exchange} key exchange"
            _say(f"speaking {versions.name(version)}{exchange}")
            _introduce(arguments, version, server.port)
            while True:
                # Not to wait for ever, which Ctrl-C does not end on Windows.
                with contextlib.suppress(queue.Empty):
                    event = told.get(timeout=1)
                    if isinstance(event, Exception):
                        problem = f"no connection can be taken until one of them ends: {event}"
                        complain(problem, "ulimit -n 4096, before this command")
                    else:
                        _say(describe(event))
    except KeyboardInterrupt:
        return 0


def _version(text: str) -> int:
    if text.strip().lower() == "sslv3":
        return versions.SSL3
    try:
        return versions.parse(text)
    except ValueError as error:
        hint = f"write one of {', '.join(versions.FLOORS)}, SSLv3"
        raise PolicyError(f"unknown version in --version: {error}", hint=hint) from None


def _try_identity(file: str) -> None:
    from tlsfloor.peers import handshakes

    try:
        handshakes.identity(file)
    except Exception as error:  # noqa: BLE001 - tlslite-ng raises whatever comes to it
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
        hint = "a PEM file with an RSA key that has no password, and its certificate"
        raise VerifyError(f"{file} cannot be used: {reason}", hint=hint) from None


def _introduce(arguments: argparse.Namespace, version: int, port: int) -> None:
    """Say where to connect to, and by which commands: they allow what OpenSSL 3 alone does not."""
    from tlsfloor.peers.handshakes import CA_FILE, PEER_FILE

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(arguments.host, arguments.host)  # noqa: S104
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    s_client, curl = f"openssl s_client -brief -connect {where} {_S_CLIENT[version]}", "curl"
    _say(f"listening on {where}, until Ctrl-C")
    if arguments.cert is None:
        _say(f"CA file: {CA_FILE}")
        s_client += f" -CAfile {CA_FILE}"
        curl += f" --cacert {CA_FILE}"
    else:
        curl += " --insecure"
    if arguments.client_certificate:
        s_client += f" -cert {PEER_FILE}"
        curl += f" --cert {PEER_FILE}"
    if version < versions.TLS1_2:
        s_client += " -cipher DEFAULT:@SECLEVEL=0"
        curl += f" --tlsv{versions.floor_name(version)} --ciphers DEFAULT:@SECLEVEL=0"
    _say(f"try: {s_client}")
    if version != versions.SSL3:  # curl has given it up
        _say(f"try: {curl} https://{where}/")


def describe(seen: SeenConnection) -> str:
    """Return the line for a connection: who, what was offered, what came of it."""
    host, port = seen.address[:2]
    who = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if seen.offered is None:
        offered = "no TLS hello"
    else:
        try:
            offered = f"offered {offer(seen.offered)}"
        except ValueError as error:  # WireError: an extension that cannot be read
            offered = f"offered what cannot be read ({error})"
    if seen.version is None:
        came_of_it = f"failed: {seen.error}"
    else:
        came_of_it = f"negotiated {versions.name(seen.version)} {seen.suite}"
    line = f"{who}: {offered}; {came_of_it}"
    # What a client says may be meant for the terminal.
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in line)


def offer(hello: ClientHello) -> str:
    """Return what a ClientHello offers, in a few words; ``WireError`` if it cannot be read.

    Without supported_versions a client names the highest version only (RFC 8446 section 4.2.1).
    """
    from tlsfloor.peers.handshakes import suite_name
    from tlsfloor.wire.client_hello import TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV
    from tlsfloor.wire.extensions import is_grease

    known = [versions.name(each) for each in hello.versions() if not is_grease(each)]
    what = ", ".join(known) if hello.supported_versions() is not None else f"up to {known[0]}"
    signals = (TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV)
    suites = [each for each in hello.cipher_suites if not is_grease(each) and each not in signals]
    kinds: dict[str, int] = {}
    for each in suites:
        kind = _kind(each, suite_name(each))
        kinds[kind] = kinds.get(kind, 0) + 1
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    name = hello.server_name()
    named = "no server name" if name is None else f"server name {name}"
    return f"{what}, {named}, suites: {counted or 'none'}"


def _kind(number: int, name: str) -> str:
    """Return the kind of key exchange of a suite: RFC 8446 appendix B.4, RFC 5246 appendix A.5."""
    if number >> 8 == 0x13:
        return "TLS 1.3"
    return name.split("_")[1].lower() if name.startswith("TLS_") else "other"


def _say(line: str) -> None:
    print(line)
    sys.stdout.flush()
