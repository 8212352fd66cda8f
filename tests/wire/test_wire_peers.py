"""Parse the hellos of real peers, and let real peers parse hellos written here.

Three implementations: the OpenSSL behind Python's ``ssl`` (in memory), tlslite-ng (in memory), and
``openssl s_client`` (on loopback). What one of them does not speak is skipped with the reason.
"""

from __future__ import annotations

import errno
import socket
import ssl
import subprocess
import warnings

import pytest

import parts
from tlsfloor.wire import Alert, ClientHello, Handshake, Messages, Record, ServerHello
from tlsfloor.wire import extensions as ext
from tlsfloor.wire.alerts import PROTOCOL_VERSION
from tlsfloor.wire.client_hello import TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV
from tlsfloor.wire.messages import CLIENT_HELLO, SERVER_HELLO
from tlsfloor.wire.records import ALERT, CHANGE_CIPHER_SPEC

HOST = "floor.example"
VERSIONS = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}
AES128_SHA, ECDHE_RSA_AES128_GCM = 0x002F, 0xC02F

versions = pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)


class Memory:
    """One end of an ssl connection whose other end is this test."""

    def __init__(self, context, *, server_side=False) -> None:
        self.inbox, self.outbox = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server_side else HOST
        self.tls = context.wrap_bio(self.inbox, self.outbox, server_side, name)

    def answer(self, data=b""):
        """Feed it, let it work, and return what it has to say; its refusal is in there too."""
        self.inbox.write(data)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.refused = False
        except ssl.SSLError:
            self.refused = True
        return self.outbox.read()


def only(context, version):
    """Limit a context to one version, and let OpenSSL accept legacy versions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.fixture(scope="module")
def authority():
    return pytest.importorskip("trustme", reason="trustme is not installed").CA()


@pytest.fixture(scope="module")
def certificate(authority):
    """Return an RSA certificate, which works in every version with both kinds of key exchange."""
    trustme = pytest.importorskip("trustme")
    return authority.issue_cert(HOST, key_type=trustme.KeyType.RSA)


@pytest.fixture
def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def first(data):
    messages = Messages()
    messages.feed(data)
    return messages.read()


def client_hello(data):
    """Parse a captured ClientHello and check that it is written back byte for byte."""
    message = first(data)
    if message is None or message == Record(ALERT, 0x0301, b"\x02\x50"):
        pytest.skip("this peer cannot be made to offer that version")
    assert message.msg_type == CLIENT_HELLO
    hello = ClientHello.parse(message.body)
    assert hello.write() == message.body
    assert len(hello.random) == 32
    assert hello.duplicates() == []
    return hello


def server_hello(data):
    message = first(data)
    assert isinstance(message, Handshake), message
    assert message.msg_type == SERVER_HELLO
    hello = ServerHello.parse(message.body)
    assert hello.write() == message.body
    return hello


def test_a_default_context_of_ssl_offers_up_to_tls_1_3(client_context) -> None:
    client_context.set_alpn_protocols(["h2", "http/1.1"])
    hello = client_hello(Memory(client_context).answer())
    assert hello.legacy_version == 0x0303
    assert hello.highest_version() == 0x0304
    assert 0x0303 in hello.versions()
    assert hello.server_name() == HOST
    assert hello.alpn() == [b"h2", b"http/1.1"]
    assert TLS_EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites or hello.extension(0xFF01)


@versions
def test_a_context_of_ssl_for_one_version_offers_that_version(client_context, version) -> None:
    hello = client_hello(Memory(only(client_context, version)).answer())
    assert hello.versions() == [version]
    assert hello.highest_version() == version
    assert hello.server_name() == HOST


@versions
def test_a_server_of_ssl_selects_the_version(client_context, server_context, version) -> None:
    """Its random says whether it supports a higher version."""
    hello = Memory(only(client_context, version)).answer()
    assert client_hello(hello).highest_version() == version
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server_context.minimum_version = ssl.TLSVersion.TLSv1
    server_context.set_ciphers("ALL:@SECLEVEL=0")
    answer = server_hello(Memory(server_context, server_side=True).answer(hello))
    assert answer.version() == version
    assert answer.legacy_version == min(version, 0x0303)
    assert answer.downgrade() == {0x0304: None, 0x0303: 0x0303}.get(version, 0x0302)
    assert not answer.is_retry()


def test_a_server_that_wants_another_group_asks_again(client_context, server_context) -> None:
    server_context.set_ecdh_curve("secp384r1")
    client, server = Memory(client_context), Memory(server_context, server_side=True)
    retry = server.answer(client.answer())
    assert server_hello(retry).is_retry()
    assert server_hello(retry).version() == 0x0304
    messages = Messages()
    messages.feed(client.answer(retry))
    change, again = iter(messages.read, None)
    assert change == Record(CHANGE_CIPHER_SPEC, 0x0303, b"\x01")
    # parsed, written and split into other records, it is still what the server waits for
    answer = server.answer(ClientHello.parse(again.body).to_records(0x0303, 50))
    assert not server_hello(answer).is_retry()


@pytest.mark.parametrize("size", [1, 100, 2**14])
def test_a_server_of_ssl_accepts_a_hello_written_here(server_context, size) -> None:
    hello = written(0x0303)
    answer = Memory(server_context, server_side=True).answer(hello.to_records(0x0301, size))
    assert server_hello(answer).version() == 0x0303
    assert server_hello(answer).cipher_suite == ECDHE_RSA_AES128_GCM
    assert server_hello(answer).extension(ext.RENEGOTIATION_INFO) == b"\0"


def test_a_server_of_ssl_refuses_a_version_with_an_alert(server_context) -> None:
    server_context.minimum_version = ssl.TLSVersion.TLSv1_2
    server = Memory(server_context, server_side=True)
    record = first(server.answer(written(0x0301).to_records(0x0301)))
    assert server.refused
    assert Alert.parse(record.fragment) == Alert(2, PROTOCOL_VERSION)


def test_a_server_of_ssl_refuses_a_fallback_with_an_alert(server_context) -> None:
    hello = written(0x0303)
    hello.cipher_suites.append(TLS_FALLBACK_SCSV)
    record = first(Memory(server_context, server_side=True).answer(hello.to_records(0x0301)))
    assert Alert.parse(record.fragment).name == "inappropriate_fallback"


@pytest.mark.parametrize(
    ("minimum", "version", "alert"),
    [
        (0x0303, 0x0303, None),
        (0x0303, 0x0301, "protocol_version"),
        (0x0301, 0x0301, None),
        (0x0301, 0x0300, "protocol_version"),
        (0x0301, 0x7A7A, "protocol_version"),
    ],
)
def test_a_client_of_ssl_checks_the_version_of_a_server_hello_written_here(
    client_context, minimum, version, alert
) -> None:
    """It waits for the certificate if it accepts the version, and sends an alert if it does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client_context.minimum_version = minimum
    client_context.set_ciphers("ALL:@SECLEVEL=0")
    client = Memory(client_context)
    assert AES128_SHA in client_hello(client.answer()).cipher_suites
    hello = ServerHello(version, bytes(32), b"", AES128_SHA, extensions=[ext.renegotiation_info()])
    answer = client.answer(hello.to_records(min(version, 0x0303)))
    assert client.refused == (alert is not None)
    assert (answer and Alert.parse(first(answer).fragment).name) == (alert or b"")


