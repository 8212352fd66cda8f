"""ClientHello and ServerHello: what they contain, and every way in which they can be malformed."""

from __future__ import annotations

import hashlib

import pytest

from tlsfloor.wire import ClientHello, Handshake, Messages, ServerHello, WireError
from tlsfloor.wire import extensions as ext
from tlsfloor.wire.client_hello import TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV
from tlsfloor.wire.server_hello import HELLO_RETRY_REQUEST

R = b"r" * 32

CLIENT = bytes.fromhex(
    "0303"  #                                  0 legacy_version: frozen at TLS 1.2
    + "72" * 32  #                             2 random
    + "04 01020304"  #                        34 session_id: 4 bytes
    + "0006 2a2a 1301 c02f"  #                39 cipher_suites: 6 bytes, the first is GREASE
    + "01 00"  #                              47 compression_methods: null
    + "0041"  #                               49 extensions: 65 bytes
    + "1a1a 0000"  #                          51 [0] GREASE, empty
    + "0000 0011 000f 00 000c"  #             55 [1] server_name: 1 name, of 12 bytes
    + b"floor.example"[:12].hex()  #          64
    + "0010 000e 000c 02 6832"  #             76 [2] alpn: 12 bytes of names; "h2"
    + "08 687474702f312e31"  #                85 "http/1.1"
    + "002b 0007 06 7a7a 0304 0303"  #        94 [3] supported_versions: 6 bytes
    + "ff01 0001 00"  #                      105 [4] renegotiation_info: empty
    + "7777 0002 abcd"  #                    110 [5] unknown
)
SERVER = bytes.fromhex(
    "0303"  #                                  0 legacy_version
    + "73" * 32  #                             2 random
    + "04 01020304"  #                        34 session_id: 4 bytes
    + "1301"  #                               39 cipher_suite
    + "00"  #                                 41 compression_method
    + "000c"  #                               42 extensions: 12 bytes
    + "002b 0002 0304"  #                     44 [0] supported_versions
    + "7777 0002 abcd"  #                     50 [1] unknown
)
HELLOS = [(ClientHello, CLIENT, 49), (ServerHello, SERVER, 42)]


def test_a_client_hello_is_parsed() -> None:
    hello = ClientHello.parse(CLIENT)
    assert hello.legacy_version == 0x0303
    assert hello.random == R
    assert hello.session_id == b"\x01\x02\x03\x04"
    assert hello.cipher_suites == [0x2A2A, 0x1301, 0xC02F]
    assert hello.compression_methods == b"\0"
    assert [number for number, _ in hello.extensions] == [0x1A1A, 0, 16, 43, 0xFF01, 0x7777]
    assert hello.server_name() == "floor.exampl"
    assert hello.alpn() == [b"h2", b"http/1.1"]
    assert hello.supported_versions() == hello.versions() == [0x7A7A, 0x0304, 0x0303]
    assert hello.highest_version() == 0x0304
    assert hello.extension(0x7777) == b"\xab\xcd"
    assert hello.extension(0x7778) is None


def test_a_server_hello_is_parsed() -> None:
    hello = ServerHello.parse(SERVER)
    assert hello.legacy_version == 0x0303
    assert hello.random == b"s" * 32
    assert hello.session_id == b"\x01\x02\x03\x04"
    assert (hello.cipher_suite, hello.compression_method) == (0x1301, 0)
    assert hello.extensions == [(43, b"\x03\x04"), (0x7777, b"\xab\xcd")]
    assert hello.version() == 0x0304
    assert hello.downgrade() is None
    assert not hello.is_retry()


@pytest.mark.parametrize(("cls", "body", "block"), HELLOS)
def test_a_hello_is_written_back_unchanged(cls, body, block) -> None:
    assert cls.parse(body).write() == body
    assert cls.parse(bytearray(body)) == cls.parse(body)
    bare = cls.parse(body[:block])
    assert bare.extensions is None
    assert bare.write() == body[:block]
    empty = cls.parse(body[:block] + b"\0\0")
    assert empty.extensions == []
    assert empty.write() == body[:block] + b"\0\0"


@pytest.mark.parametrize(("cls", "body", "block"), HELLOS)
def test_every_prefix_of_a_hello_is_an_error(cls, body, block) -> None:
    """Except the prefix that ends before the extensions: it is a hello without them."""
    for size in set(range(len(body))) - {block}:
        with pytest.raises(WireError):
            cls.parse(body[:size])


@pytest.mark.parametrize(("cls", "body", "block"), HELLOS)
@pytest.mark.parametrize("size", [1, 30, 2**14])
def test_every_prefix_of_the_records_of_a_hello_needs_more_data(cls, body, block, size) -> None:
    del block
    data = cls.parse(body).to_records(0x0301, size)
    for end in range(len(data)):
        messages = Messages()
        messages.feed(data[:end])
        assert messages.read() is None
    messages.feed(data[-1:])
    assert cls.parse(messages.read().body) == cls.parse(body)


