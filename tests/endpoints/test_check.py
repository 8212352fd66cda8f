"""``tlsfloor check`` against peers of every version, real servers, and servers without TLS."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Iterator

import outputs
import parts
import pytest
from programs import TIME_LIMIT, clean_environment
from peers import serving
from ports import reserved_port
from redis_server import redis_server
from tlsfloor import cli
from tlsfloor.errors import VerifyError
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS, SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3
from tlsfloor.wire import ClientHello, Handshake, Messages

parts.need("certifi", "rich", "tlslite", "urllib3")

from tlsfloor.cli import check
from tlsfloor.endpoints import examination, negotiation
from tlsfloor.peers import crafted_hellos
from tlsfloor.endpoints.attempts import Attempt, Endpoint
from tlsfloor.endpoints.examination import EndpointReport

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds for each connection: long, because most tests need only a part of it.
TIMEOUT = 5.0

#: (version, kind of key exchange) of every peer that there is.
PEERS = [
    (version, key_exchange)
    for version in (SSL3, *FLOORS.values())
    for key_exchange in handshakes.KEY_EXCHANGES
    if (version, key_exchange) != (TLS1_3, "rsa")
]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Check that no test leaves a thread; a socket that is left is a ResourceWarning."""
    before = set(threading.enumerate())
    yield
    # Who reads no further does not wait for them: one may even be just starting.
    end = time.monotonic() + 10 * TIMEOUT
    while set(threading.enumerate()) - before and time.monotonic() < end:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return negotiation.trust(handshakes.CA_FILE)


def accepted(report: EndpointReport) -> set[tuple[int, str]]:
    return {
        (attempt.version, attempt.key_exchange)
        for attempt in report.attempts
        if attempt.outcome == "accepted"
    }


def local(port: int, **options: Any) -> EndpointReport:
    return examination.examine_endpoint(Endpoint("localhost", port), timeout=TIMEOUT, **options)


# What is accepted


@pytest.mark.parametrize(("version", "key_exchange"), PEERS)
def test_a_peer_of_one_version_is_reported_to_accept_exactly_that(
    version: int, key_exchange: str
) -> None:
    with handshakes.ServerPeer(version, key_exchange) as peer:
        report = local(peer.port)
    assert report.state == "reached"
    assert accepted(report) == {(version, key_exchange)}
    [attempt] = [attempt for attempt in report.attempts if attempt.outcome == "accepted"]
    assert (attempt.handshake, attempt.as_dict()["evidence"]) == ("completed", "handshake")
    assert {attempt.outcome for attempt in report.attempts} == {"accepted", "refused"}
    for floor in FLOORS.values():
        assert report.cut_off(floor)[0] == ("yes" if version < floor else "no")
        assert report.accepts_below(floor)[0] == ("yes" if version < floor else "no")


@pytest.mark.parametrize(("version", "key_exchange"), PEERS)
def test_a_hello_offers_one_version_and_names_the_server(version: int, key_exchange: str) -> None:
    stream = Messages()
    stream.feed(crafted_hellos.client_hello(version, key_exchange, "floor.example"))
    message = stream.read()
    assert message is not None
    hello = ClientHello.parse(message.body)  # type: ignore[union-attr]
    assert hello.versions() == [version]
    assert hello.server_name() == (None if version == SSL3 else "floor.example")
    assert hello.duplicates() == []


def test_an_address_is_not_sent_as_server_name() -> None:
    """RFC 6066 section 3."""
    assert [
        Endpoint(host).server_name for host in ("127.0.0.1", "::1", "fe80::1%lo", "a.example.")
    ] == [
        "",
        "",
        "",
        "a.example",
    ]
    with handshakes.ServerPeer(TLS1_2, "ecdhe") as peer:
        report = examination.examine_endpoint(Endpoint("127.0.0.1", peer.port), timeout=TIMEOUT)
    assert accepted(report) == {(TLS1_2, "ecdhe")}
    assert {seen.offered.server_name() for seen in peer.seen if seen.offered} == {None}


@contextlib.contextmanager
def s_server(*options: str) -> Iterator[int]:
    """Run OpenSSL's own server, and yield its port."""
    openssl = parts.need_program("openssl")
    command = [
        openssl,
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-www",
        "-cert",
        handshakes.PEER_FILE,
        *options,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            for line in server.stdout:
                found = re.match(r"ACCEPT .*:(\d+)", line)
                if found:
                    break
            else:
                assert server.stderr is not None
                pytest.fail(server.stderr.read())
            yield int(found.group(1))
        finally:
            server.terminate()
            server.wait()


def both(*version: int) -> set[tuple[int, str]]:
    kinds = [(number, kind) for number in version for kind in ("rsa", "ecdhe")]
    return {kind for kind in kinds if kind != (TLS1_3, "rsa")}


LEGACY = "DEFAULT:@SECLEVEL=0"
RARE = {(TLS1_0, "rare"), (TLS1_1, "rare"), (TLS1_2, "rare")}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], both(TLS1_2, TLS1_3)),
        (["-cipher", LEGACY, "-min_protocol", "TLSv1"], both(TLS1_0, TLS1_1, TLS1_2, TLS1_3)),
        (["-cipher", LEGACY, "-tls1"], both(TLS1_0)),
        (["-cipher", LEGACY, "-tls1_1"], both(TLS1_1)),
        (["-tls1_3"], {(TLS1_3, "ecdhe")}),
        # Neither kind, and the version is spoken all the same.
        (["-tls1_2", "-cipher", "DHE"], {(TLS1_2, "other")}),
        (["-tls1_3", "-groups", "ffdhe2048"], {(TLS1_3, "other")}),
        # None of these three: no encryption, no certificate, one suite, one group.
        (["-cipher", "NULL-SHA:@SECLEVEL=0", "-min_protocol", "TLSv1"], RARE | both(TLS1_3)),
        (["-cipher", "AECDH:@SECLEVEL=0", "-nocert", "-tls1"], {(TLS1_0, "rare")}),
        (["-cipher", "PSK", "-nocert", "-psk", "1a2b", "-tls1_2"], {(TLS1_2, "rare")}),
        (["-cipher", "DHE-RSA-AES128-CCM8:@SECLEVEL=0", "-tls1_2"], {(TLS1_2, "rare")}),
        (["-tls1_2", "-cipher", "ECDHE", "-curves", "brainpoolP384r1"], {(TLS1_2, "rare")}),
        (["-tls1_3", "-groups", "ffdhe8192"], {(TLS1_3, "rare")}),
        (["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"], {(TLS1_3, "ecdhe")}),
        (["-tls1_2", "-sigalgs", "RSA+SHA224"], both(TLS1_2)),
        # It asks for another share of a key first.
        (["-tls1_3", "-groups", "P-521"], {(TLS1_3, "ecdhe")}),
    ],
    ids=lambda value: " ".join(value) or "default" if isinstance(value, list) else "",
)
def test_the_versions_of_openssl_s_server(
    options: list[str], expected: set[tuple[int, str]]
) -> None:
    with s_server(*options) as port:
        report = local(port)
    assert accepted(report) == expected, report
    assert {attempt.outcome for attempt in report.attempts} <= {"accepted", "refused"}