class Wire:
    """A stand-in for tlslite-ng's socket: records what is sent, returns prepared bytes."""

    def __init__(self, received=b"") -> None:
        self.sent, self.received = bytearray(), bytearray(received)

    def send(self, data):
        self.sent += data
        return len(data)

    sendall = send

    def recv(self, size):
        if not self.received:
            raise OSError(errno.EWOULDBLOCK, "nothing more")
        taken, self.received = bytes(self.received[:size]), self.received[size:]
        return taken

    def close(self) -> None:
        """Do nothing: it closes its socket when it fails, and the reason is what is wanted."""


def tlslite_settings(version):
    settings = pytest.importorskip("tlslite.handshakesettings").HandshakeSettings()
    pair = (version >> 8, version & 0xFF)
    settings.minVersion = settings.maxVersion = pair
    settings.versions = [pair]
    settings.eccCurves = ["x25519", "secp256r1"]  # its brainpool curves are not for TLS 1.3
    settings.keyShares = ["x25519"]
    return settings


def until_it_waits(handshake):
    for state in handshake:
        if state == 0:  # it wants to read
            return


@pytest.mark.parametrize("version", [0x0300, *VERSIONS.values()], ids=["SSL 3", *VERSIONS])
def test_a_client_of_tlslite_offers_its_version(version) -> None:
    api = pytest.importorskip("tlslite.api", reason="tlslite-ng is not installed")
    wire = Wire()
    until_it_waits(
        api.TLSConnection(wire).handshakeClientCert(
            settings=tlslite_settings(version), serverName=HOST, async_=True
        )
    )
    hello = client_hello(bytes(wire.sent))
    assert hello.highest_version() == version
    assert version in hello.versions()
    assert hello.server_name() == (None if hello.extensions is None else HOST)


@versions
def test_a_server_of_tlslite_selects_its_version(certificate, client_context, version) -> None:
    api = pytest.importorskip("tlslite.api", reason="tlslite-ng is not installed")
    offer = Memory(only(client_context, version)).answer()
    client_hello(offer)
    chain = api.X509CertChain()
    chain.parsePemList(certificate.cert_chain_pems[0].bytes().decode())
    key = api.parsePEMKey(certificate.private_key_pem.bytes().decode(), private=True)
    wire = Wire(offer)
    until_it_waits(
        api.TLSConnection(wire).handshakeServerAsync(
            certChain=chain, privateKey=key, settings=tlslite_settings(version)
        )
    )
    hello = server_hello(bytes(wire.sent))
    assert hello.version() == version


@pytest.mark.parametrize(
    ("arguments", "highest"),
    [
        ([], 0x0304),
        (["-tls1_2"], 0x0303),
        (["-tls1_2", "-fallback_scsv"], 0x0303),
        (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], 0x0301),
    ],
    ids=["default", "1.2", "fallback", "1.0"],
)
def test_openssl_s_client_offers_its_version(arguments, highest) -> None:
    program = parts.need_program("openssl")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(10)
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        command = [program, "s_client", "-connect", target, "-servername", HOST, *arguments]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, **silent) as client:
            try:
                connection = listener.accept()[0]
                with connection:
                    connection.settimeout(10)
                    hello = client_hello(connection.recv(2**14))
            finally:
                client.kill()
    assert hello.highest_version() == highest
    assert hello.server_name() == HOST
    assert (TLS_FALLBACK_SCSV in hello.cipher_suites) == ("-fallback_scsv" in arguments)


def written(version):
    return ClientHello(
        version,
        bytes(range(32)),
        b"",
        [ECDHE_RSA_AES128_GCM, AES128_SHA, 0x7A7A, TLS_EMPTY_RENEGOTIATION_INFO_SCSV],
        extensions=[
            (0x7A7A, b"grease"),
            ext.server_name(HOST),
            ext.numbers(ext.SUPPORTED_GROUPS, [0x001D, 0x0017]),
            (ext.EC_POINT_FORMATS, b"\x01\0"),
            ext.numbers(ext.SIGNATURE_ALGORITHMS, [0x0804, 0x0401, 0x0403, 0x0201]),
        ],
    )
