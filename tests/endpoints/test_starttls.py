"""``tlsfloor check`` with protocols that begin in plain text: real servers, and bad ones."""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
from typing import Any, Callable, Iterator

import parts
import pytest
from peers import serving
from test_check import accepted, drain, run

parts.need("certifi", "rich", "tlslite", "urllib3")

import starttls_servers
from tlsfloor.cli import check
from tlsfloor.endpoints import examination, negotiation, starttls
from tlsfloor.endpoints.attempts import Endpoint
from tlsfloor.endpoints.examination import EndpointReport
from tlsfloor.endpoints.starttls import StarttlsError
from tlsfloor.peers import crafted_hellos, handshakes
from tlsfloor.versions import FLOORS, TLS1_0, TLS1_1, TLS1_2, TLS1_3
from tlsfloor.wire import ClientHello

Behaviour = Callable[[socket.socket], None]

LEGACY = [TLS1_0, TLS1_1, TLS1_2, TLS1_3]


def examined(port: int, protocol: str, timeout: float = 10.0, **options: Any) -> EndpointReport:
    return examination.examine_endpoint(
        Endpoint("localhost", port, protocol, "option"), timeout=timeout, **options
    )


# Real servers


@pytest.fixture(
    scope="module",
    params=[
        (name, level) for name in starttls_servers.SERVERS for level in starttls_servers.LEVELS
    ],
    ids=" ".join,
)
def real(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, int]]]:
    name, level = request.param
    with starttls_servers.running(name, level) as ports:
        yield level, ports


def test_a_real_server(real: tuple[str, dict[str, int]]) -> None:
    """The legacy one is the control: what the modern one refuses is what that one accepts."""
    level, ports = real
    context = negotiation.trust(handshakes.CA_FILE)
    for protocol, port in ports.items():
        report = examined(port, protocol, context=context)
        if level == "plain":
            assert_nothing_is_proven(report, "no STARTTLS", REFUSALS[protocol][1].partition(":")[0])
            continue
        assert report.accepted() == (LEGACY if level == "legacy" else LEGACY[2:]), report
        below = ("yes", "TLS 1.0, TLS 1.1") if level == "legacy" else ("no", "")
        assert report.accepts_below(TLS1_2) == below
        assert {
            attempt.handshake for attempt in report.attempts if attempt.outcome == "accepted"
        } == {"completed"}
        assert report.negotiated is not None
        assert (report.negotiated.state, report.negotiated.protocol) == ("negotiated", "TLSv1.3")


# Protocols, by hand

_STREAM = b"<?xml version='1.0'?><stream:stream version='1.0'><stream:features>"


def mysql(capabilities: bytes) -> bytes:
    """A greeting of protocol 10, with the lower two bytes of the capabilities."""
    payload = b"\x0a8.0.0\0" + bytes(13) + capabilities + bytes(20) + b"name\0"
    return len(payload).to_bytes(3, "little") + b"\0" + payload


#: What a server says: the greeting if there is one, then an answer to each command.
GOOD = {
    "smtp": [b"220-mx\r\n220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n", b"220 go ahead\r\n"],
    "imap": [b"* OK hello\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK go ahead\r\n"],
    "pop3": [b"+OK hello\r\n", b"+OK go ahead\r\n"],
    "ftp": [b"220-hello\r\n 234 no end\r\n220 hello\r\n", b"234 go ahead\r\n"],
    "ldap": [b"\x30\x84\0\0\0\x10\x02\x01\x01\x78\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0"],
    "postgres": [b"S"],
    "mysql": [mysql(b"\xff\xff")],
    "xmpp": [_STREAM + b"<starttls xmlns='x'/></stream:features>", b"<proceed xmlns='x'/>"],
    "xmpp-server": [_STREAM + b"<starttls/></stream:features>", b"<proceed xmlns='x'/>"],
}

