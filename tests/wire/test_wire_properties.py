"""Properties of every hello, split and byte; Hypothesis searches for a counterexample."""

from __future__ import annotations

import inspect

import pytest

from tlsfloor import wire
from tlsfloor.wire import (
    Alert,
    ClientHello,
    Handshake,
    Messages,
    Record,
    Records,
    ServerHello,
    Sslv2Hello,
    WireError,
    alerts,
    client_hello,
    server_hello,
    sslv2,
)
from tlsfloor.wire import extensions as ext
from tlsfloor.wire import messages as messages_module
from tlsfloor.wire import records as records_module
from tlsfloor.wire.codec import Reader
from tlsfloor.wire.records import HANDSHAKE, SSLV2, write_records

pytest.importorskip("hypothesis", reason="hypothesis is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

# How long an example takes depends on what else the machine does.
settings.register_profile("any time", deadline=None)
settings.load_profile("any time")

octet = st.integers(0, 0xFF)
number = st.integers(0, 0xFFFF)
random = st.binary(min_size=32, max_size=32)
extensions = st.none() | st.lists(st.tuples(number, st.binary(max_size=40)), max_size=12)

client_hellos = st.builds(
    ClientHello,
    number,
    random,
    st.binary(max_size=32),
    st.lists(number, min_size=1, max_size=50),
    compression_methods=st.binary(min_size=1, max_size=255),
    extensions=extensions,
)
server_hellos = st.builds(
    ServerHello,
    number,
    random,
    st.binary(max_size=32),
    number,
    compression_method=octet,
    extensions=extensions,
)
sslv2_hellos = st.builds(
    Sslv2Hello,
    st.just(0x0002) | st.integers(0x0300, 0x03FF),
    st.lists(st.integers(0, 0xFFFFFF), min_size=1, max_size=80),
    st.sampled_from([b"", bytes(16)]),
    st.binary(min_size=16, max_size=32),
)
# Zero-length only where it is allowed; types below 0x80, since the first record of a stream that
# looks like SSL 2.0 is SSL 2.0.
records = st.builds(
    Record,
    st.integers(0, 0x7F),
    st.integers(0x0300, 0x03FF),
    st.binary(min_size=1, max_size=60),
)
others = records.filter(lambda record: record.content_type != HANDSHAKE)
handshakes = st.builds(Handshake, octet, st.binary(max_size=60))


def read_all(reader, chunks):
    """Return everything that is read after each chunk, and how it ended."""
    found = []
    for chunk in chunks:
        reader.feed(chunk)
        try:
            while (item := reader.read()) is not None:
                found.append(item)
        except WireError as error:
            return found, error.args
    return found, reader.pending


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in zip(places, places[1:])]


@given(client_hellos)
def test_every_client_hello_is_parsed_to_itself(hello) -> None:
    assert ClientHello.parse(hello.write()) == hello


@given(server_hellos)
def test_every_server_hello_is_parsed_to_itself(hello) -> None:
    assert ServerHello.parse(hello.write()) == hello


@given(sslv2_hellos)
def test_every_sslv2_hello_is_parsed_to_itself(hello) -> None:
    messages = Messages()
    messages.feed(hello.to_records())
    record = messages.read()
    assert record.version == hello.version
    assert Sslv2Hello.parse(record.fragment) == hello
    assert messages.pending == 0


@given(client_hellos | server_hellos, st.data())
def test_every_prefix_of_every_hello_is_an_error(hello, data) -> None:
    body = hello.write()
    block = len(body)
    if hello.extensions is not None:
        block -= 2 + sum(4 + len(content) for _, content in hello.extensions)
    size = data.draw(st.integers(0, len(body) - 1).filter(lambda size: size != block))
    with pytest.raises(WireError):
        type(hello).parse(body[:size])


@given(st.lists(records), st.lists(st.integers(0, 10_000)))
def test_records_do_not_depend_on_how_the_bytes_are_split(expected, places) -> None:
    data = b"".join(record.write() for record in expected)
    assert read_all(Records(), [data]) == (expected, 0)
    assert read_all(Records(), cut(data, places)) == (expected, 0)
    assert read_all(Records(), [data[n : n + 1] for n in range(len(data))]) == (expected, 0)


@given(
    st.lists(st.tuples(st.lists(handshakes, min_size=1), st.integers(1, 80), st.none() | others)),
    st.lists(st.integers(0, 10_000)),
)
def test_messages_do_not_depend_on_how_they_are_split(flights, places) -> None:
    """Split over records of any size, sharing them, in any chunks, with other records between."""
    data, expected = b"", []
    for messages, size, record in flights:
        flight = b"".join(message.write() for message in messages)
        data += write_records(HANDSHAKE, 0x0301, flight, size)
        expected += messages
        if record is not None:
            data += record.write()
            expected.append(record)
    assert read_all(Messages(), [data]) == (expected, 0)
    assert read_all(Messages(), cut(data, places)) == (expected, 0)
    assert read_all(Messages(), [data[n : n + 1] for n in range(len(data))]) == (expected, 0)


@given(st.binary(), st.lists(st.integers(0, 10_000)))
def test_the_error_does_not_depend_on_how_the_bytes_are_split(data, places) -> None:
    for reader in (Records, Messages):
        assert read_all(reader(), [data]) == read_all(reader(), cut(data, places))


