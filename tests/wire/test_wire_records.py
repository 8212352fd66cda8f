"""Read records from a stream, and handshake messages from records."""

from __future__ import annotations

import pytest

from tlsfloor.wire import Handshake, Messages, Record, Records, WireError
from tlsfloor.wire.messages import MAX_HANDSHAKE
from tlsfloor.wire.records import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    MAX_CIPHERTEXT,
    MAX_PLAINTEXT,
    SSLV2,
    write_records,
)


def read_all(reader, data):
    """Return what is read before an error, and the text of the error or ``None``."""
    reader.feed(data)
    found = []
    try:
        while (item := reader.read()) is not None:
            found.append(item)
    except WireError as error:
        with pytest.raises(WireError) as again:
            reader.read()
        assert again.value.args == error.args, "reading on gives the error again"
        return found, str(error)
    return found, None


@pytest.mark.parametrize("content_type", [20, 21, 22, 23, 24, 0, 0x7A, 0xFF])
@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303, 0x037A])
def test_a_record_is_read_with_any_numbers(content_type, version) -> None:
    record = Record(content_type, version, b"content")
    assert read_all(Records(), record.write()) == ([record], None)


def test_every_prefix_of_a_record_needs_more_data() -> None:
    data = Record(HANDSHAKE, 0x0301, b"content").write()
    for size in range(len(data)):
        records = Records()
        assert read_all(records, data[:size]) == ([], None)
        assert records.pending == size


def test_bytes_after_a_record_are_kept() -> None:
    first, second = Record(ALERT, 0x0303, b"\x01\0"), Record(23, 0x0303, b"")
    records = Records()
    assert read_all(records, first.write() + second.write() + b"\x16") == ([first, second], None)
    assert records.pending == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("16 0301 4001", "record.length at byte 3: is 16385, the maximum is 16384"),
        ("7a 0301 ffff", "record.length at byte 3: is 65535, the maximum is 16384"),
        ("17 0303 4801", "record.length at byte 3: is 18433, the maximum is 18432"),
        ("14 0303 0000", "record.length at byte 3: is 0, the minimum is 1"),
        ("15 0303 0000", "record.length at byte 3: is 0, the minimum is 1"),
        ("16 0303 0000", "record.length at byte 3: is 0, the minimum is 1"),
        ("16 7a7a 0001", "record.version at byte 1: 0x7a7a is not a TLS version"),
    ],
)
def test_a_wrong_header_is_an_error_before_the_content_arrives(header, message) -> None:
    assert read_all(Records(), bytes.fromhex(header)) == ([], message)


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request", b"SSH-2.0-x", b"220 smtp ready"])
def test_another_protocol_is_an_error_after_five_bytes(text) -> None:
    found, message = read_all(Records(), text)
    assert found == []
    assert message.startswith("record.version at byte 1: ")


def test_an_offset_counts_from_the_start_of_the_stream() -> None:
    first = Record(ALERT, 0x0303, b"\x01\0")
    found, message = read_all(Records(), first.write() * 2 + b"GET / ")
    assert found == [first, first]
    assert message == "record.version at byte 15: 0x4554 is not a TLS version"


def test_the_longest_records_are_accepted() -> None:
    plain = Record(HANDSHAKE, 0x0303, bytes(MAX_PLAINTEXT))
    cipher = Record(APPLICATION_DATA, 0x0303, bytes(MAX_CIPHERTEXT))
    assert read_all(Records(), plain.write() + cipher.write()) == ([plain, cipher], None)


def test_records_after_change_cipher_spec_may_be_as_long_as_ciphertext() -> None:
    change = Record(CHANGE_CIPHER_SPEC, 0x0303, b"\x01")
    finished = Record(HANDSHAKE, 0x0303, bytes(MAX_CIPHERTEXT))
    assert read_all(Records(), change.write() + finished.write()) == ([change, finished], None)
    found, message = read_all(Records(), finished.write())
    assert found == []
    assert message.endswith("the maximum is 16384")


def test_an_sslv2_record_is_only_accepted_first_in_a_stream() -> None:
    v2 = Record(SSLV2, 0x0301, b"\x01\x03\x01 and so on")
    alert = Record(ALERT, 0x0301, b"\x02\x46")
    assert read_all(Records(), v2.write() + alert.write()) == ([v2, alert], None)
    found, message = read_all(Records(), alert.write() + v2.write())
    assert found == [alert]
    assert message.startswith("record.version at byte 8: ")