def test_a_server_with_an_ecdsa_certificate(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    authority = trustme.CA()
    files = [str(tmp_path / name) for name in ("ca", "cert")]
    authority.cert_pem.write_to_path(files[0])
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(files[1])
    with s_server("-cert", files[1], "-tls1_2") as port:
        report = local(port, context=negotiation.trust(files[0]))
    assert [attempt.handshake for attempt in report.attempts if attempt.outcome == "accepted"] == [
        "completed"
    ]
    assert accepted(report) == {(TLS1_2, "ecdhe")}
    assert report.negotiated is not None
    assert report.negotiated.protocol == "TLSv1.2"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", "ecdhe"),
        ("ED448", "ecdhe"),
        ("EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", "rare"),
    ],
    ids=lambda value: value.split()[0],
)
def test_a_server_with_a_certificate_of_a_rare_kind(
    key: str, expected: str, tmp_path: Path
) -> None:
    openssl, file = parts.need_program("openssl"), str(tmp_path / "pem")
    make = [openssl, "req", "-x509", "-nodes", "-subj", "/CN=localhost", "-newkey", *key.split()]
    subprocess.run([*make, "-keyout", file, "-out", file + ".crt"], check=True, capture_output=True)
    with s_server("-cert", file + ".crt", "-key", file, "-tls1_2") as port:
        assert accepted(local(port)) == {(TLS1_2, expected)}


def test_an_offer_of_every_suite_avoids_the_lengths_that_middleboxes_fail_on() -> None:
    """RFC 7685 section 1: from 256 to 511 bytes, without the header of the record."""
    for version in (SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3):
        for name in ("", "floor.example"):
            length = len(crafted_hellos.client_hello(version, "rare", name)) - 5
            assert not 256 <= length <= 511


def test_a_redis_server(context: ssl.SSLContext) -> None:
    with redis_server("TLSv1.2 TLSv1.3") as port:
        report = local(port, context=context)
    assert accepted(report) >= {(TLS1_2, "ecdhe"), (TLS1_3, "ecdhe")}
    assert report.accepts_below(TLS1_2) == ("no", "")
    assert report.negotiated is not None
    assert report.negotiated.protocol == "TLSv1.3"


def test_gunicorn(tmp_path: Path, context: ssl.SSLContext) -> None:
    parts.need("gunicorn")
    (tmp_path / "app.py").write_text(
        "def app(environ, start):\n    start('200 OK', [])\n    return [b'']\n"
    )
    port = reserved_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--chdir",
        str(tmp_path),
        "--threads",
        "4",
        "app:app",
    ]
    command += [
        "--bind",
        f"127.0.0.1:{port}",
        "--certfile",
        handshakes.PEER_FILE,
        "--keyfile",
        handshakes.PEER_FILE,
    ]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())
    try:
        report = local(port, context=context)
        end = time.monotonic() + 20
        while report.state != "reached" and time.monotonic() < end:
            time.sleep(0.1)
            report = local(port, context=context)
    finally:
        server.terminate()
        server.wait()
    assert accepted(report) >= {(TLS1_2, "ecdhe"), (TLS1_3, "ecdhe")}, (
        tmp_path / "log"
    ).read_text()
    assert report.negotiated is not None
    assert report.negotiated.protocol == "TLSv1.3"


# What this interpreter gets