#: What it says last if it has no TLS -> what the report says.
REFUSALS = {
    "smtp": (b"454 4.7.0 TLS not available\r\n", "it refuses STARTTLS: b'454 4.7.0 TLS not"),
    "imap": (b"a1 BAD unknown command\r\n", "it refuses STARTTLS: b'a1 BAD"),
    "pop3": (b"-ERR unknown command\r\n", "it refuses STLS: b'-ERR"),
    "ftp": (b"530 Please log in\r\n", "it refuses AUTH TLS: b'530"),
    "ldap": (b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\0\x04\0", "it refuses StartTLS: b'0"),
    "postgres": (b"N", "it refuses SSLRequest: b'N'"),
    "mysql": (mysql(b"\xff\xf7"), "it does not offer TLS: b'"),
    "xmpp": (_STREAM + b"</stream:features>", 'it does not offer STARTTLS: b"<?xml'),
    "xmpp-server": (_STREAM + b"</stream:features>", 'it does not offer STARTTLS: b"<?xml'),
}

every_protocol = pytest.mark.parametrize("protocol", GOOD)


def speaking(protocol: str, replies: list[bytes], then: Behaviour = drain) -> Behaviour:
    """Say one reply after the other, each but a greeting after something was received."""
    preamble = starttls.PROTOCOLS[protocol]

    def behave(connection: socket.socket) -> None:
        for step, reply in zip(preamble.steps, replies):
            if step.send:
                connection.recv(4096)
            connection.sendall(reply)
        if preamble.last:
            connection.recv(len(preamble.last), socket.MSG_WAITALL)
        then(connection)

    return behave


def nothing(connection: socket.socket) -> None:
    """Go on with TLS."""


def test_every_protocol_is_tried() -> None:
    assert GOOD.keys() == REFUSALS.keys() == starttls.PROTOCOLS.keys()
    real = [server.protocols for server in starttls_servers.SERVERS.values()]
    assert {name for names in real for name in names} == starttls.PROTOCOLS.keys()


@every_protocol
def test_a_good_server_is_reached(protocol: str) -> None:
    """The control of everything below: the same words, with TLS 1.0 after them."""
    before_tls = speaking(protocol, GOOD[protocol], nothing)
    with handshakes.ServerPeer(TLS1_0, "rsa", before_tls=before_tls) as peer:
        report = examined(peer.port, protocol, context=negotiation.trust(handshakes.CA_FILE))
    assert accepted(report) == {(TLS1_0, "rsa")}
    assert {attempt.handshake for attempt in report.attempts} == {"", "completed"}
    assert (report.cut_off(TLS1_2)[0], report.unreliable) == ("yes", "")
    assert report.negotiated is not None
    assert (report.negotiated.state, report.negotiated.protocol) == ("refused", "")


def assert_nothing_is_proven(report: EndpointReport, state: str, reason: str) -> None:
    assert report.state == state
    assert reason in report.reason
    assert {attempt.outcome for attempt in report.attempts} == {"inconclusive"}
    assert (report.accepted(), report.negotiated) == ([], None)
    for floor in FLOORS.values():
        assert report.cut_off(floor) == ("unknown", f"{state}: {report.reason}")
        assert report.accepts_below(floor)[0] == "unknown"
    json.dumps(report.as_dict(TLS1_2))


@every_protocol
def test_a_refusal_of_tls_is_not_a_refusal_of_a_version(protocol: str) -> None:
    last, reason = REFUSALS[protocol]
    before = [] if protocol.startswith("xmpp") else GOOD[protocol][:-1]
    with serving(speaking(protocol, [*before, last])) as port:
        report = examined(port, protocol, context=negotiation.trust(handshakes.CA_FILE))
    assert_nothing_is_proven(report, "no STARTTLS", reason)
    assert len(report.attempts) == 2


@pytest.mark.parametrize(
    ("protocol", "replies", "reason"),
    [
        ("smtp", [b"554 no service\r\n"], "it turns clients away: b'554 no"),
        ("smtp", [b"220 mx\r\n", b"502 no EHLO\r\n"], "it refuses EHLO: b'502"),
        ("imap", [b"* BYE too many connections\r\n"], "it turns clients away: b'* BYE"),
        ("imap", [b"* PREAUTH hello\r\n"], "it turns clients away: b'* PREAUTH"),
        ("imap", [b"* OK hello\r\n", b"* BYE later\r\n"], "it refuses STARTTLS: b'* BYE"),
        ("ftp", [b"421 too many users\r\n"], "it turns clients away: b'421"),
        ("postgres", [b"E\0\0\0\x10SFATAL\0Mno\0\0"], "it refuses SSLRequest: b'E"),
        ("mysql", [b"\x17\0\0\0\xff\x10\x04Too many connections"], "Too many connections"),
        ("xmpp", [GOOD["xmpp"][0], b"<failure xmlns='x'/></stream:stream>"], "refuses STARTTLS"),
        ("xmpp", [b"<stream:stream><stream:error><host-unknown/></stream:error>"], "host-unknown"),
    ],
)
def test_a_server_that_turns_clients_away(protocol: str, replies: list[bytes], reason: str) -> None:
    with serving(speaking(protocol, replies)) as port:
        report = examined(port, protocol)
    assert_nothing_is_proven(report, "no STARTTLS", reason)


#: What an attacker could add to the go-ahead: text, and TLS that is about versions.
INJECTED = {
    "text": b"250 2.0.0 done\r\n",
    "the end of another answer": b"a1 OK\r\n234 \r\n<a/></stream:stream>",
    "an alert": b"\x15\3\1\0\2\2\x46",
    "a ServerHello": crafted_hellos.server_hello(
        ClientHello.parse(crafted_hellos.client_hello(TLS1_2, "ecdhe")[9:]), TLS1_2
    ),
}


@pytest.mark.parametrize("injected", INJECTED.values(), ids=INJECTED)
@every_protocol
def test_bytes_that_come_with_the_go_ahead_are_not_read_as_tls(
    protocol: str, injected: bytes
) -> None:
    """CVE-2011-0411's kind. The peer would complete a handshake; nothing counts as one."""
    good = GOOD[protocol]
    before_tls = speaking(protocol, [*good[:-1], good[-1] + injected], nothing)
    with handshakes.ServerPeer(TLS1_2, "ecdhe", before_tls=before_tls) as peer:
        report = examined(peer.port, protocol, context=negotiation.trust(handshakes.CA_FILE))
        alone = negotiation.negotiate(
            report.endpoint, "127.0.0.1", negotiation.trust(handshakes.CA_FILE)
        )
    reason = "it sends plain text after its go-ahead for TLS and before the handshake"
    assert_nothing_is_proven(report, "no STARTTLS", reason)
    assert (alone.state, alone.protocol) == ("no STARTTLS", "")
    assert reason in alone.reason


@every_protocol
def test_plain_text_instead_of_a_handshake(protocol: str) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"500 what was that\r\n")
        drain(connection)

    with serving(speaking(protocol, GOOD[protocol], answer)) as port:
        report = examined(port, protocol)
    reason = "it answers b'500 what was that\\r\\n', after its go-ahead for TLS"
    assert_nothing_is_proven(report, "not TLS", reason)