@pytest.mark.parametrize(("cls", "body", "block"), HELLOS)
def test_trailing_bytes_are_an_error(cls, body, block) -> None:
    field = "client_hello" if cls is ClientHello else "server_hello"
    with pytest.raises(WireError, match=f"^{field} at byte {len(body)}: has 1 bytes too many$"):
        cls.parse(body + b"\0")
    with pytest.raises(WireError, match=f"^{field}.extensions.length at byte {block}: needs 2 "):
        cls.parse(body[: block + 1])


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        # outer lengths
        (34, "21", "session_id.length at byte 34: is 33, the maximum is 32"),
        (34, "ff", "session_id.length at byte 34: claims 255 bytes, 81 are left"),
        (39, "0000", "cipher_suites.length at byte 39: is 0, the minimum is 2"),
        (39, "0005", "cipher_suites at byte 41: has 5 bytes, not a multiple of 2"),
        (39, "ffff", "cipher_suites.length at byte 39: claims 65535 bytes, 75 are left"),
        (47, "00", "compression_methods.length at byte 47: is 0, the minimum is 1"),
        (47, "ff", "compression_methods.length at byte 47: claims 255 bytes, 68 are left"),
        (49, "0042", "extensions.length at byte 49: claims 66 bytes, 65 are left"),
        (49, "0040", "extensions[5].length at byte 112: claims 2 bytes, 1 are left"),
        (49, "003c", "extensions[5].type at byte 110: needs 2 bytes, 1 are left"),
        (49, "003e", "extensions[5].length at byte 112: needs 2 bytes, 1 are left"),
        (49, "0000", " at byte 51: has 65 bytes too many"),
        # inner lengths
        (53, "0042", "extensions[0].length at byte 53: claims 66 bytes, 61 are left"),
        (96, "0016", "extensions[3].length at byte 96: claims 22 bytes, 18 are left"),
        (112, "0001", "extensions[6].type at byte 115: needs 2 bytes, 1 are left"),
        (112, "0003", "extensions[5].length at byte 112: claims 3 bytes, 2 are left"),
    ],
)
def test_a_wrong_length_in_a_client_hello_is_an_error(offset, value, message) -> None:
    with pytest.raises(WireError) as caught:
        ClientHello.parse(patched(CLIENT, offset, value))
    dot = "" if message.startswith(" ") else "."
    assert str(caught.value) == f"client_hello{dot}{message}"
    assert caught.value.offset == int(str(caught.value).split("byte ")[1].split(":")[0])


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (34, "21", "session_id.length at byte 34: claims 33 bytes, 21 are left"),
        (42, "000d", "extensions.length at byte 42: claims 13 bytes, 12 are left"),
        (42, "000b", "extensions[1].length at byte 52: claims 2 bytes, 1 are left"),
        (46, "0009", "extensions[0].length at byte 46: claims 9 bytes, 8 are left"),
        (46, "0007", "extensions[1].type at byte 55: needs 2 bytes, 1 are left"),
    ],
)
def test_a_wrong_length_in_a_server_hello_is_an_error(offset, value, message) -> None:
    with pytest.raises(WireError) as caught:
        ServerHello.parse(patched(SERVER, offset, value))
    assert str(caught.value) == f"server_hello.{message}"


@pytest.mark.parametrize("hello", [ClientHello.parse(CLIENT), ServerHello.parse(SERVER)])
def test_a_session_id_has_at_most_32_bytes(hello) -> None:
    hello.session_id = bytes(32)
    assert type(hello).parse(hello.write()) == hello
    hello.session_id = bytes(33)
    with pytest.raises(WireError, match=r"session_id.length at byte 34: is 33, the maximum is 32$"):
        type(hello).parse(hello.write())


@pytest.mark.parametrize(
    ("number", "body", "ask", "message"),
    [
        (43, "", "versions", "supported_versions.versions.length at byte 0: needs 1 bytes, 0 are"),
        (43, "00", "versions", "supported_versions.versions.length at byte 0: is 0, the minimum"),
        (43, "03030403", "versions", "supported_versions.versions at byte 1: has 3 bytes, not a"),
        (43, "0403040303aa", "versions", "supported_versions at byte 5: has 1 bytes too many"),
        (43, "0603040303", "versions", "supported_versions.versions.length at byte 0: claims 6 "),
        (0, "0000", "server_name", "server_name.server_name_list.length at byte 0: is 0, the min"),
        (0, "0003000000", "server_name", "server_name.server_name_list[0].name.length at byte 3"),
        (0, "0005000003aabb", "server_name", "server_name.server_name_list[0].name.length at by"),
        (0, "000400000180", "server_name", "server_name.server_name_list[0].name at byte 5: is "),
        (0, "00040000016100", "server_name", "server_name at byte 6: has 1 bytes too many"),
        (16, "000100", "alpn", "alpn.protocol_name_list.length at byte 0: is 1, the minimum is 2"),
        (16, "000401610000", "alpn", "alpn.protocol_name_list[1].length at byte 4: is 0, the mi"),
        (16, "000401610261", "alpn", "alpn.protocol_name_list[1].length at byte 4: claims 2 by"),
    ],
)
def test_a_malformed_extension_is_an_error_when_it_is_parsed(number, body, ask, message) -> None:
    hello = client(extensions=[(number, bytes.fromhex(body))])
    assert ClientHello.parse(hello.write()) == hello
    with pytest.raises(WireError) as caught:
        getattr(hello, ask)()
    assert str(caught.value).startswith(f"client_hello.{message}")