@contextlib.contextmanager
def mutual_tls(version: ssl.TLSVersion) -> Iterator[int]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(handshakes.PEER_FILE)
    server.load_verify_locations(handshakes.CA_FILE)
    server.verify_mode = ssl.CERT_REQUIRED
    server.maximum_version = version

    def behave(connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT)
        with server.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    with serving(behave) as port:
        yield port


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_demands_a_client_certificate(
    version: ssl.TLSVersion, context: ssl.SSLContext
) -> None:
    """It refuses the client later; the outcome of the hello stays."""
    with mutual_tls(version) as port:
        without = local(port, context=context)
        with_one = local(port, context=negotiation.trust(handshakes.CA_FILE, handshakes.PEER_FILE))
        apart = local(
            port,
            context=negotiation.trust(
                handshakes.CA_FILE, handshakes.PEER_FILE, handshakes.PEER_FILE
            ),
        )
    for report in (without, with_one, apart):
        assert (int(version), "ecdhe") in accepted(report)
        assert report.cut_off(TLS1_2)[0] == "no"
        assert report.negotiated is not None
    assert without.negotiated is not None
    assert without.negotiated.state == "refused"
    assert (
        "CERTIFICATE" in without.negotiated.reason
        or "HANDSHAKE_FAILURE" in without.negotiated.reason
    )
    speaks, _, why = without.cut_off(TLS1_2)[1].partition(
        ", but this Python does not connect to it"
    )
    assert speaks.startswith("it accepts TLS 1.")
    assert why.startswith(", for a reason other than its version:")
    if version == ssl.TLSVersion.TLSv1_2:
        [attempt] = [
            attempt
            for attempt in without.attempts
            if (attempt.version, attempt.key_exchange) == (TLS1_2, "ecdhe")
        ]
        assert "handshake_failure" in attempt.handshake
        assert attempt.as_dict()["evidence"] == "hello"
    for report in (with_one, apart):
        assert report.negotiated is not None
        assert (report.negotiated.state, report.negotiated.reason) == ("negotiated", "")


def test_an_untrusted_certificate_is_not_a_refusal(context: ssl.SSLContext) -> None:
    with handshakes.ServerPeer(TLS1_2, "ecdhe") as peer:
        untrusted = local(peer.port, context=negotiation.trust())
        elsewhere = negotiation.negotiate(
            Endpoint("other.example", peer.port), "127.0.0.1", context
        )
        by_address = negotiation.negotiate(Endpoint("127.0.0.1", peer.port), "127.0.0.1", context)
    assert untrusted.negotiated is not None
    assert untrusted.negotiated.state == "untrusted"
    assert "unable to get" in untrusted.negotiated.reason or "self" in untrusted.negotiated.reason
    assert (untrusted.state, untrusted.cut_off(TLS1_2)[0]) == ("reached", "no")
    assert elsewhere.state == "untrusted"
    assert "other.example" in elsewhere.reason
    assert (by_address.state, by_address.protocol) == ("negotiated", "TLSv1.2")


def test_why_this_interpreter_does_not_connect(context: ssl.SSLContext) -> None:
    with handshakes.ServerPeer(TLS1_0, "ecdhe") as peer:
        refused = local(peer.port, context=context)
    gone = negotiation.negotiate(Endpoint("localhost", peer.port), "127.0.0.1", context)
    with serving(drain) as port:
        silent = negotiation.negotiate(Endpoint("localhost", port), "127.0.0.1", context, 0.3)
    with serving(lambda connection: None) as port:
        closed = negotiation.negotiate(Endpoint("localhost", port), "127.0.0.1", context)
    assert refused.negotiated is not None
    assert (refused.negotiated.state, refused.negotiated.protocol) == ("refused", "")
    assert gone.state == "unreachable"
    assert silent.state == "timed out"
    assert closed.state == "closed"


def test_a_server_without_forward_secrecy_is_not_cut_off_by_the_floor() -> None:
    """This Python (CPython 3.10 and later) does not connect to it, with or without a floor."""
    modern = negotiation.trust(handshakes.CA_FILE)
    modern.set_ciphers("ECDHE+AESGCM")
    plain = negotiation.trust(handshakes.CA_FILE)
    plain.set_ciphers("AES128-GCM-SHA256:ECDHE+AESGCM")
    with s_server("-tls1_2", "-cipher", "AES128-GCM-SHA256") as port:
        without, control = local(port, context=modern), local(port, context=plain)
        status, out, _ = run(f"localhost:{port}", "--ca-certs", handshakes.CA_FILE)
    assert accepted(without) == {(TLS1_2, "rsa")}
    sentence = (
        "it accepts TLS 1.2, but this Python does not connect to it, with or without a floor: "
        "it accepts static RSA key exchange only, and no cipher suite of this Python has that"
    )
    assert without.cut_off(TLS1_2) == ("no", sentence)
    assert without.as_dict(TLS1_2)["negotiated"]["explanation"]
    assert control.cut_off(TLS1_2) == ("no", "it accepts TLS 1.2")
    offered = negotiation.trust(handshakes.CA_FILE).get_ciphers()
    leaves_out = all(suite["name"] != "AES128-GCM-SHA256" for suite in offered)
    why = sentence if leaves_out else "it accepts TLS 1.2"
    assert (status, out.count(f"localhost:{port}: floor 1.2 would not cut it off: {why}\n")) == (
        0,
        1,
    )


def test_the_minimum_of_this_process_is_reported_as_the_reason() -> None:
    context = negotiation.trust(handshakes.CA_FILE)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with handshakes.ServerPeer(TLS1_2, "ecdhe") as peer:
        report = local(peer.port, context=context)
    why = "it accepts TLS 1.2, but this Python does not connect to it: its own minimum is TLS 1.3"
    assert report.cut_off(TLS1_2) == ("no", why)
    assert report.cut_off(TLS1_3)[0] == "yes"