OTHERS = {
    "ssh": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "alert": b"\x15\3\1\0\2\2\x46\n",
    "telnet": b"\xff\xfd\x18\xff\xfd\x20\n",
    "redis": b"-ERR unknown command 'EHLO'\r\n",
    "mysql": mysql(b"\xff\xff"),
    "smtp": b"220 mx ESMTP\r\n",
}


@pytest.mark.parametrize(
    ("protocol", "other"),
    [
        (protocol, other)
        for protocol in GOOD
        for other in OTHERS
        if other != protocol and (protocol, other) != ("ftp", "smtp")  # they greet alike
    ],
)
def test_another_protocol(protocol: str, other: str) -> None:
    with serving(speaking(protocol, [OTHERS[other]])) as port:
        report = examined(port, protocol)
    expected = {
        ("pop3", "redis"): "it turns clients away: ",
        ("postgres", "ssh"): "it sends plain text after its go-ahead",  # it begins with S, too
    }.get((protocol, other), f"it does not speak {protocol}: b")
    assert_nothing_is_proven(report, "no STARTTLS", expected)


ENDLESS = {
    "smtp": b"220-more\r\n" * 99,
    "imap": b"x" * 999,
    "pop3": b"x" * 999,
    "ftp": b"220-more\r\n" * 99,
    "ldap": b"\x30\x83\xff\xff\xff" + bytes(999),
    "mysql": b"\xff\xff\xff\0\x0a" + bytes(999),
    "xmpp": b"<a>" * 333,
}