@pytest.mark.parametrize("body", [b"", b"\x03", b"\x03\x04\x00"])
def test_a_malformed_selected_version_is_an_error(body) -> None:
    hello = server(extensions=[(ext.SUPPORTED_VERSIONS, body)])
    with pytest.raises(WireError, match=r"^server_hello.supported_versions"):
        hello.version()


@pytest.mark.parametrize(
    ("legacy_version", "listed", "offered", "highest"),
    [
        (0x0301, None, [0x0301], 0x0301),
        (0x0303, None, [0x0303], 0x0303),
        # RFC 8446 section 4.2.1: TLS 1.2 or prior, even if legacy_version is 0x0304 or later
        (0x0304, None, [0x0303], 0x0303),
        (0x7A7A, None, [0x0303], 0x0303),
        (0x0002, None, [0x0002], 0x0002),
        (0x0000, None, [0x0000], None),
        # the list alone counts
        (0x0301, [0x0304], [0x0304], 0x0304),
        (0x0303, [0x0301, 0x0302], [0x0301, 0x0302], 0x0302),
        # GREASE, a draft of TLS 1.3 and DTLS 1.2 are listed and are not the highest
        (0x0303, [0xFAFA, 0x7F1C, 0xFEFD, 0x0303], [0xFAFA, 0x7F1C, 0xFEFD, 0x0303], 0x0303),
        (0x0303, [0x037A], [0x037A], 0x037A),
        (0x0303, [0x0A0A], [0x0A0A], None),
    ],
)
def test_the_versions_that_a_client_offers(legacy_version, listed, offered, highest) -> None:
    extensions = None if listed is None else [ext.supported_versions(listed)]
    hello = client(legacy_version, extensions=extensions)
    assert hello.supported_versions() == listed
    assert hello.versions() == offered
    assert hello.highest_version() == highest


@pytest.mark.parametrize(
    ("legacy_version", "extensions", "selected"),
    [
        (0x0303, None, 0x0303),
        (0x0301, [(0x7777, b"")], 0x0301),
        (0x0303, [ext.selected_version(0x0304)], 0x0304),
        (0x0303, [ext.selected_version(0x7A7A)], 0x7A7A),
    ],
)
def test_the_version_that_a_server_selects(legacy_version, extensions, selected) -> None:
    assert server(legacy_version, extensions=extensions).version() == selected


def test_a_hello_retry_request_is_recognised_by_its_random() -> None:
    assert hashlib.sha256(b"HelloRetryRequest").digest() == HELLO_RETRY_REQUEST
    assert server(random=HELLO_RETRY_REQUEST).is_retry()


@pytest.mark.parametrize(
    ("end", "version"),
    [
        ("44 4F 57 4E 47 52 44 01", 0x0303),
        ("44 4F 57 4E 47 52 44 00", 0x0302),
        ("44 4F 57 4E 47 52 44 02", None),
    ],
)
def test_the_downgrade_signals_in_the_random_are_recognised(end, version) -> None:
    assert server(random=bytes(24) + bytes.fromhex(end)).downgrade() == version
    assert server(random=bytes.fromhex(end) + bytes(24)).downgrade() is None


def test_a_repeated_extension_is_kept_and_reported() -> None:
    hello = client(extensions=[(16, b"a"), (0x7777, b""), (16, b"b"), (0, b""), (0, b""), (0, b"")])
    hello = ClientHello.parse(hello.write())
    assert hello.duplicates() == [0, 16]
    assert hello.extension(16) == b"a"
    assert client(extensions=[(16, b"")]).duplicates() == client().duplicates() == []


def test_a_server_name_of_an_unknown_kind_is_skipped() -> None:
    odd, host, second = "7a 0002 abcd", "00 0003 612e62", "00 0001 63"
    for names, expected in [((odd, host, second), "a.b"), ((odd,), None)]:
        listed = bytes.fromhex("".join(names))
        hello = client(extensions=[(0, len(listed).to_bytes(2, "big") + listed)])
        assert hello.server_name() == expected


