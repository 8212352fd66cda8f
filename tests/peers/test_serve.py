"""``tlsfloor serve`` with clients of any kind, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Iterator

import parts
import pytest
from programs import TIME_LIMIT, clean_environment, python
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS, SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3

parts.need("tlslite")

from tlsfloor.cli import serve
from tlsfloor.peers.crafted_hellos import client_hello
from tlsfloor.wire import ClientHello, Sslv2Hello

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {**FLOORS, "SSLv3": SSL3}


class Served:
    """A running ``tlsfloor serve``: the lines that it has printed, and the next one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.banner: list[str] = []
        while not (self.banner and self.banner[-1].startswith("try: curl")):
            line = self.next()
            assert line, f"it ended: {process.wait()}"
            self.banner.append(line)
            if "-ssl3" in line:
                break
        found = re.search(
            r"^listening on (.*):(\d+), until Ctrl-C$", "\n".join(self.banner), re.MULTILINE
        )
        assert found
        self.host, self.port = found.group(1), int(found.group(2))

    def next(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def command(self, program: str) -> list[str]:
        """Return the ready-made command for a program."""
        [line] = [line for line in self.banner if line.startswith(f"try: {program} ")]
        return line.split()[1:]


@contextlib.contextmanager
def served(*options: str, before: str = "", complaint: str = "") -> Iterator[Served]:
    """Run it, and check that Ctrl-C ends it with status 0.

    A shell can do something ``before``; ``complaint`` is what all of stderr must match.
    """
    command = [sys.executable, "-m", "tlsfloor", "serve", *options]
    if before:
        command = ["sh", "-c", f'{before}; exec "$@"', "sh", *command]
    env = clean_environment()
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Served(process)
        except BaseException:
            process.kill()
            raise
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=TIME_LIMIT)
        assert (process.returncode, rest) == (0, "")
        assert re.fullmatch(complaint, errors), errors


def permissive(version: int) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=handshakes.CA_FILE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion(version)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


@pytest.mark.parametrize(
    ("name", "key_exchange"),
    [
        (name, kind)
        for name in FLOORS
        for kind in handshakes.KEY_EXCHANGES
        if (name, kind) != ("1.3", "rsa")
    ],
)
def test_a_client_of_python(name: str, key_exchange: str) -> None:
    version = FLOORS[name]
    with served("--version", name, "--kx", key_exchange) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            with permissive(version).wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                page = b"".join(iter(lambda: tls.recv(2**14), b""))
                spoken, (suite, _, _) = tls.version(), tls.cipher() or ("", "", 0)
        line = server.next()
    assert page.endswith(f"\r\n\r\nProtocol : {spoken}\n".encode())
    assert re.match(r"127\.0\.0\.1:\d+: offered TLS 1\.3, ", line)
    assert "server name localhost" in line
    assert re.search(r"suites: \d+ TLS 1\.3" + ("" if name == "1.3" else r", \d+ ecdhe"), line)
    assert f"; negotiated TLS {name} TLS_" in line
    assert ("ECDHE" in suite or suite.startswith("TLS_")) == (key_exchange == "ecdhe")


@pytest.mark.parametrize("version", [SSL3, *FLOORS.values()])
def test_a_client_of_tlslite(version: int) -> None:
    [name] = [name for name, number in NAMES.items() if number == version]
    with served("--version", name) as server:
        key_exchange = "ecdhe" if version == TLS1_3 else "rsa"
        done = handshakes.call(
            "127.0.0.1", server.port, version, key_exchange, server_name="a.example"
        )
        lines = [server.next()]
        refused = handshakes.call("127.0.0.1", server.port, TLS1_2 if version != TLS1_2 else TLS1_1)
        lines.append(server.next())
    assert done.version == version, done.error
    assert lines[0].endswith(
        f"; negotiated {'SSLv3' if version == SSL3 else f'TLS {name}'} {done.suite}"
    )
    # tlslite-ng sends the name even in an SSLv3 hello.
    assert "server name a.example" in lines[0]
    assert refused.version is None
    assert "; failed: " in lines[1]
    assert (
        "protocol_version" in lines[1] or "handshake_failure" in lines[1] or "illegal" in lines[1]
    )


def name_of(version: int) -> str:
    return next(name for name, wire in handshakes.versions.OPENSSL_NAMES.items() if wire == version)


