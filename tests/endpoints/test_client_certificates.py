"""``tlsfloor check`` with client certificates: what is wrong with a file, and what servers say."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import parts
import pytest
from peers import serving
from programs import clean_environment
from test_check import accepted, run
from test_starttls import GOOD, Behaviour, nothing, speaking

parts.need("certifi", "rich", "tlslite", "trustme", "urllib3")

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tlsfloor.endpoints import client_certificate, examination, negotiation
from tlsfloor.endpoints.attempts import Endpoint
from tlsfloor.endpoints.examination import EndpointReport
from tlsfloor.errors import VerifyError
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_2, TLS1_3

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return name -> path: certificates and keys, good and bad."""
    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.timezone.utc)
    day = dt.timedelta(days=1)
    good = AUTHORITY.issue_cert("client")
    key = good.private_key_pem.bytes()
    texts = {
        "cert": good.cert_chain_pems[0].bytes(),
        "key": key,
        "both": good.private_key_and_cert_chain_pem.bytes(),
        "expired": key + dated(key, now - 3 * day, now - 2 * day),
        "early": key + dated(key, now + 2 * day, now + 3 * day),
        "garbage": bytes(range(256)),
        "half": key[: len(key) // 2],
        "broken": key.replace(b"M", b"N"),
        "cut": good.private_key_and_cert_chain_pem.bytes()[:-90],
        "certificate first": good.cert_chain_pems[0].bytes() + key,
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    for name, form in (("encrypted", "PKCS8"), ("encrypted in the old form", "TraditionalOpenSSL")):
        (folder / name).write_bytes(encrypted(key, form))
    return {name: str(folder / name) for name in (*os.listdir(folder), "nowhere")}


def dated(key: bytes, first: dt.datetime, last: dt.datetime) -> bytes:
    """Return a certificate that is valid from ``first`` to ``last``."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    private = serialization.load_pem_private_key(key, None)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), 1)
        .not_valid_before(first)
        .not_valid_after(last)
        .sign(private, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def encrypted(key: bytes, form: str) -> bytes:
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        getattr(serialization.PrivateFormat, form),
        serialization.BestAvailableEncryption(b"word"),
    )


# Files


@pytest.mark.parametrize(
    ("cert", "key", "problem"),
    [
        ("cert", None, "cert has no private key"),
        ("cert", "cert", "cert has no private key"),
        ("key", None, "key has no certificate"),
        ("garbage", None, "garbage has no certificate"),
        ("cert", "garbage", "garbage has no private key"),
        ("nowhere", None, "nowhere cannot be read: no such file or directory"),
        ("cert", "nowhere", "nowhere cannot be read: no such file or directory"),
        ("cert", ".", "cannot be read: is a directory"),
        ("cert", "encrypted", "the key in .*encrypted is encrypted"),
        ("cert", "encrypted in the old form", "the key in .* is encrypted"),
        ("cert", "half", "half has no private key"),
        ("cert", "broken", "cannot be used: "),
        ("cut", None, "cannot be used: "),
        ("cert", "PEER", "cannot be used: "),
        ("expired", None, r"expired expired on \d{4}-\d\d-\d\d$"),
        ("early", None, r"early is valid from \d{4}-\d\d-\d\d$"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_usage_error(
    cert: str, key: str | None, problem: str, files: dict[str, str]
) -> None:
    """With its reason, and before anything is connected to."""
    places = {**files, "PEER": handshakes.PEER_FILE, ".": os.path.dirname(files["cert"])}
    words = ["--cert", places[cert], *(["--key", places[key]] if key else [])]
    with serving(lambda connection: pytest.fail("it was connected to")) as port:
        status, out, err = run(f"localhost:{port}", *words)
    assert (status, out) == (2, "")
    error, hint = err.splitlines()
    with pytest.raises(VerifyError, match=problem):
        raise VerifyError(error.partition("error: ")[2])
    assert hint.startswith("hint: ")


def test_a_certificate_of_version_1_has_a_period_too(files: dict[str, str], tmp_path: Path) -> None:
    """It has one field less before it: openssl makes one of a request without extensions."""
    openssl = parts.need_program("openssl")
    made = tmp_path / "v1"
    subprocess.run(
        [openssl, "req", "-new", "-key", files["key"], "-subj", "/CN=client", "-out", made],
        check=True,
    )
    request = [openssl, "x509", "-req", "-in", made, "-signkey", files["key"], "-days"]
    texts = [
        subprocess.run([*request, days], check=True, capture_output=True, text=True).stdout
        for days in ("1", "400")
    ]
    periods = [client_certificate._validity(text) for text in texts]
    assert [(last - first).days for first, last in periods] == [1, 400]


def test_the_years_of_a_certificate() -> None:
    """RFC 5280 section 4.1.2.5: two digits until 2049, four after."""
    texts = {
        b"\x17\x0d491231235959Z": 2049,
        b"\x17\x0d500101000000Z": 1950,
        b"\x17\x0d991231235959Z": 1999,
        b"\x18\x0f20500101000000Z": 2050,
    }
    assert {text: client_certificate._time(text).year for text in texts} == texts


def test_no_password_is_asked_for(files: dict[str, str]) -> None:
    """Not even on a terminal, where OpenSSL would wait for one."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    terminal, end = pty.openpty()
    command = ["check", "localhost:1", "--cert", files["cert"], "--key", files["encrypted"]]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tlsfloor", *command],
            stdin=end,
            stdout=end,
            stderr=end,
            env=clean_environment(),
            start_new_session=True,
            timeout=60,
            check=False,
        )
        printed = os.read(terminal, 2**14).decode()
    finally:
        os.close(end)
        os.close(terminal)
    assert done.returncode == 2
    assert "is encrypted" in printed
    assert "pass phrase" not in printed


# Servers


@contextlib.contextmanager
def asking(
    mode: ssl.VerifyMode, version: ssl.TLSVersion, before_tls: Behaviour = nothing
) -> Iterator[int]:
    """Run a server of one version that asks for a certificate of ``AUTHORITY``."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(handshakes.PEER_FILE)
    AUTHORITY.configure_trust(server)
    server.verify_mode = mode
    server.minimum_version = server.maximum_version = version

    def behave(connection: socket.socket) -> None:
        connection.settimeout(10)
        before_tls(connection)
        with server.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    with serving(behave) as port:
        yield port


def examined(port: int, cert: str | None = None, protocol: str = "none") -> EndpointReport:
    return examination.examine_endpoint(
        Endpoint("localhost", port, protocol, "option"),
        context=negotiation.trust(handshakes.CA_FILE, cert),
        own=client_certificate.identity(cert) if cert else None,
    )


@pytest.mark.parametrize("version", [TLS1_2, TLS1_3])
def test_what_a_server_says_of_client_certificates(version: int, files: dict[str, str]) -> None:
    """In TLS 1.3 it says so after the handshake."""
    exactly = ssl.TLSVersion(version)
    with asking(ssl.CERT_REQUIRED, exactly) as port:
        without, good = examined(port), examined(port, files["both"])
        other = examined(port, handshakes.PEER_FILE)
    with asking(ssl.CERT_OPTIONAL, exactly) as port:
        optional = examined(port)
    with handshakes.ServerPeer(version, "ecdhe") as peer:
        indifferent = examined(peer.port, files["both"])
    reports = (without, good, other, optional, indifferent)
    assert [report.client_certificate for report in reports] == [
        "required",
        "accepted",
        "refused",
        "requested",
        "not requested",
    ]
    for report in reports:
        assert (version, "ecdhe") in accepted(report)
        assert report.cut_off(TLS1_2)[0] == "no"
        done = {attempt.handshake for attempt in report.attempts if attempt.outcome == "accepted"}
        asked = {attempt.certificate_requested for attempt in report.attempts if attempt.handshake}
        is_good = report not in (without, other)
        assert (done == {"completed"}) == is_good, done
        assert asked == {report is not indifferent}
        assert report.negotiated is not None
        assert report.negotiated.state == ("negotiated" if is_good else "refused")
    for report, says in ((without, "demands a"), (other, "refuses the")):
        why = report.cut_off(TLS1_2)[1]
        assert f", for a reason other than its version: it {says} client certificate: " in why
    alert = "certificate_required" if version == TLS1_3 else "handshake_failure"
    assert any(alert in attempt.handshake for attempt in without.attempts)


def test_a_server_of_mail_that_demands_a_certificate(files: dict[str, str]) -> None:
    before_tls = speaking("smtp", GOOD["smtp"], nothing)
    with asking(ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3, before_tls) as port:
        without, good = examined(port, None, "smtp"), examined(port, files["both"], "smtp")
    assert (without.client_certificate, good.client_certificate) == ("required", "accepted")
    assert accepted(without) == accepted(good) == {(TLS1_3, "ecdhe")}


def test_a_server_that_closes_the_connection_without_a_word(files: dict[str, str]) -> None:
    """OpenLDAP does that if TLSVerifyClient is demand and the client has no certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(handshakes.PEER_FILE)
    AUTHORITY.configure_trust(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    server.minimum_version = ssl.TLSVersion.TLSv1_3

    def behave(connection: socket.socket) -> None:
        connection.settimeout(10)
        with server.wrap_socket(connection, server_side=True) as tls:
            if tls.getpeercert():
                tls.recv(1)

    with serving(behave) as port:
        without, good = examined(port), examined(port, files["both"])
    assert (without.client_certificate, good.client_certificate) == ("required", "accepted")
    assert without.negotiated is not None
    assert (without.negotiated.state, without.negotiated.protocol) == ("closed", "TLSv1.3")
    why = "it demands a client certificate: it closes the connection after the handshake"
    assert without.cut_off(TLS1_2)[1].endswith(why)
    assert good.cut_off(TLS1_2) == ("no", "it accepts TLS 1.3")


def test_the_command_says_it_too(files: dict[str, str]) -> None:
    trusting = ["--ca-certs", handshakes.CA_FILE]
    with asking(ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3) as port:
        address = f"localhost:{port}"
        without = run(address, *trusting)
        apart = run(address, *trusting, "--cert", files["cert"], "--key", files["key"])
        found = run(address, *trusting, "--cert", files["both"], "--json")
    assert (without[0], apart[0], found[0]) == (0, 0, 0)
    assert "\n  it demands a client certificate: --cert and --key present one\n" in without[1]
    assert "\n  this Python completes a handshake with TLSv1.3 (" in without[1]
    assert ", then refused: TLSV13_ALERT_CERTIFICATE_REQUIRED\n" in without[1]
    assert "\n  it asks for a client certificate, and accepts that of --cert\n" in apart[1]
    assert "but this Python does not connect" not in apart[1]
    [endpoint] = json.loads(found[1])["endpoints"]
    assert endpoint["client_certificate"] == "accepted"
    assert {each["certificate_requested"] for each in endpoint["attempts"]} == {False, True}


def test_an_unusual_key_is_left_to_openssl(files: dict[str, str], tmp_path: Path) -> None:
    """tlslite-ng may not know its kind; the handshake of this Python decides."""
    for name in ("both", "certificate first"):
        assert client_certificate.identity(files[name])[1] is not None
    file = tmp_path / "both"
    file.write_bytes(Path(files["cert"]).read_bytes() + b"-----BEGIN PRIVATE KEY-----\nAAAA\n")
    assert client_certificate.identity(str(file)) == (None, None)
