"""Run a server that speaks one TLS version, and show what each client offers.

It speaks that version even if the local OpenSSL does not support it.

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

import argparse
import contextlib
import queue
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.cli import complain
from tlsfloor.errors import PolicyError, VerifyError, printable

if TYPE_CHECKING:
    from typing import NoReturn

    from tlsfloor.peers.base import SeenConnection
    from tlsfloor.wire import ClientHello

#: Seconds to wait for a client: long enough for a request that is typed by hand.
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
    add = parser.add_argument
    add("--version", required=True, help="the one to speak: 1.0, 1.1, 1.2, 1.3 or SSLv3")
    kinds = ("rsa", "ecdhe")
    add("--kx", choices=kinds, help="kind of key exchange (default: rsa; TLS 1.3 has ecdhe only)")
    add("--port", type=int, default=0, help="port to listen on (default: a free port)")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--client-certificate", action="store_true", help="demand one, from any authority")
    add("--cert", metavar="FILE", help="RSA key and certificate to use (default: built-in ones)")
    note = "print the path of the certificate authority of the built-in certificate, and exit"
    add("--print-ca", action=_PrintCA, nargs=0, help=note)


class _PrintCA(argparse.Action):
    """``--print-ca``: an action of its own, because it does not need ``--version``."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from tlsfloor.peers.base import CA_FILE

        _print(CA_FILE)
        parser.exit()


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, with one line for each connection; return 0."""
    version = _parse_version(arguments.version)
    if version == versions.TLS1_3 and arguments.kx == "rsa":
        raise PolicyError("TLS 1.3 has no static RSA", hint="--version 1.3 --kx ecdhe")
    key_exchange = arguments.kx or ("ecdhe" if version == versions.TLS1_3 else "rsa")
    # Help must work where the extra `verify` is not installed.
    from tlsfloor.peers import handshakes
    from tlsfloor.peers.base import reason_of

    file = arguments.cert or handshakes.PEER_FILE
    try:
        handshakes.identity(file)
    except Exception as error:  # noqa: BLE001 - tlslite-ng raises errors of any class
        hint = "use a PEM file with a certificate and its RSA key, which has no password"
        raise VerifyError(f"{file} cannot be used: {reason_of(error)}", hint=hint) from None
    events: queue.Queue[SeenConnection | OSError | RuntimeError] = queue.Queue()

    class Server(handshakes.ServerPeer):
        timeout = PATIENCE

        def on_handshake(self, seen: SeenConnection) -> None:
            events.put(seen)
            self.seen.remove(seen)  # the list would grow as long as the server runs

        def on_shortage(self, error: OSError | RuntimeError) -> None:
            events.put(error)

    try:
        server = Server(
            version,
            key_exchange,
            client_certificate=arguments.client_certificate,
            identity=file,
            host=arguments.host,
            port=arguments.port,
        )
    except (OSError, OverflowError) as error:
        problem = f"cannot listen at {arguments.host} port {arguments.port}: {reason_of(error)}"
        hint = "use --port 0, which finds a free port, or --host 127.0.0.1"
        raise VerifyError(problem, hint=hint) from None
    # A shell starts a script's background jobs with SIGINT ignored: `kill -INT` would not end it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with server:
            exchange = "" if version == versions.TLS1_3 else f" with {key_exchange} key exchange"
            _print(f"speaking {versions.name(version)}{exchange}")
            _print_commands(arguments, version, server.port)
            while True:
                # With a time-out, because Ctrl-C does not interrupt get() on Windows.
                with contextlib.suppress(queue.Empty):
                    event = events.get(timeout=1)
                    if isinstance(event, Exception):
                        problem = f"no connection can be accepted until another one ends: {event}"
                        complain(problem, "run `ulimit -n 4096` before this command")
                    else:
                        _print(describe_connection(event))
    except KeyboardInterrupt:
        return 0


def _parse_version(text: str) -> int:
    if text.strip().lower() == "sslv3":
        return versions.SSL3
    try:
        return versions.parse(text)
    except ValueError as error:
        hint = "write 1.0, 1.1, 1.2, 1.3 or SSLv3"
        raise PolicyError(f"--version: {error}", hint=hint) from None


def _print_commands(arguments: argparse.Namespace, version: int, port: int) -> None:
    """Print the address, and commands that connect to it: OpenSSL 3 needs options for that."""
    from tlsfloor.endpoints.attempts import Endpoint
    from tlsfloor.peers.base import CA_FILE, PEER_FILE

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(arguments.host, arguments.host)  # noqa: S104
    address = Endpoint(host, port)
    s_client, curl = f"openssl s_client -brief -connect {address} {_S_CLIENT[version]}", "curl"
    _print(f"listening on {address}, until Ctrl-C")
    if arguments.cert is None:
        _print(f"CA file: {CA_FILE}")
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
    _print(f"try: {s_client}")
    if version != versions.SSL3:  # curl has removed it
        _print(f"try: {curl} https://{address}/")


def describe_connection(seen: SeenConnection) -> str:
    """Return the line for a connection: the client, what it offered, and the result."""
    from tlsfloor.endpoints.attempts import Endpoint

    if seen.offered is None:
        offered = "no TLS hello"
    else:
        try:
            offered = f"offered {describe_offer(seen.offered)}"
        except ValueError as error:  # WireError: an extension is malformed
            offered = f"sent a malformed hello ({error})"
    if seen.version is None:
        has_left = seen.error == "TLSAbruptCloseError"
        result = "the client closed the connection" if has_left else f"failed: {seen.error}"
    else:
        result = f"negotiated {versions.name(seen.version)} {seen.suite}"
    return printable(f"{Endpoint(*seen.address[:2])}: {offered}; {result}")


def describe_offer(hello: ClientHello) -> str:
    """Return what a ClientHello offers, in a few words; raises ``WireError`` if it is malformed.

    Without supported_versions a client names the highest version only (RFC 8446 section 4.2.1).
    """
    from tlsfloor.wire.client_hello import TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV
    from tlsfloor.wire.extensions import is_grease

    names = [versions.name(version) for version in hello.versions() if not is_grease(version)]
    offered = ", ".join(names) if hello.supported_versions() is not None else f"up to {names[0]}"
    signals = (TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV)
    kinds = Counter(
        _kind(suite)
        for suite in hello.cipher_suites
        if not is_grease(suite) and suite not in signals
    )
    suites = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    host = hello.server_name()
    server_name = "no server name" if host is None else f"server name {host}"
    return f"{offered}, {server_name}, cipher suites: {suites or 'none'}"


def _kind(suite: int) -> str:
    """Return a suite's kind of key exchange: RFC 8446 appendix B.4, RFC 5246 appendix A.5."""
    from tlsfloor.peers.handshakes import suite_name

    if suite >> 8 == 0x13:
        return "TLS 1.3"
    name = suite_name(suite)
    return name.split("_")[1].lower() if name.startswith("TLS_") else "other"


def _print(line: str) -> None:
    print(line)
    sys.stdout.flush()