@pytest.mark.parametrize("protocol", ENDLESS)
def test_an_answer_without_end(protocol: str) -> None:
    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(ENDLESS[protocol])

    with serving(flood) as port:
        report = examined(port, protocol)
    assert_nothing_is_proven(report, "no STARTTLS", "it sends ")
    sent = int(report.reason.split()[2])
    assert 2**14 < sent <= 2**14 + 4096


def test_a_server_that_hangs() -> None:
    with serving(speaking("smtp", [])) as port:
        silent = examined(port, "smtp", 0.3)
    with serving(speaking("smtp", GOOD["smtp"][:2])) as port:
        amid = examined(port, "smtp", 0.3, context=negotiation.trust(handshakes.CA_FILE))
        alone = negotiation.negotiate(
            amid.endpoint, "127.0.0.1", negotiation.trust(handshakes.CA_FILE), 0.3
        )
    with serving(speaking("smtp", GOOD["smtp"])) as port:
        after = examined(port, "smtp", 0.3)
    assert_nothing_is_proven(silent, "timed out", "no greeting in time")
    assert_nothing_is_proven(amid, "timed out", "no answer to STARTTLS in time")
    assert_nothing_is_proven(after, "timed out", "no answer within 0.3 s, after its go-ahead")
    assert (alone.state, alone.reason) == ("timed out", "no answer to STARTTLS in time")


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_connection_that_is_closed_before_the_go_ahead_is_no_refusal(steps: int) -> None:
    """A rate limit does that; only after the go-ahead can it be about the version."""
    with serving(speaking("smtp", GOOD["smtp"][:steps], nothing)) as port:
        report = examined(port, "smtp")
    assert report.state == "no STARTTLS"
    assert "it closes the connection without any " in report.reason or "reset" in report.reason
    assert {attempt.outcome for attempt in report.attempts} == {"inconclusive"}


def test_a_rate_limit_of_a_mail_server_is_no_refusal() -> None:
    """It answers three offers, and turns the others away with 421."""
    count = 0

    def before_tls(connection: socket.socket) -> None:
        nonlocal count
        count += 1
        good = count < 5
        replies = GOOD["smtp"] if good else [b"421 too many connections\r\n"]
        speaking("smtp", replies, nothing)(connection)
        if not good:
            raise ConnectionError("turned away")

    with handshakes.ServerPeer(TLS1_2, "ecdhe", before_tls=before_tls) as peer:
        report = examined(peer.port, "smtp")
    assert report.accepted() == [TLS1_2]
    assert report.accepts_below(TLS1_2)[0] == "unknown"
    assert "421 too many connections" in report.accepts_below(TLS1_2)[1]


# Without a socket


def conversation(protocol: str, data: bytes, size: int) -> tuple[list[bytes], bytes]:
    """Feed ``talk`` with so many bytes at a time; return what it sent, and its last word."""
    sent = []
    steps = starttls.talk(protocol, "mx.example")
    try:
        to_send = next(steps)
        while True:
            sent += [to_send] * bool(to_send)
            received, data = data[:size], data[size:]
            to_send = steps.send(received)
    except StopIteration as end:
        return sent, end.value