@pytest.mark.parametrize(
    ("start", "is_v2"),
    [
        ("8009 01 0301", True),
        ("8009 01 0002", True),
        ("ffff 01 0303", True),
        ("8008 01 0301", False),  # too short for the fixed fields
        ("8009 02 0301", False),  # not a CLIENT-HELLO
        ("8009 01 0401", False),  # not a version
        ("0009 01 0301", False),  # the header with padding, which RFC 5246 appendix E.2 excludes
    ],
)
def test_an_sslv2_record_is_recognised_by_its_first_five_bytes(start, is_v2) -> None:
    records = Records()
    records.feed(bytes.fromhex(start))
    if is_v2:
        assert records.read() is None
        records.feed(bytes(0xFFFF))
        assert records.read().content_type == SSLV2
    else:
        with pytest.raises(WireError):
            records.read()


def test_a_record_too_long_for_its_length_field_cannot_be_written() -> None:
    with pytest.raises(WireError, match=r"^record.length at byte 3: 0x10000 does not fit"):
        Record(22, 0x0301, bytes(0x10000)).write()
    with pytest.raises(WireError, match=r"^record.length at byte 0: 0x10000 does not fit"):
        Record(SSLV2, 0x0301, bytes(0x8000)).write()


def test_a_record_can_be_written_with_any_values() -> None:
    assert Record(0, 0xFFFF, b"").write() == b"\x00\xff\xff\x00\x00"
    assert Record(HANDSHAKE, 0x7A7A, bytes(0xFFFF)).write()[:5] == b"\x16\x7a\x7a\xff\xff"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 100])
def test_messages_are_collected_from_records_of_any_size(size) -> None:
    first, second = Handshake(1, b"the first"), Handshake(0x7A, b"")
    alert = Record(ALERT, 0x0301, b"\x02\x46")
    data = write_records(HANDSHAKE, 0x0301, first.write() + second.write(), size)
    assert len(data) == 17 + 5 * -(-17 // size)
    messages = Messages()
    assert read_all(messages, data + alert.write()) == ([first, second, alert], None)
    assert messages.pending == 0


def test_every_prefix_of_a_message_needs_more_data() -> None:
    data = write_records(HANDSHAKE, 0x0301, Handshake(2, b"body").write(), 3)
    for size in range(len(data)):
        messages = Messages()
        assert read_all(messages, data[:size]) == ([], None)
        assert bool(messages.pending) == bool(size)


def test_another_record_between_the_parts_of_a_message_is_an_error() -> None:
    whole = Handshake(2, b"")
    part = Record(HANDSHAKE, 0x0303, whole.write() + b"\x0b\0\0\x05").write()
    found, message = read_all(Messages(), part + Record(ALERT, 0x0303, b"\x01\0").write())
    assert found == [whole]
    assert message == "handshake at byte 4: is cut by a record of content type 21"


def test_a_message_that_is_too_long_is_an_error_before_its_body_arrives() -> None:
    at_most = Handshake(11, bytes(MAX_HANDSHAKE))
    assert read_all(Messages(), write_records(22, 0x0303, at_most.write())) == ([at_most], None)
    head = Record(22, 0x0303, b"\x0b" + (MAX_HANDSHAKE + 1).to_bytes(3, "big"))
    message = "handshake.length at byte 1: is 131397, the maximum is 131396"
    assert read_all(Messages(), head.write()) == ([], message)
    assert read_all(Messages(limit=MAX_HANDSHAKE + 1), head.write()) == ([], None)


def test_messages_before_an_error_are_returned_first() -> None:
    hello = Handshake(2, b"hello")
    data = write_records(22, 0x0303, hello.write() + b"\x0b\xff\xff\xff")
    found, message = read_all(Messages(), data)
    assert found == [hello]
    assert message == "handshake.length at byte 10: is 16777215, the maximum is 131396"


def test_a_message_too_long_for_its_length_field_cannot_be_written() -> None:
    with pytest.raises(WireError, match=r"^handshake.length at byte 1: .* fit into 24 bits$"):
        Handshake(1, bytes(0x1000000)).write()