@pytest.mark.parametrize("name", FLOORS)
def test_the_printed_commands_connect(name: str) -> None:
    """They connect with any defaults of this machine's OpenSSL."""
    with served("--version", name) as server:
        parts.need_program(server.command("openssl")[0])
        done = subprocess.run(
            server.command("openssl"),
            input="",
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )
        lines = [server.next()]
        parts.need_program("curl")
        page = subprocess.run(
            server.command("curl"), capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
        lines.append(server.next())
    protocol = name_of(FLOORS[name])
    assert f"Protocol version: {protocol}\n" in done.stderr
    assert "Verification: OK" in done.stderr
    assert page.stdout == f"Protocol : {protocol}\n", page.stderr
    assert all(f"; negotiated TLS {name} " in line for line in lines), lines
    assert f"CA file: {handshakes.CA_FILE}" in server.banner


def test_a_client_without_a_certificate_is_refused_if_one_is_demanded() -> None:
    with served("--version", "1.2", "--client-certificate") as server:
        without = handshakes.call("127.0.0.1", server.port, TLS1_2)
        lines = [server.next()]
        with_one = handshakes.call("127.0.0.1", server.port, TLS1_2, client_certificate=True)
        lines.append(server.next())
        parts.need_program("curl")
        done = subprocess.run(
            server.command("curl"), capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
        lines.append(server.next())
    assert (without.version, with_one.version) == (None, TLS1_2)
    assert "the client sent no certificate" in lines[0]
    assert all("; negotiated TLS 1.2 " in line for line in lines[1:])
    assert done.stdout == "Protocol : TLSv1.2\n"


def test_a_certificate_from_a_file(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    authority = trustme.CA()
    mine = authority.issue_cert("mine.example", key_type=trustme.KeyType.RSA)
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "mine.pem"))
    context = permissive(TLS1_0)
    authority.configure_trust(context)
    with served(
        "--version", "1.1", "--kx", "ecdhe", "--cert", str(tmp_path / "mine.pem")
    ) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            with context.wrap_socket(plain, server_hostname="mine.example") as tls:
                assert tls.version() == "TLSv1.1"
        assert "server name mine.example" in server.next()
    assert "CA file" not in "\n".join(server.banner)
    assert "--insecure" in server.command("curl")


def test_an_ipv6_address() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    with served("--version", "1.0", "--host", "::1") as server:
        assert handshakes.call("::1", server.port, TLS1_0).version == TLS1_0
        assert re.match(r"\[::1\]:\d+: offered up to TLS 1.0, no server name, ", server.next())
    assert server.host == "[::1]"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "no TLS hello; the client closed the connection"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "no TLS hello; failed: "),
        (b"\x16\3\1\xff\xff", "no TLS hello; failed: "),
        (os.urandom(99), "no TLS hello; "),
        (
            client_hello(TLS1_2, "rsa", "a\x1b[2J.example")[:60],
            "; the client closed the connection",
        ),
        (client_hello(TLS1_2, "rsa", "a\x1b[2J.example"), r"server name a\x1b[2J.example"),
        (client_hello(TLS1_2, "rsa", "é"), "sent a malformed hello (client_hello.server_name"),
        (
            client_hello(TLS1_3, "ecdhe", "b.example"),
            "offered TLS 1.3, server name b.example, cipher suites: 5 TLS 1.3",
        ),
        (
            Sslv2Hello(TLS1_0, [0x002F, 0x010080], b"", b"c" * 16).to_records(),
            "offered up to TLS 1.0, no server name, cipher suites: 1 rsa; ",
        ),
    ],
    ids=[
        "nothing",
        "http",
        "endless",
        "random",
        "half",
        "escapes",
        "not ascii",
        "1.3 only",
        "sslv2",
    ],
)
def test_a_client_may_send_anything(data: bytes, expected: str) -> None:
    """One line is printed for it, no traceback, and the next client is served."""
    with served("--version", "1.0") as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(2**14):
                    pass
        line = server.next()
        assert handshakes.call("127.0.0.1", server.port, TLS1_0).version == TLS1_0
        assert "; negotiated TLS 1.0 " in server.next()
    assert expected in line
    assert line.isprintable()


def test_ctrl_c_ends_it_while_clients_are_connected() -> None:
    with contextlib.ExitStack() as stack:
        with served("--version", "1.2") as server:
            for _ in range(3):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            assert handshakes.call("127.0.0.1", server.port, TLS1_2).version == TLS1_2
            assert "negotiated" in server.next()
            # The silent clients may be reported before it ends, or not at all.
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(TIME_LIMIT) == 0
            assert server.process.stdout is not None
            server.process.stdout.read()


@pytest.mark.skipif(os.name != "posix", reason="it is what a POSIX shell does")
def test_sigint_ends_it_in_the_background_of_a_script() -> None:
    """A shell starts such a process with SIGINT ignored."""
    with served("--version", "1.2", before="trap '' INT") as server:
        assert handshakes.call("127.0.0.1", server.port, TLS1_2).version == TLS1_2
        assert "negotiated" in server.next()