@every_protocol
def test_an_answer_may_come_in_pieces(protocol: str) -> None:
    whole = b"".join(GOOD[protocol])
    preamble = starttls.PROTOCOLS[protocol]
    expected = [step.send.replace(b"{host}", b"mx.example") for step in preamble.steps if step.send]
    assert conversation(protocol, whole, 1) == (expected, preamble.last)
    for length in range(len(whole)):
        with pytest.raises(StarttlsError, match="it closes the connection without any"):
            conversation(protocol, whole[:length], 1)


@every_protocol
def test_a_connection_that_breaks_names_the_step(protocol: str) -> None:
    for error, failure in ((socket.timeout(), "timed out"), (OSError("reset"), "no STARTTLS")):
        steps = starttls.talk(protocol, "mx.example")
        next(steps)
        with pytest.raises(StarttlsError, match=r"no (greeting|answer to \w+)") as caught:
            steps.throw(error)
        assert caught.value.failure == failure


@every_protocol
def test_random_bytes_are_never_a_go_ahead(protocol: str) -> None:
    chance = random.Random(protocol)
    good = b"".join(GOOD[protocol])
    for _ in range(300):
        data = bytearray(good if chance.random() < 0.5 else bytes(chance.choices(range(256), k=60)))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            conversation(protocol, bytes(data), chance.randrange(1, 99))
        except StarttlsError as error:
            assert str(error).isprintable()


# The command


@pytest.mark.parametrize(
    ("text", "protocol", "expected"),
    [
        ("mx:25", None, ("mx", 25, "smtp", "port")),
        ("mx:587", None, ("mx", 587, "smtp", "port")),
        ("mx:465", None, ("mx", 465, "none", "port")),
        ("mx:143", None, ("mx", 143, "imap", "port")),
        ("mx:110", None, ("mx", 110, "pop3", "port")),
        ("files:21", None, ("files", 21, "ftp", "port")),
        ("ldap:389", None, ("ldap", 389, "ldap", "port")),
        ("db:5432", None, ("db", 5432, "postgres", "port")),
        ("db:3306", None, ("db", 3306, "mysql", "port")),
        ("chat:5222", None, ("chat", 5222, "xmpp", "port")),
        ("chat:5269", None, ("chat", 5269, "xmpp-server", "port")),
        ("cache:6379", None, ("cache", 6379, "none", "port")),
        ("example.com", None, ("example.com", 443, "none", "port")),
        ("https://example.com:25", None, ("example.com", 25, "none", "url")),
        ("smtp://mx", None, ("mx", 25, "smtp", "url")),
        ("smtp://mx:2525", None, ("mx", 2525, "smtp", "url")),
        ("imap://mx", None, ("mx", 143, "imap", "url")),
        ("pop3://mx", None, ("mx", 110, "pop3", "url")),
        ("ftp://files/a", None, ("files", 21, "ftp", "url")),
        ("ldap://[::1]", None, ("::1", 389, "ldap", "url")),
        ("postgresql://user:word@db/name", None, ("db", 5432, "postgres", "url")),
        ("postgresql+psycopg2://db:5433/name", None, ("db", 5433, "postgres", "url")),
        ("mysql+pymysql://db/name", None, ("db", 3306, "mysql", "url")),
        ("mariadb://db", None, ("db", 3306, "mysql", "url")),
        ("xmpp://chat", None, ("chat", 5222, "xmpp", "url")),
        ("amqp+tls://broker:25", None, ("broker", 25, "smtp", "port")),
        ("mx:25", "none", ("mx", 25, "none", "option")),
        ("mx", "smtp", ("mx", 25, "smtp", "option")),
        ("mx", "none", ("mx", 443, "none", "option")),
        ("mx:443", "imap", ("mx", 443, "imap", "option")),
        ("smtp://mx", "none", ("mx", 25, "none", "option")),
    ],
)
def test_the_protocol_of_an_endpoint(
    text: str, protocol: str | None, expected: tuple[str, int, str, str]
) -> None:
    found = check.parse_endpoint(text, protocol=protocol)
    assert (found.host, found.port, found.starttls, found.starttls_from) == expected