@pytest.mark.parametrize("what", ["missing", "garbage", "a folder", "no key", "wrong key"])
def test_a_file_that_cannot_be_used_is_an_error(what: str, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(os.urandom(99))
    arguments = {
        "missing": [str(tmp_path / "nowhere")],
        "garbage": [str(garbage)],
        "a folder": [str(tmp_path)],
        "no key": [handshakes.CA_FILE, handshakes.CA_FILE],
        "wrong key": [handshakes.CA_FILE, handshakes.CA_FILE, handshakes.PEER_FILE],
    }[what]
    with pytest.raises(VerifyError, match="cannot be used|has no private key") as caught:
        negotiation.trust(*arguments)
    assert caught.value.hint


# What is no TLS server


def drain(connection: socket.socket) -> None:
    while connection.recv(2**14):
        pass


def say(data: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(2**14)
        connection.sendall(data)
        drain(connection)

    return behave


def drip(connection: socket.socket) -> None:
    """Send the longest record, one byte at a time."""
    connection.sendall(b"\x16\3\3\x40\0\x02\0\x3f\xfc")
    while True:
        connection.sendall(b"\0")
        time.sleep(0.02)


def flood(connection: socket.socket) -> None:
    while True:  # warnings, which may precede a ServerHello
        connection.sendall(b"\x15\3\1\0\2\1\x70" * 1000)


def close_amid(connection: socket.socket) -> None:
    connection.recv(2**14)
    connection.sendall(b"\x16\3\3\0\x60\2\0")


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    ("behave", "state", "reason"),
    [
        pytest.param(drain, "timed out", "no answer within", id="says nothing"),
        pytest.param(drip, "timed out", "no answer within", id="drips"),
        pytest.param(flood, "not TLS", "without a ServerHello", id="floods"),
        pytest.param(
            say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not TLS", "HTTP/1.1 400", id="http"
        ),
        pytest.param(say(b"SSH-2.0-OpenSSH_9.2\r\n"), "not TLS", "SSH-2.0", id="ssh"),
        pytest.param(say(b"\x16\3\3\xff\xff" + b"\2" * 99), "not TLS", "", id="endless record"),
        pytest.param(say(b"\x16\3\3\0\4\2\xff\xff\xff"), "not TLS", "", id="endless hello"),
        pytest.param(say(b"\x16\3\3\0\4\2\0\0\0"), "not TLS", "", id="empty hello"),
        pytest.param(say(b"\x16\3\3\0\4\x0b\0\0\0"), "not TLS", "", id="certificate first"),
        pytest.param(say(b"\x17\3\3\0\4data"), "not TLS", "", id="data first"),
        pytest.param(say(b"\x15\3\3\0\1\2"), "not TLS", "", id="half an alert"),
        pytest.param(say(b"\x5a" * 999), "not TLS", "ZZZ", id="other bytes"),
        pytest.param(lambda connection: None, "closed", "", id="closes at once"),
        pytest.param(close_amid, "closed", "after 7 bytes", id="closes amid the hello"),
        pytest.param(reset, "closed", "resets", id="resets"),
    ],
)
def test_what_a_server_without_tls_does_is_reported(
    behave: Callable[[socket.socket], None], state: str, reason: str, context: ssl.SSLContext
) -> None:
    with serving(behave) as port:
        begun = time.monotonic()
        report = examination.examine_endpoint(
            Endpoint("localhost", port), timeout=0.5, context=context
        )
        took = time.monotonic() - begun
    assert (report.state, report.negotiated) == (state, None)
    assert reason in report.reason
    assert took < 60  # not when the peer likes; how slow a machine is does not matter
    assert report.cut_off(TLS1_2) == ("unknown", f"{state}: {report.reason}")
    assert report.accepts_below(TLS1_2)[0] == "unknown"
    json.dumps(report.as_dict(TLS1_2))


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_not_an_answer(seed: int) -> None:
    with serving(lambda connection: say(os.urandom(200 + seed))(connection)) as port:
        report = examination.examine_endpoint(Endpoint("localhost", port), timeout=0.3)
    assert report.state in ("not TLS", "timed out")
    assert report.accepted() == []


def test_the_handshake_has_a_deadline_too() -> None:
    """tlslite-ng reads the socket once for each record; the deadline is for all of them."""
    with serving(drip) as port:
        begun = time.monotonic()
        seen = handshakes.call("127.0.0.1", port, TLS1_2, timeout=0.5)
        assert time.monotonic() - begun < 60
    assert (seen.version, "timed out" in seen.error) == (None, True)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("tlsfloor.invalid", ""), ("a" * 64 + ".example", "label"), ("localhost", "refused")],
)
def test_an_endpoint_that_cannot_be_reached_is_unknown(host: str, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = examination.examine_endpoint(Endpoint(host, port), timeout=TIMEOUT)
    assert (report.state, report.attempts) == ("unreachable", [])
    assert reason in report.reason
    assert report.cut_off(TLS1_2)[0] == "unknown"


def test_a_resolver_that_does_not_answer_has_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def getaddrinfo(*arguments: object, **options: object) -> list[object]:
        answered.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    report = examination.examine_endpoint(Endpoint("slow.example"), timeout=0.2)
    answered.set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(5)
    assert (report.state, report.reason) == ("timed out", "no connection within 0.2 s")


def answering(
    choose: Callable[[ClientHello], bytes], *, patient: bool = True
) -> Callable[[socket.socket], None]:
    """Answer a ClientHello with what ``choose`` returns; if ``patient``, read what follows."""

    def behave(connection: socket.socket) -> None:
        stream = Messages()
        while True:
            data = connection.recv(2**14)
            if not data:
                return
            stream.feed(data)
            message = stream.read()
            if message is not None:
                connection.sendall(choose(ClientHello.parse(message.body)))  # type: ignore[union-attr]
                if patient:
                    drain(connection)
                return

    return behave


ALERT = b"\x15\3\1\0\2\2"


def test_an_alert_about_something_else_is_inconclusive() -> None:
    with serving(answering(lambda hello: ALERT + b"\x31")) as port:  # access_denied
        report = local(port)
    assert report.state == "reached"
    assert {attempt.outcome for attempt in report.attempts} == {"inconclusive"}
    answer, why = report.cut_off(TLS1_2)
    assert answer == "unknown"
    assert "alert access_denied" in why


def test_an_endpoint_that_refuses_everything_is_unknown() -> None:
    with serving(answering(lambda hello: ALERT + b"\x28")) as port:  # handshake_failure
        report = local(port)
    assert {attempt.outcome for attempt in report.attempts} == {"refused"}
    assert report.cut_off(TLS1_2)[0] == report.accepts_below(TLS1_2)[0] == "unknown"


def server_hello(version: int, suite: int) -> bytes:
    from tlsfloor.wire import ServerHello

    return ServerHello(version, os.urandom(32), b"", suite, extensions=[]).to_records(version)


def test_a_server_that_completes_no_handshake_above_the_floor_is_unknown(
    context: ssl.SSLContext,
) -> None:
    """It answers hellos of TLS 1.2 and 1.3 and goes no further, but it serves TLS 1.0."""
    with handshakes.ServerPeer(TLS1_0) as old:

        def forward(connection: socket.socket) -> None:
            data = connection.recv(65536, socket.MSG_PEEK)
            stream = Messages()
            stream.feed(data)
            message = stream.read()
            if not isinstance(message, Handshake):
                return  # the connection that finds the address
            hello = ClientHello.parse(message.body)
            if max(hello.versions()) > TLS1_1:
                connection.recv(65536)
                connection.sendall(speaks_everything(hello))
                return
            with socket.create_connection(("127.0.0.1", old.port)) as server:
                while True:
                    for each in select.select([connection, server], [], [])[0]:
                        received = each.recv(65536)
                        if not received:
                            return
                        (server if each is connection else connection).sendall(received)

        with serving(forward) as port:
            report = local(port, context=context)
            without = local(port)
    assert (TLS1_3, "ecdhe") in accepted(report)
    for each in (report, without):
        answer, why = each.cut_off(TLS1_2)
        assert (answer, "handshakes complete only with versions below 1.2" in why) == (
            "unknown",
            True,
        )
        assert each.cut_off(TLS1_0)[0] == "no"


@pytest.mark.parametrize("reason", ["TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"])
def test_no_failure_about_the_version_is_called_one_of_another_reason(
    reason: str, context: ssl.SSLContext
) -> None:
    """A load balancer, for example, whose servers speak different versions."""
    attempts = [Attempt(version, "ecdhe", "accepted") for version in (TLS1_2, TLS1_3)]
    text = negotiation.explain_failure(attempts, context, reason)
    assert text == f"it does not accept from this Python what it accepted in a hello: {reason}"
    assert "other than its version" in negotiation.explain_failure(attempts, context, "EOF")


def test_a_closed_connection_can_be_a_refusal_and_silence_cannot() -> None:
    def choose(hello: ClientHello) -> bytes:
        return server_hello(TLS1_0, 0x002F) if hello.versions() == [TLS1_0] else b""

    with serving(answering(choose, patient=False)) as port:
        closed = examination.examine_endpoint(Endpoint("localhost", port), timeout=0.4)
    with serving(answering(choose)) as port:
        silent = examination.examine_endpoint(Endpoint("localhost", port), timeout=0.4)
    assert accepted(closed) == accepted(silent) == {(TLS1_0, "rsa")}
    assert closed.cut_off(TLS1_2)[0] == "yes"
    assert (silent.cut_off(TLS1_2)[0], silent.accepts_below(TLS1_2)) == (
        "unknown",
        ("yes", "TLS 1.0"),
    )


def speaks_everything(hello: ClientHello) -> bytes:
    return crafted_hellos.server_hello(hello, hello.versions()[0])


@contextlib.contextmanager
def dropping(
    dropped: Callable[[int], bool],
    choose: Callable[[ClientHello], bytes] = speaks_everything,
) -> Iterator[int]:
    """Close the connections of these numbers, and answer the others; yield the port."""
    count = itertools.count()
    answer = answering(choose, patient=False)
    with serving(lambda connection: None if dropped(next(count)) else answer(connection)) as port:
        yield port


# By the number of the connection; the first one is the one that finds the address.
DROPS: dict[str, Callable[[int], bool]] = {
    **{f"after {many}": lambda number, many=many: number > many for many in range(1, 9)},  # type: ignore[misc]
    **{
        f"{bad} of {all_of_them} from {phase}": (
            lambda number, bad=bad, all_of_them=all_of_them, phase=phase: (  # type: ignore[misc]
                (number + phase) % all_of_them < bad
            )
        )
        for bad, all_of_them in [(1, 2), (1, 3), (2, 3), (2, 4), (1, 5), (3, 5)]
        for phase in range(all_of_them)
    },
    **{
        f"half, seed {seed}": lambda number, seed=seed: (
            random.Random(f"{seed} {number}").random()  # type: ignore[misc]
            < 0.5
        )
        for seed in range(6)
    },
}


def test_an_endpoint_that_drops_nothing_accepts_everything() -> None:
    """The control for the next test."""
    with dropping(lambda number: False) as port:
        report = local(port)
    assert report.accepted() == [SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3]
    assert (report.unreliable, report.accepts_below(TLS1_2)[0]) == ("", "yes")


@pytest.mark.parametrize("dropped", DROPS.values(), ids=DROPS)
def test_an_endpoint_that_drops_connections_is_not_reported_to_refuse(
    dropped: Callable[[int], bool],
) -> None:
    """A ban, a load balancer with servers that are down, an overloaded machine."""
    with dropping(dropped) as port:
        report = local(port)
    for each in report.attempts:
        assert each.outcome != "refused", report
    for floor in (TLS1_1, TLS1_2, TLS1_3):
        assert report.cut_off(floor)[0] != "yes"
        less, why = report.accepts_below(floor)
        assert less != "no"
        if report.accepted() and less == "unknown" and report.state == "reached":
            assert "try again with --pause 1" in why


def test_an_endpoint_that_stops_answering_is_to_be_asked_with_a_pause() -> None:
    """As behind a firewall that drops the packets of a client that is banned."""
    count = itertools.count()

    def behave(connection: socket.socket) -> None:
        (answering(speaks_everything) if next(count) < 2 else drain)(connection)

    with serving(behave) as port:
        report = examination.examine_endpoint(Endpoint("localhost", port), timeout=0.3)
    with serving(answering(speaks_everything)) as port:
        control = examination.examine_endpoint(Endpoint("localhost", port), timeout=0.3)
    assert (report.accepted(), report.accepts_below(TLS1_2)[0]) == ([TLS1_2], "unknown")
    assert "try again with --pause 1" in report.accepts_below(TLS1_2)[1]
    assert (control.accepts_below(TLS1_2)[0], control.unreliable) == ("yes", "")


@pytest.mark.parametrize("lost", ["closed", "reset"])
def test_an_endpoint_that_refuses_by_dropping_is_reported_to_refuse(lost: str) -> None:
    """It drops a refused version each time, and never an accepted one."""

    def choose(hello: ClientHello) -> bytes:
        if TLS1_2 not in hello.versions():
            raise ValueError("it is closed")
        return speaks_everything(hello)

    answer = answering(choose, patient=False)

    def behave(connection: socket.socket) -> None:
        if lost == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        answer(connection)

    with serving(behave) as port:
        report = local(port)
    assert accepted(report) >= both(TLS1_2)
    assert report.unreliable == ""
    assert report.accepts_below(TLS1_2) == ("no", "")
    assert report.cut_off(TLS1_3)[0] == "yes"


def test_an_alert_that_every_hello_gets_at_the_end_is_not_a_refusal() -> None:
    """As from a server without memory; an alert protocol_version still is a refusal."""
    count = itertools.count()

    def choose(hello: ClientHello) -> bytes:
        if next(count) < 1:
            return speaks_everything(hello)
        return ALERT + (b"\x46" if TLS1_0 in hello.versions() else b"\x50")

    with serving(answering(choose, patient=False)) as port:
        report = local(port)
    assert accepted(report) == {(TLS1_2, "ecdhe")}
    outcomes = {
        attempt.version: attempt.outcome for attempt in report.attempts if attempt.version != TLS1_2
    }
    assert outcomes == {
        **dict.fromkeys((SSL3, TLS1_1, TLS1_3), "inconclusive"),
        TLS1_0: "refused",
    }
    assert report.accepts_below(TLS1_2)[0] == "unknown"


def at_most_two_in(seconds: float) -> Callable[[int], bool]:
    """Drop a connection if there were two others in the last ``seconds``."""
    times: list[float] = []

    def dropped(number: int) -> bool:
        del number
        times.append(time.monotonic())
        return len(times) > 2 and times[-1] - times[-3] < seconds

    return dropped


def test_a_rate_limit_makes_the_answer_unknown_and_a_pause_avoids_it() -> None:
    """The exit status is 3 without the pause, and 0 with it."""
    with dropping(at_most_two_in(60)) as port:
        status, out, _ = run(f"localhost:{port}", "--json")
    with dropping(at_most_two_in(60)) as port:
        status_of_text, text, _ = run(f"localhost:{port}")
    with dropping(at_most_two_in(0.05)) as port:
        slow_status, slow_out, _ = run(f"localhost:{port}", "--pause", "0.1", "--json")
    [fast], [slow] = (json.loads(each)["endpoints"] for each in (out, slow_out))
    assert (status, status_of_text) == (3, 3), fast
    assert (fast["accepts"], fast["accepts_below"]["answer"]) == (["TLS 1.2"], "unknown")
    assert "--pause 1" in fast["unreliable"]
    assert "unknown whether it accepts versions below 1.2: " in text
    assert "try again with --pause 1" in text
    assert slow["accepts"] == ["SSLv3", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"]
    assert (slow_status, slow["accepts_below"]["answer"], slow["unreliable"]) == (0, "yes", "")


@pytest.mark.parametrize("limited", [False, True])
def test_what_this_interpreter_negotiates_is_not_cut_off(
    limited: bool, context: ssl.SSLContext
) -> None:
    """Even if a rate limit drops each hello that the endpoint accepts: 1.2 ecdhe and 1.2 rare."""
    count = itertools.count()

    def forward(connection: socket.socket) -> None:
        if next(count) in (1, 11) and limited:
            return
        with socket.create_connection(("127.0.0.1", peer.port)) as server:
            sides = {connection: server, server: connection}
            while True:
                for each in select.select([*sides], (), ())[0]:
                    data = each.recv(2**14)
                    if not data:
                        return
                    sides[each].sendall(data)

    with handshakes.ServerPeer(TLS1_2, "ecdhe") as peer, serving(forward) as port:
        report = local(port, context=context)
    assert accepted(report) == (set() if limited else {(TLS1_2, "ecdhe")})
    assert report.cut_off(TLS1_2) == ("no", "it accepts TLS 1.2")
    assert report.cut_off(TLS1_3)[0] == ("unknown" if limited else "yes")
    less, why = report.accepts_below(TLS1_2)
    assert less == ("unknown" if limited else "no")
    assert ("try again with --pause 1" in why) == limited


def test_another_version_or_another_suite_is_not_an_acceptance() -> None:
    with serving(answering(lambda hello: server_hello(TLS1_0, 0x002F))) as port:
        report = examination.examine_endpoint(Endpoint("localhost", port), timeout=1.0)
    assert accepted(report) == {(TLS1_0, "rsa")}
    results = {
        (attempt.version, attempt.key_exchange): (attempt.outcome, attempt.answer)
        for attempt in report.attempts
    }
    assert results[TLS1_2, "rsa"] == ("refused", "it chooses TLS 1.0")
    unoffered = "it chooses a cipher suite that was not offered"
    assert results[TLS1_0, "ecdhe"] == ("inconclusive", unoffered)


def test_reports_come_in_the_order_of_the_endpoints() -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(handshakes.ServerPeer(TLS1_2, "ecdhe")) for _ in range(4)]
        silent = stack.enter_context(serving(drain))
        ports = [servers[0].port, silent, *(server.port for server in servers[1:])]
        wanted = [Endpoint("localhost", port) for port in ports]
        found = list(examination.examine_all(wanted, 3, timeout=1.0))
        first = next(examination.examine_all(wanted, 2, timeout=1.0))
    assert [report.endpoint for report in found] == wanted
    assert [report.state for report in found] == ["reached", "timed out", *["reached"] * 3]
    assert first.endpoint == wanted[0]


# The command


def run(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(["check", *words])
        except SystemExit as ended:
            status = int(ended.code or 0)
    if "--json" in words and out.getvalue():
        found = json.loads(out.getvalue())
        outputs.validate_json("check", found)
        names = {library["implementation"].partition(" ")[0] for library in found["libraries"]}
        assert "tlslite" in names  # which did the handshakes
    return status, out.getvalue(), err.getvalue()


def test_the_exit_status_and_the_text() -> None:
    trusting = ["--ca-certs", handshakes.CA_FILE]
    with handshakes.ServerPeer(TLS1_0) as old, handshakes.ServerPeer(TLS1_2, "ecdhe") as new:
        one, other, none = (
            f"localhost:{old.port}",
            f"https://localhost:{new.port}/a?b",
            "tlsfloor.invalid",
        )
        sound = run(other, *trusting)
        cut = run(other, one, none, *trusting)
        doubtful = run(other, none, *trusting)
        higher = run(other, "--floor", "1.3", *trusting)
    assert [result[0] for result in (sound, cut, doubtful, higher)] == [0, 1, 3, 1]
    assert all(result[2] == "" for result in (sound, cut, doubtful, higher))
    assert not re.search(r" $", cut[1], re.MULTILINE)
    assert f"localhost:{new.port}: floor 1.2 would not cut it off: it accepts TLS 1.2\n" in sound[1]
    assert "  this Python connects with TLSv1.2 (" in sound[1]
    assert (
        f"localhost:{old.port}: floor 1.2 would cut it off: the highest version that it" in cut[1]
    )
    assert "  it accepts versions below 1.2: TLS 1.0\n" in cut[1]
    assert "tlsfloor.invalid:443: unknown whether floor 1.2 would cut it off: unreac" in doubtful[1]
    assert (
        f"[::1]:{old.port}: unknown whether floor" in run(f"[::1]:{old.port}")[1]
    )  # no markup of rich's


def test_ctrl_c_ends_the_command_at_once() -> None:
    """Also while connections are open to servers that do not answer for a minute."""
    if os.name == "nt":
        pytest.skip("a console sends Ctrl-C to the tests as well")
    connected = threading.Semaphore(0)

    def behave(connection: socket.socket) -> None:
        connected.release()
        drain(connection)

    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(serving(behave)) for _ in range(3)]
        command = [sys.executable, "-m", "tlsfloor", "check", "--timeout", "60", "--jobs", "2"]
        process = stack.enter_context(
            subprocess.Popen(
                [*command, *(f"localhost:{port}" for port in ports)],
                env=clean_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(process.kill)
        for _ in range(4):  # two connections to each: one to find it, one to say hello
            assert connected.acquire(timeout=TIME_LIMIT)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=TIME_LIMIT)
        took = time.monotonic() - begun
    assert (process.returncode, out, errors) == (130, "", "error: interrupted\n")
    assert took < 30  # of the 60 that each of them would wait


def test_the_json(tmp_path: Path) -> None:
    with handshakes.ServerPeer(TLS1_1) as old, handshakes.ServerPeer(TLS1_3) as new:
        listed = tmp_path / "hosts"
        listed.write_text(
            f"\ufeff# ours\n\nlocalhost:{old.port}  # the old one\nlocalhost:{new.port}\n"
        )
        status, out, err = run("--from", str(listed), "--json", "--ca-certs", handshakes.CA_FILE)
    found = json.loads(out)
    assert (status, err, found["schema"], found["floor"]) == (1, "", 2, "1.2")
    assert [endpoint["port"] for endpoint in found["endpoints"]] == [old.port, new.port]
    first, second = found["endpoints"]
    assert list(first) == [
        "endpoint",
        "host",
        "port",
        "starttls",
        "starttls_from",
        "address",
        "state",
        "reason",
        "accepts",
        "attempts",
        "unreliable",
        "client_certificate",
        "negotiated",
        "cut_off",
        "accepts_below",
    ]
    assert first["accepts"] == ["TLS 1.1"]
    assert first["accepts_below"] == {"answer": "yes", "reason": "TLS 1.1"}
    assert second["cut_off"] == {"answer": "no", "reason": "it accepts TLS 1.3"}
    assert second["negotiated"]["protocol"] == "TLSv1.3"
    keys = {
        "version",
        "key_exchange",
        "outcome",
        "evidence",
        "suite",
        "answer",
        "failure",
        "handshake",
        "certificate_requested",
    }
    assert all(set(attempt) == keys for attempt in first["attempts"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", ("example.com", 443)),
        ("Example.com:8443", ("example.com", 8443)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("[::1]:8443", ("::1", 8443)),
        ("[::1]", ("::1", 443)),
        ("::1", ("::1", 443)),
        ("fe80::1%eth0", ("fe80::1%eth0", 443)),
        ("https://example.com", ("example.com", 443)),
        ("HTTPS://user:word@example.com:99/path?query#part", ("example.com", 99)),
        ("https://[2001:db8::1]/", ("2001:db8::1", 443)),
        ("rediss://cache:6380/0", ("cache", 6380)),
        ("ldaps://directory", ("directory", 636)),
        ("amqp+tls://broker:5671", ("broker", 5671)),
        ("bücher.example", ("xn--bcher-kva.example", 443)),
    ],
)
def test_endpoints_are_parsed(text: str, expected: tuple[str, int]) -> None:
    found = check.parse_endpoint(text)
    assert (found.host, found.port) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":443",
        "https://",
        "https:///path",
        "http://example.com",
        "http://example.com:443",
        "foo://example.com",
        "example.com:0",
        "example.com:65536",
        "example.com:https",
        "example.com:-1",
        "a b",
        "a\x1b[2J",
        "[::1",
        "1:2:3",
        "[::1%",
        "a..example",
        "a" * 64,
    ],
)
def test_text_that_is_not_an_endpoint_is_a_usage_error(text: str) -> None:
    status, out, err = run(f"{text}")
    assert (status, out) == (2, "")
    assert re.fullmatch(r"error: .* is not an endpoint: .*\nhint: write HOST.*\n", err)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("host:http", "'host:http' is not an endpoint: its port is not a number from 1 to 65535"),
        ("host:99999", "its port is not a number from 1 to 65535"),
        ("host:0", "its port is not a number from 1 to 65535"),
        ("host 443", "a character of it cannot be in the name of a host"),
        ("a,b", "a character of it cannot be in the name of a host"),
        ("a:1:2", "with several colons, it must be an IPv6 address"),
        ("http://host:80", "http does not begin with TLS"),
        ("gopher://host", "gopher has no known port, so add it"),
        ("https://app:s3cret@host:x", "'https://***@host:x' is not an endpoint"),
    ],
)
def test_the_error_says_what_is_wrong_with_an_endpoint(text: str, problem: str) -> None:
    _, _, err = run(text)
    assert problem in err
    assert "s3cret" not in err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no endpoint to check"),
        (["--from", "EMPTY"], "no endpoint in "),
        (["--from", "BINARY"], "cannot be read: it is not text"),
        (["--from", "NOWHERE"], "cannot be read: no such file or directory"),
        (["--from", "BAD"], "'https://' in line 2 of "),
        (["a", "--floor", "1.9"], "--floor"),
        (["a", "--timeout", "0"], "argument --timeout: 0 is not from 0.001 to 86400"),
        (["a", "--timeout", "nan"], "argument --timeout: nan is not from 0.001 to 86400"),
        (["a", "--timeout", "soon"], "argument --timeout: invalid float value: 'soon'"),
        (["a", "--pause=-1"], "argument --pause: -1 is not from 0 to 86400"),
        (["a", "--jobs", "0"], "argument --jobs: 0 is not from 1 to 256"),
        (["a", "--key", "NOWHERE"], "--key needs --cert"),
        (["a", "--ca-certs", "NOWHERE"], "cannot be used: no such file or directory"),
        (["a", "--cert", "BINARY"], "BINARY has no certificate"),
        (["--aws", "s3"], "--aws and --region go together"),
        (["--region", "eu-central-1"], "--aws and --region go together"),
    ],
)
def test_usage_errors(words: list[str], problem: str, tmp_path: Path) -> None:
    (tmp_path / "EMPTY").write_text("\n  # nothing\n")
    (tmp_path / "BINARY").write_bytes(b"\xff\xfe\0\1")
    (tmp_path / "BAD").write_text("example.com\nhttps://\n")
    names = ("EMPTY", "BINARY", "NOWHERE", "BAD")
    status, out, err = run(*(str(tmp_path / word) if word in names else word for word in words))
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert problem in err
    assert "\nhint: " in err