@given(st.binary(max_size=300))
def test_bytes_raise_nothing_but_wire_error(data) -> None:
    for cls in (Alert, ClientHello, ServerHello, Sslv2Hello):
        try:
            found = cls.parse(data)
        except WireError as error:
            assert 0 <= error.offset <= len(data)
        else:
            assert found.write() == data


@given(st.integers(0, 50), st.binary(max_size=60))
def test_the_body_of_an_extension_raises_nothing_but_wire_error(extension, body) -> None:
    hello = ClientHello(0x0303, bytes(32), b"", [1], extensions=[(extension, body)])
    for ask in (hello.versions, hello.highest_version, hello.server_name, hello.alpn):
        try:
            ask()
        except WireError as error:
            assert error.field.startswith("client_hello.")
            assert 0 <= error.offset <= len(body)


def too_long(value):
    """Return a value that is too long for its field, with a short ``repr()``."""
    kind = type(value)
    shown = f"{kind.__name__} of {len(value)}"
    return st.just(type(f"Long{kind.__name__}", (kind,), {"__repr__": lambda _: shown})(value))


# Every value that the type of an argument allows, and more of those that fit than chance would give
numbers = number | st.integers()
contents = st.binary(max_size=300) | too_long(bytes(2**15)) | too_long(bytes(2**16))
lists = st.lists(numbers, max_size=20) | too_long([1] * 2**15)
names = st.text() | st.text(st.characters(categories=["Cs", "Lu"])) | too_long("a" * 2**16)
blocks = st.none() | st.lists(st.tuples(numbers, contents), max_size=4)
written = st.one_of(
    st.builds(Alert, numbers, numbers),
    st.builds(Record, numbers | st.just(SSLV2), numbers, contents),
    st.builds(Handshake, numbers, contents),
    st.builds(Sslv2Hello, numbers, lists, contents, contents),
    st.builds(
        ClientHello,
        numbers,
        contents,
        contents,
        lists,
        compression_methods=contents,
        extensions=blocks,
    ),
    st.builds(
        ServerHello,
        numbers,
        contents,
        contents,
        numbers,
        compression_method=numbers,
        extensions=blocks,
    ),
)

#: What each function takes.
ARGUMENTS = {
    "write_records": [numbers, numbers, contents, numbers],
    "is_grease": [numbers],
    "read_supported_versions": [st.builds(Reader, contents, st.just("body"))],
    "read_selected_version": [st.builds(Reader, contents, st.just("body"))],
    "read_server_name": [st.builds(Reader, contents, st.just("body"))],
    "read_alpn": [st.builds(Reader, contents, st.just("body"))],
    "supported_versions": [lists],
    "selected_version": [numbers],
    "server_name": [names],
    "alpn": [st.lists(contents, max_size=4)],
    "renegotiation_info": [contents],
    "numbers": [numbers, lists],
}


def public(module):
    """Return the public functions of a module of ``wire``, classes too."""
    return {
        name: found
        for name, found in vars(module).items()
        if getattr(found, "__module__", "") == module.__name__ and not name.startswith("_")
    }


FUNCTIONS = [
    found
    for module in (alerts, client_hello, ext, messages_module, records_module, server_hello, sslv2)
    for found in public(module).values()
    if inspect.isfunction(found)
]
CLASSES = [Alert, ClientHello, Handshake, Messages, Record, Records, ServerHello, Sslv2Hello]


def raises_what_it_says(function, *arguments) -> None:
    try:
        function(*arguments)
    except WireError:
        assert "WireError" in function.__doc__, function


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: each.__name__)
@given(data=st.data())
def test_every_function_raises_what_its_docstring_says(function, data) -> None:
    arguments = [data.draw(each) for each in ARGUMENTS[function.__name__]]
    raises_what_it_says(function, *arguments)


@given(written, numbers, numbers | st.integers(50, 500), contents)
def test_every_method_raises_what_its_docstring_says(item, number, size, data) -> None:
    """Also for structures with values that do not fit any field."""
    arguments = {"parse": (data,), "extension": (number,), "to_records": (number, size)}
    if isinstance(item, Sslv2Hello):
        arguments["to_records"] = ()
    for name, method in inspect.getmembers(item, inspect.ismethod):
        if not name.startswith("_"):
            raises_what_it_says(method, *arguments.get(name, ()))
    assert repr(item)
    assert item == item  # noqa: PLR0124 - it is compared field by field
    assert getattr(item, "name", "a name")


@given(st.lists(contents, max_size=4), numbers)
def test_every_reader_raises_what_its_docstring_says(chunks, limit) -> None:
    for reader in (Records(), Messages(), Messages(limit)):
        for chunk in chunks:
            raises_what_it_says(reader.feed, chunk)
            raises_what_it_says(reader.read)
        assert reader.pending >= 0


def test_every_public_name_is_tested_here() -> None:
    names = {function.__name__ for function in FUNCTIONS}
    methods = {
        name
        for cls in CLASSES
        for name, _ in inspect.getmembers(cls, callable)
        if not name.startswith("_")
    }
    assert names == set(ARGUMENTS)
    assert methods == {
        *("parse", "extension", "to_records", "feed"),
        *("write", "duplicates", "versions", "supported_versions", "highest_version"),
        *("server_name", "alpn", "version", "is_retry", "downgrade", "to_client_hello", "read"),
    }
    assert {cls.__name__ for cls in CLASSES} | {"WireError"} == set(wire.__all__)
