"""The bounded reader, the writer, and ``WireError``."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import tlsfloor.wire
from tlsfloor.wire import Alert, ClientHello, Handshake, Record, WireError
from tlsfloor.wire.codec import Reader, Writer


def test_an_error_names_the_field_the_byte_and_the_problem() -> None:
    error = WireError("claims 9 bytes, 2 are left", "client_hello.extensions[3].length", 71)
    assert str(error) == (
        "client_hello.extensions[3].length at byte 71: claims 9 bytes, 2 are left"
    )
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("clone", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_an_error_can_be_pickled_and_copied(clone) -> None:
    twin = clone(WireError("is odd", "x", 3))
    assert (type(twin), twin.problem, twin.field, twin.offset) == (WireError, "is odd", "x", 3)


def test_numbers_are_big_endian() -> None:
    reader = Reader(b"\x01\x02\x03\x04\x05\x06", "x")
    assert (reader.uint(1), reader.uint(2), reader.uint(3)) == (0x01, 0x0203, 0x040506)
    reader.done()


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_reader_of_other_bytes_like_objects_returns_bytes(kind) -> None:
    taken = Reader(kind(b"abc"), "x").take(2)
    assert taken == b"ab"
    assert type(taken) is bytes


def test_a_read_past_the_end_names_the_field_and_reads_nothing() -> None:
    reader = Reader(b"\x01\x02\x03", "x")
    reader.uint(1)
    with pytest.raises(WireError, match=r"^x.y at byte 1: needs 3 bytes, 2 are left$"):
        reader.take(3, "y")
    assert reader.left == 2


def test_an_inner_vector_cannot_exceed_the_outer_one() -> None:
    #                     outer: 2   inner says 3   what follows the outer one
    reader = Reader(bytes([2, 3, 0xAA, 0xBB, 0xCC]), "x")
    outer = reader.vector(1, "outer")
    with pytest.raises(WireError, match=r"^x.outer.inner.length at byte 1: claims 3 bytes, 1 are"):
        outer.opaque(1, "inner")
    assert reader.take(2) == b"\xbb\xcc"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.y.length at byte 0: needs 1 bytes, 0 are left"),
        (b"\x05abcd", "x.y.length at byte 0: claims 5 bytes, 4 are left"),
        (b"\x01a", "x.y.length at byte 0: is 1, the minimum is 2"),
        (b"\x05abcde", "x.y.length at byte 0: is 5, the maximum is 4"),
    ],
)
@pytest.mark.parametrize("method", ["opaque", "vector"])
def test_a_vector_outside_its_bounds_is_an_error(method, data, message) -> None:
    with pytest.raises(WireError) as caught:
        getattr(Reader(data, "x"), method)(1, "y", 2, 4)
    assert str(caught.value) == message


def test_numbers_that_do_not_fill_their_vector_are_an_error() -> None:
    with pytest.raises(WireError, match=r"^x at byte 0: has 3 bytes, not a multiple of 2$"):
        Reader(b"abc", "x").numbers(2)
    assert Reader(b"\x01\x02\x03\x04", "x").numbers(2) == [0x0102, 0x0304]


def test_trailing_bytes_are_an_error() -> None:
    reader = Reader(b"abc", "x")
    reader.take(1)
    with pytest.raises(WireError, match=r"^x at byte 1: has 2 bytes too many$"):
        reader.done()


def test_an_error_in_a_list_names_the_index_of_the_item() -> None:
    reader = Reader(b"\x01a\x01b\x02c", "x")
    with pytest.raises(WireError, match=r"^x\[2\].length at byte 4: claims 2 bytes, 1 are left$"):
        [reader.opaque(1) for _ in reader.items()]


@pytest.mark.parametrize("value", [-1, 0x10000])
def test_the_writer_refuses_only_values_that_do_not_fit(value) -> None:
    out = Writer("x")
    with pytest.raises(WireError, match=r"^x.y\[1\] at byte 4: .* does not fit into 16 bits$"):
        out.numbers(2, 2, [0xFFFF, value], "y")
    with pytest.raises(WireError, match=r"^x.y.length at byte 0: 0x100 does not fit into 8 bits"):
        out.opaque(1, b"a" * 256, "y")


@pytest.mark.parametrize(
    "struct",
    [
        Alert(2, 70),
        Record(22, 0x0301, b"abc"),
        Handshake(1, b"abc"),
        ClientHello(0x7A7A, b"r" * 32, b"", [0x2A2A], extensions=[(0xFF01, b"\0")]),
    ],
)
def test_a_structure_can_be_compared_copied_and_pickled(struct) -> None:
    assert eval(repr(struct), vars(tlsfloor.wire)) == struct
    assert pickle.loads(pickle.dumps(struct)) == struct
    assert copy.copy(struct) == struct
    assert struct != "another thing"
    with pytest.raises(TypeError, match="unhashable"):
        hash(struct)


def test_an_unknown_number_is_shown_as_hex() -> None:
    hello = ClientHello(0x0303, b"", b"", [0x7A7A, 0x0005], extensions=[(0x0A0A, b"\0")])
    assert "cipher_suites=[0x7a7a, 0x0005]" in repr(hello)
    assert "extensions=[(0x0a0a, b'\\x00')]" in repr(hello)
    assert repr(Alert(2, 0x7A)) == "Alert(level=0x02, description=0x7a)"


def test_all_lists_every_public_name() -> None:
    modules = {"alerts", "client_hello", "codec", "extensions", "hello", "messages"}
    modules |= {"records", "server_hello", "sslv2", "annotations"}
    # pytest rewrites the modules of an installed package with a plugin, and adds names with an @.
    public = {name for name in vars(tlsfloor.wire) if not name.startswith(("_", "@"))}
    assert public - modules == set(tlsfloor.wire.__all__)


def test_importing_wire_imports_no_other_module() -> None:
    """Not ``ssl`` or ``socket``, nor any other module that the interpreter has to load."""
    above = str(Path(tlsfloor.wire.__file__).parents[2])
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules);"
        "import tlsfloor.wire; print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program, above],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    loaded = eval(done.stdout)
    assert "tlsfloor.wire.codec" in loaded
    assert [name for name in loaded if name.split(".")[0] not in ("tlsfloor", "__future__")] == []