def test_endpoints_are_read_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a.example\nb.example:8443\n"))
    assert list(map(str, check.endpoints_of_file("-"))) == ["a.example:443", "b.example:8443"]


@pytest.fixture
def _no_settings_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parts.need("botocore")
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.mark.usefixtures("_no_settings_of_aws")
def test_the_endpoints_of_aws_need_no_network() -> None:
    found = check.endpoints_of_aws(["s3", " sqs", "iam"], "eu-central-1")
    assert list(map(str, found)) == [
        "s3.eu-central-1.amazonaws.com:443",
        "sqs.eu-central-1.amazonaws.com:443",
        "iam.amazonaws.com:443",
    ]
    assert (
        str(check.endpoints_of_aws(["sqs"], "cn-north-1")[0])
        == "sqs.cn-north-1.amazonaws.com.cn:443"
    )


@pytest.mark.usefixtures("_no_settings_of_aws")
@pytest.mark.parametrize(
    ("services", "region", "problem", "hint"),
    [
        ("s3,dynamodbb", "eu-central-1", "unknown AWS service 'dynamodbb'", "dynamodb"),
        ("s3", "eu-centrall-1", "unknown AWS region 'eu-centrall-1'", "eu-central-1"),
        ("s3,", "eu-central-1", "unknown AWS service ''", "such as"),
    ],
)
def test_an_unknown_service_or_region_of_aws_is_an_error(
    services: str, region: str, problem: str, hint: str
) -> None:
    status, out, err = run("--aws", services, "--region", region)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {problem}\nhint: ")
    assert hint in err.splitlines()[1]


@pytest.mark.usefixtures("_no_settings_of_aws")
def test_a_missing_profile_of_aws_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(VerifyError, match="nobody"):
        check.endpoints_of_aws(["s3"], "eu-central-1")