def test_an_absent_extension_is_none() -> None:
    for hello in (client(), client(extensions=[])):
        assert hello.server_name() is hello.alpn() is hello.supported_versions() is None


@pytest.mark.parametrize(
    ("extension", "body"),
    [
        (ext.supported_versions([0x0304, 0x7A7A]), "04 0304 7a7a"),
        (ext.selected_version(0x0301), "0301"),
        (ext.server_name("a.b"), "0006 00 0003 612e62"),
        (ext.server_name("\u00e9"), "0005 00 0002 c3a9"),
        (ext.alpn([b"h2", b"\x0a\x0a"]), "0006 02 6832 02 0a0a"),
        (ext.renegotiation_info(), "00"),
        (ext.renegotiation_info(b"\x01\x02"), "02 0102"),
        (ext.numbers(ext.SUPPORTED_GROUPS, [29, 0x7A7A]), "0004 001d 7a7a"),
    ],
)
def test_an_extension_is_written(extension, body) -> None:
    assert extension[1] == bytes.fromhex(body)


def test_the_numbers_of_extensions_and_signals_are_those_of_the_registry() -> None:
    written = [
        ext.supported_versions([]),
        ext.selected_version(0),
        ext.server_name(""),
        ext.alpn([]),
        ext.renegotiation_info(),
        ext.numbers(13, []),
    ]
    assert [number for number, _ in written] == [43, 43, 0, 16, 0xFF01, 13]
    assert (TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV) == (0x00FF, 0x5600)


def test_there_are_sixteen_grease_numbers() -> None:
    grease = [number for number in range(0x10000) if ext.is_grease(number)]
    assert grease == [n << 12 | 0xA00 | n << 4 | 0xA for n in range(16)]
    assert (grease[0], grease[7], grease[15]) == (0x0A0A, 0x7A7A, 0xFAFA)


def test_a_hello_can_be_written_with_any_values() -> None:
    """Every value that fits its field can be written, also one that no peer should send."""
    hello = ClientHello(0xFFFF, b"short", bytes(255), [], compression_methods=b"", extensions=[])
    assert hello.write() == b"\xff\xffshort\xff" + bytes(255) + b"\0\0\0\0\0"
    with pytest.raises(WireError):
        ClientHello.parse(hello.write())
    hello = ServerHello(0x0200, b"", bytes(255), 0x7A7A, compression_method=255)
    assert hello.write() == b"\x02\0\xff" + bytes(255) + b"\x7a\x7a\xff"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"legacy_version": 0x10000}, "legacy_version at byte 0: 0x10000 does not fit into 16"),
        ({"session_id": bytes(256)}, "session_id.length at byte 34: 0x100 does not fit into 8 "),
        ({"cipher_suites": [1, -1]}, "cipher_suites[1] at byte 39: -0x1 does not fit into 16 b"),
        ({"cipher_suites": [1] * 0x8000}, "cipher_suites.length at byte 35: 0x10000 does not fit"),
        ({"compression_methods": bytes(256)}, "compression_methods.length at byte 39: 0x100 does"),
        ({"extensions": [(0, b""), (0x10000, b"")]}, "extensions[1].type at byte 47: 0x10000 doe"),
        ({"extensions": [(0, bytes(0x10000))]}, "extensions[0].length at byte 45: 0x10000 does n"),
        ({"extensions": [(0, bytes(0xFFFF))]}, "extensions.length at byte 41: 0x10003 does not "),
    ],
)
def test_the_error_for_a_value_that_does_not_fit_names_the_field(change, message) -> None:
    hello = client()
    for field, value in change.items():
        setattr(hello, field, value)
    with pytest.raises(WireError) as caught:
        hello.write()
    assert str(caught.value).startswith(f"client_hello.{message}")


def test_the_longest_possible_hello_is_accepted() -> None:
    """The limit of ``Messages`` refuses no ClientHello."""
    hello = ClientHello(
        0x0303,
        R,
        bytes(32),
        [0x7A7A] * 0x7FFF,
        compression_methods=bytes(255),
        extensions=[(0x7A7A, bytes(0xFFFF - 4))],
    )
    messages = Messages()
    messages.feed(hello.to_records(0x0301))
    message = messages.read()
    assert message == Handshake(1, hello.write())
    assert len(message.body) == 131396
    assert ClientHello.parse(message.body) == hello


def patched(data, offset, value):
    value = bytes.fromhex(value)
    return data[:offset] + value + data[offset + len(value) :]


def client(legacy_version=0x0303, *, extensions=None):
    return ClientHello(legacy_version, R, b"", [0x002F], extensions=extensions)


def server(legacy_version=0x0303, *, random=R, extensions=None):
    return ServerHello(legacy_version, random, b"", 0x002F, extensions=extensions)