def test_a_protocol_may_have_the_name_of_its_scheme() -> None:
    parser = argparse.ArgumentParser()
    check.options(parser)
    for name, protocol in {**starttls.SCHEMES, "SMTP": "smtp", "none": "none"}.items():
        assert parser.parse_args(["--starttls", name, "localhost"]).starttls == protocol


def test_the_report_says_what_was_spoken_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    before_tls = speaking("smtp", GOOD["smtp"], nothing)
    with handshakes.ServerPeer(TLS1_2, "ecdhe", before_tls=before_tls) as peer:
        monkeypatch.setitem(starttls.PORTS, peer.port, "smtp")
        ways = {
            "option": ["--starttls", "smtp", f"localhost:{peer.port}"],
            "url": [f"smtp://localhost:{peer.port}"],
            "port": [f"localhost:{peer.port}"],
        }
        texts = {way: run(*words, "--ca-certs", handshakes.CA_FILE) for way, words in ways.items()}
        found = {way: run(*words, "--json") for way, words in ways.items()}
    for way, says in {
        "option": "by --starttls",
        "url": "by its URL",
        "port": "a guess from its port",
    }.items():
        status, out, err = texts[way]
        assert (status, err) == (0, "")
        assert f"\n  STARTTLS: smtp ({says})\n" in out
        assert "\n  this Python connects with TLSv1.2 (" in out
        [endpoint] = json.loads(found[way][1])["endpoints"]
        assert (endpoint["starttls"], endpoint["starttls_from"]) == ("smtp", way)


def test_a_wrong_guess_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with handshakes.ServerPeer(TLS1_2, "ecdhe") as peer:
        monkeypatch.setitem(starttls.PORTS, peer.port, "smtp")
        address = f"localhost:{peer.port}"
        status, out, _ = run(address, "--timeout", "0.3")
        right = run(address, "--starttls", "none", "--timeout", "0.3")
    with serving(speaking("pop3", [b"-ERR\r\n"])) as refusing, handshakes.ServerPeer(
        TLS1_2
    ) as peer:
        monkeypatch.setitem(starttls.PORTS, refusing, "pop3")
        monkeypatch.setitem(starttls.PORTS, peer.port, "postgres")
        refused = run(f"localhost:{refusing}")
        other = run(f"localhost:{peer.port}")
    assert status == refused[0] == other[0] == 3
    assert "it turns clients away: b'-ERR'\n" in refused[1]  # it speaks what was guessed
    assert "; postgres is a guess from the port" in other[1]
    assert "timed out: no greeting in time; smtp is a guess from the port: --starttls names" in out
    assert "\n  STARTTLS: smtp (a guess from its port)\n" in out
    assert right[0] == 0
    assert "STARTTLS" not in right[1]


def closes_without_a_word(connection: socket.socket) -> None:
    """Do what PostgreSQL does if a client begins with TLS."""
    connection.recv(4096)


@pytest.mark.parametrize("server", [speaking("ftp", [b"220 hello\r\n"]), closes_without_a_word])
def test_plain_text_at_an_unknown_port_names_the_option(server: Behaviour) -> None:
    with serving(server) as port:
        status, out, _ = run(f"localhost:{port}")
        told = run(f"localhost:{port}", "--starttls", "none")
    assert (status, told[0]) == (3, 3)
    assert "b'220 hello" in out or "it closes after 0 bytes;" in out
    assert "; if it begins in plain text, --starttls names its protocol\n" in out
    assert "--starttls names" not in told[1]


def test_an_unknown_protocol_is_a_usage_error() -> None:
    status, out, err = run("mx", "--starttls", "gopher")
    assert (status, out) == (2, "")
    assert "argument --starttls: invalid choice: 'gopher'" in err


def test_the_option_is_for_a_file_too(tmp_path: Any) -> None:
    (tmp_path / "hosts").write_text("mx\n")
    file = os.fspath(tmp_path / "hosts")
    assert check.endpoints_of_file(file, "imap") == [Endpoint("mx", 143, "imap", "option")]