@pytest.mark.skipif(os.name != "posix", reason="ulimit is a POSIX shell's")
def test_it_reports_that_files_have_run_out_and_goes_on_later() -> None:
    complaint = (  # again, if they run out again
        "(error: no connection can be accepted until another one ends: .*Too many open files\n"
        "hint: run `ulimit -n 4096` before this command\n)+"
    )
    with served("--version", "1.2", before="ulimit -n 24", complaint=complaint) as server:
        assert server.process.stderr is not None
        with contextlib.ExitStack() as idle:
            for _ in range(30):
                idle.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            # It is out of files by now; all that are open say nothing.
            late = idle.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            late.settimeout(0.2)
            late.sendall(client_hello(TLS1_2, "rsa"))
            with pytest.raises(socket.timeout):
                late.recv(1)
        done = handshakes.call("127.0.0.1", server.port, TLS1_2)
        assert done.version == TLS1_2, done.error
        while "; negotiated TLS 1.2 " not in server.next():
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="where others fail to start a thread differs")
def test_a_peer_goes_on_after_threads_have_run_out() -> None:
    with handshakes.ServerPeer(TLS1_2) as peer:
        before = threading.stack_size(2**46)  # so large that none can be started
        try:
            with pytest.raises(RuntimeError):  # the control
                threading.Thread(target=id, args=(0,)).start()
            with socket.create_connection(("127.0.0.1", peer.port), TIME_LIMIT) as dropped:
                assert dropped.recv(1) == b""
        finally:
            threading.stack_size(before)
        assert handshakes.call("127.0.0.1", peer.port, TLS1_2).version == TLS1_2
    assert [connection.error for connection in peer.seen] == [
        "RuntimeError: can't start new thread",
        "",
    ]


def test_a_closed_stdout_ends_it() -> None:
    command = [sys.executable, "-m", "tlsfloor", "serve", "--version", "1.2"]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        server = Served(process)
        assert process.stdout is not None
        process.stdout.close()
        handshakes.call("127.0.0.1", server.port, TLS1_2)
        assert process.wait(TIME_LIMIT) == 1
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_print_ca_prints_the_path_of_the_authority_without_starting_a_server() -> None:
    done = python("-m", "tlsfloor", "serve", "--print-ca")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{handshakes.CA_FILE}\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "the following arguments are required: --version"),
        (["--version", "1.9"], "--version: '1.9' is not a TLS version"),
        (["--version", "1.3", "--kx", "rsa"], "TLS 1.3 has no static RSA"),
        (["--version", "1.0", "--kx", "dhe"], "argument --kx: invalid choice: 'dhe'"),
        (["--version", "1.0", "--port", "http"], "argument --port: invalid int value: 'http'"),
        (["--version", "1.0", "--port", "65536"], "cannot listen at 127.0.0.1 port 65536: "),
        (["--version", "1.0", "--port", "TAKEN"], "address already in use"),
        (
            ["--version", "1.0", "--host", "tlsfloor.invalid"],
            "cannot listen at tlsfloor.invalid port 0: ",
        ),
        (
            ["--version", "1.0", "--cert", "NOWHERE"],
            "NOWHERE cannot be used: no such file or directory",
        ),
        (["--version", "1.0", "--cert", handshakes.CA_FILE], "cannot be used: "),
        (["--version", "1.0", "--cert", __file__], "cannot be used: "),
    ],
    ids=lambda value: (
        " ".join(map(os.path.basename, value)) or "nothing" if isinstance(value, list) else ""
    ),
)
def test_usage_errors(words: list[str], problem: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = python(
            "-m", "tlsfloor", "serve", *(port if word == "TAKEN" else word for word in words)
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert problem in done.stderr
    assert "\nhint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_grease_and_signals_are_not_counted_as_offers() -> None:
    """RFC 8701, RFC 5746 section 3.3, RFC 7507 section 2."""
    hello = ClientHello(TLS1_2, bytes(32), b"", [0x0A0A, 0x00FF, 0x5600, 0x002F, 0xC02F, 0xFEFE])
    assert (
        serve.describe_offer(hello)
        == "up to TLS 1.2, no server name, cipher suites: 1 rsa, 1 ecdhe, 1 other"
    )
    hello.cipher_suites = [0x1A1A]
    hello.extensions = [(43, b"\6\x0a\x0a\3\4\3\3")]
    assert serve.describe_offer(hello) == "TLS 1.3, TLS 1.2, no server name, cipher suites: none"
