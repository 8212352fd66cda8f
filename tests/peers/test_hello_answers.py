"""What an answer to a crafted hello says about the version: one row for each answer."""

from __future__ import annotations

import pytest
from tlsfloor.peers.hello_answers import (
    SILENT,
    HelloAnswer,
    first_message,
    judge_client_hello,
    judge_offer,
    judge_version,
)
from tlsfloor.versions import SSL3, TLS1_0, TLS1_2, TLS1_3
from tlsfloor.wire import ClientHello, Handshake, ServerHello, WireError, extensions
from tlsfloor.wire.server_hello import HELLO_RETRY_REQUEST

AES128_SHA = 0x002F


def alert(number: int, level: int = 2) -> bytes:
    return bytes((21, 3, 1, 0, 2, level, number))


def server_hello(version: int, *, suite: int = AES128_SHA, random: bytes = bytes(32)) -> bytes:
    chosen = [extensions.selected_version(version)] if version == TLS1_3 else None
    hello = ServerHello(min(version, TLS1_2), random, b"", suite, extensions=chosen)
    return hello.to_records(TLS1_0)


def test_an_alert_is_read_only_when_it_is_complete() -> None:
    assert first_message(b"") is None
    assert first_message(alert(70)[:-1]) is None
    with pytest.raises(WireError):
        first_message(b"\x15\3\1\0\1\2F")  # the record ends before the alert does


def test_a_warning_before_the_answer_is_skipped() -> None:
    """RFC 6066 section 3: a server may send unrecognized_name and go on."""
    warning = alert(112, level=1)
    assert first_message(warning) is None
    assert isinstance(first_message(warning + server_hello(TLS1_2)), Handshake)
    assert first_message(alert(0, level=1)) is not None  # close_notify ends the connection


@pytest.mark.parametrize(
    ("data", "version", "own_error", "expected"),
    [
        (alert(70), TLS1_0, None, ("refused", "alert protocol_version")),
        (alert(70), SSL3, "any error", ("refused", "alert protocol_version")),
        (alert(40), TLS1_0, None, ("accepted", "alert handshake_failure")),
        (alert(40), TLS1_0, "VERSION_TOO_LOW", ("accepted", "alert handshake_failure")),
        (alert(40), SSL3, None, ("inconclusive", "alert handshake_failure")),
        (alert(40), SSL3, "VERSION_TOO_LOW", ("refused", "VERSION_TOO_LOW")),
        (alert(40), SSL3, "another error", ("accepted", "alert handshake_failure")),
        (b"", TLS1_0, None, ("accepted", SILENT)),
        (b"", TLS1_0, "it waits", ("accepted", "it waits")),
        (server_hello(TLS1_2), TLS1_2, None, ("accepted", "server_hello")),
        (server_hello(TLS1_2), TLS1_0, None, ("refused", "it chooses TLS 1.2")),
        (server_hello(TLS1_2, suite=0x0005), TLS1_2, None, ("accepted", "server_hello")),
    ],
)
def test_only_an_answer_about_the_version_is_a_refusal_of_the_version(
    data: bytes, version: int, own_error: str | None, expected: tuple[str, str]
) -> None:
    answer = judge_version(first_message(data), version, own_error)
    assert (answer.outcome, answer.evidence) == expected


@pytest.mark.parametrize(
    ("data", "version", "expected"),
    [
        (alert(70), TLS1_0, ("refused", "alert protocol_version")),
        (alert(40), TLS1_0, ("refused", "alert handshake_failure")),
        (alert(80), TLS1_0, ("refused", "alert internal_error")),
        (alert(49), TLS1_0, ("inconclusive", "alert access_denied")),
        (alert(0), TLS1_0, ("inconclusive", "alert close_notify")),
        (alert(112), TLS1_0, ("inconclusive", "alert unrecognized_name")),
        (alert(112), SSL3, ("refused", "alert unrecognized_name")),  # it has no name to send
        (server_hello(TLS1_2), TLS1_2, ("accepted", "server_hello")),
        (server_hello(TLS1_3), TLS1_3, ("accepted", "server_hello")),
        (
            server_hello(TLS1_3, random=HELLO_RETRY_REQUEST),
            TLS1_3,
            ("accepted", "hello_retry_request"),
        ),
        (server_hello(TLS1_0), TLS1_2, ("refused", "it chooses TLS 1.0")),
        (
            server_hello(TLS1_2, suite=0x0005),
            TLS1_2,
            ("inconclusive", "it chooses a cipher suite that was not offered"),
        ),
    ],
)
def test_a_server_refuses_an_offer_by_any_alert_about_its_parameters(
    data: bytes, version: int, expected: tuple[str, str]
) -> None:
    message = first_message(data)
    assert message is not None
    answer = judge_offer(message, version, [AES128_SHA])
    assert (answer.outcome, answer.evidence) == expected


def test_what_is_neither_a_server_hello_nor_an_alert_is_an_error() -> None:
    for data in (b"\x17\3\3\0\4data", b"\x16\3\3\0\4\x0b\0\0\0"):  # application data, certificate
        message = first_message(data)
        assert message is not None
        for judge in (judge_version, lambda *found: judge_offer(*found, [AES128_SHA])):
            with pytest.raises(WireError):
                judge(message, TLS1_2)


def test_a_client_that_does_not_offer_tls_1_3_refuses_it() -> None:
    hello = ClientHello(TLS1_2, bytes(32), b"", [AES128_SHA])
    assert judge_client_hello(hello, TLS1_3) == HelloAnswer("refused", "it does not offer TLS 1.3")
    assert judge_client_hello(hello, TLS1_0) is None
    hello.extensions = [extensions.supported_versions([TLS1_3])]
    assert judge_client_hello(hello, TLS1_3) is None
