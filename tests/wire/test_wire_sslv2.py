"""The ClientHello in the SSL 2.0 format."""

from __future__ import annotations

import pytest

from tlsfloor.wire import ClientHello, Messages, Sslv2Hello, WireError
from tlsfloor.wire.records import SSLV2

# As an OpenSSL 0.9.8 client sends it that is ready for TLS 1.0 and anything below.
HELLO = bytes.fromhex(
    "802b"  # msg_length: the high bit, and 43 bytes follow
    "01"  # msg_type: CLIENT-HELLO
    "0301"  # version: TLS 1.0
    "0012"  # cipher_spec_length: 18 bytes, six specs
    "0000"  # session_id_length
    "0010"  # challenge_length: 16 bytes
    "00002f"  # TLS_RSA_WITH_AES_128_CBC_SHA, which is {0x00, 0x2f} in TLS
    "00000a"  # TLS_RSA_WITH_3DES_EDE_CBC_SHA
    "0700c0"  # SSL_CK_DES_192_EDE3_CBC_WITH_MD5, SSL 2.0 only
    "010080"  # SSL_CK_RC4_128_WITH_MD5, SSL 2.0 only
    "000005"  # TLS_RSA_WITH_RC4_128_SHA
    "0000ff"  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV
    "101112131415161718191a1b1c1d1e1f"  # challenge
)
SPECS = [0x2F, 0x0A, 0x0700C0, 0x010080, 0x05, 0xFF]


def test_it_is_recognised_parsed_and_written_back() -> None:
    messages = Messages()
    messages.feed(HELLO)
    record = messages.read()
    assert (record.content_type, record.version, messages.pending) == (SSLV2, 0x0301, 0)
    hello = Sslv2Hello.parse(record.fragment)
    assert hello == Sslv2Hello(0x0301, SPECS, b"", bytes(range(0x10, 0x20)))
    assert hello.to_records() == HELLO


def test_it_means_the_same_as_a_hello_without_extensions() -> None:
    hello = Sslv2Hello.parse(HELLO[2:]).to_client_hello()
    random = bytes(16) + bytes(range(0x10, 0x20))  # padded on the left
    assert hello == ClientHello(0x0301, random, b"", [0x2F, 0x0A, 0x05, 0xFF])
    assert hello.versions() == [0x0301]
    assert ClientHello.parse(hello.write()) == hello


def test_a_client_that_asks_for_ssl_2_offers_ssl_2() -> None:
    hello = Sslv2Hello(0x0002, [0x010080], bytes(16), bytes(16))
    assert Sslv2Hello.parse(hello.write()) == hello
    assert hello.to_client_hello().highest_version() == 0x0002


def test_every_prefix_needs_more_data_or_is_an_error() -> None:
    for size in range(len(HELLO)):
        messages = Messages()
        messages.feed(HELLO[:size])
        assert messages.read() is None
        with pytest.raises(WireError, match=r"^sslv2_hello\."):
            Sslv2Hello.parse(HELLO[2:size])


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"\x04", "msg_type at byte 0: is 4, not 1"),
        (3, b"\0\0", "cipher_spec_length at byte 3: is 0, the minimum is 3"),
        (3, b"\0\x13", "cipher_specs at byte 9: has 19 bytes, not a multiple of 3"),
        (3, b"\xff\xff", "cipher_specs at byte 9: needs 65535 bytes, 34 are left"),
        (5, b"\0\x08", "session_id_length at byte 5: is 8, not 0 or 16"),
        (5, b"\0\x10", "challenge at byte 43: needs 16 bytes, 0 are left"),
        (7, b"\0\x0f", "challenge_length at byte 7: is 15, not 16 to 32"),
        (7, b"\0\x21", "challenge_length at byte 7: is 33, not 16 to 32"),
        (7, b"\0\x11", "challenge at byte 27: needs 17 bytes, 16 are left"),
    ],
)
def test_a_wrong_length_is_an_error(offset, value, message) -> None:
    data = bytearray(HELLO[2:])
    data[offset : offset + len(value)] = value
    with pytest.raises(WireError) as caught:
        Sslv2Hello.parse(data)
    assert str(caught.value) == f"sslv2_hello.{message}"


def test_trailing_bytes_are_an_error() -> None:
    with pytest.raises(WireError, match=r"^sslv2_hello at byte 43: has 1 bytes too many$"):
        Sslv2Hello.parse(HELLO[2:] + b"\0")
