"""Convert bytes to numbers and back, with every step checked against its bounds.

How it works. The rules of everything in ``wire/``:

- A ``Reader`` never reads past its end. The content of a vector is read by another reader, which
  ends where the vector ends. So a wrong inner length cannot reach what follows the outer vector.
- Trailing bytes are an error: code that has parsed a structure calls ``done()``.
- Bytes can cause one error, ``WireError``. It names the field as the RFC does, and the byte.
- Numbers are open: an unknown one is kept, written back unchanged, and shown as hex.
- The reader is strict and the ``Writer`` is not: it writes any value that fits the field's bytes.

The comments above the structures are in the presentation language of RFC 8446 section 3 (the same
as in RFC 2246, 4346 and 5246, section 4). In short: ``uint8 x``, ``uint16 x``, ``uint24 x`` are
big-endian numbers; ``opaque x[32]`` is 32 bytes; ``T x<2..254>`` is a vector of 2 to 254 *bytes*
(not items), preceded by its length in as many bytes as its upper bound, 254, needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The fields of one byte; all other numbers have two. Used by ``repr()`` only.
_OCTETS = frozenset(("content_type", "msg_type", "level", "description", "compression_method"))


class WireError(ValueError):
    """Bytes that are not what the RFC says, or a value that does not fit its field.

    ``problem`` says what is wrong. ``field`` names the field, for example
    ``client_hello.extensions[3].length``. ``offset`` is its first byte, counted from the start of
    what is parsed (of the stream for ``Records`` and ``Messages``, of the output for writers).
    """

    def __init__(self, problem: str, field: str, offset: int) -> None:
        super().__init__(problem, field, offset)  # the arguments with which pickle creates it again
        self.problem = problem
        self.field = field
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.field} at byte {self.offset}: {self.problem}"


class _Place:
    """The name of the field that is read or written; ``item`` is the index within a list."""

    __slots__ = ("_field", "item")

    def __init__(self, field: str) -> None:
        self._field = field
        self.item: int | None = None

    def _name(self, part: str) -> str:
        name = self._field if self.item is None else f"{self._field}[{self.item}]"
        return f"{name}.{part}" if part else name


class Reader(_Place):
    """Reads ``data``, or the part of it from byte ``start`` up to byte ``end``.

    ``at`` is the next byte. Every method takes the name of the field that it reads, within the
    reader's own field, and raises ``WireError`` with that name.
    """

    __slots__ = ("_data", "_end", "at")

    def __init__(self, data: bytes, field: str, start: int = 0, end: int | None = None) -> None:
        super().__init__(field)
        self._data = bytes(data)  # bytes are not copied
        self.at = start
        self._end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """The number of unread bytes."""
        return self._end - self.at

    def error(self, problem: str, field: str = "", offset: int | None = None) -> WireError:
        """Return the error for a field that begins at ``offset``, or else at the next byte."""
        return WireError(problem, self._name(field), self.at if offset is None else offset)

    def take(self, size: int, field: str = "") -> bytes:
        """Read ``opaque field[size]``."""
        start = self.at
        if size > self._end - start:
            raise self.error(f"needs {size} bytes, {self.left} are left", field)
        self.at = start + size
        return self._data[start : self.at]

    def uint(self, width: int, field: str = "") -> int:
        """Read a number of ``width`` bytes."""
        return int.from_bytes(self.take(width, field), "big")

    def sub(self, size: int, field: str = "") -> Reader:
        """Return a reader for the next ``size`` bytes, and skip them here."""
        start = self.at
        self.take(size, field)
        return Reader(self._data, self._name(field), start, self.at)

    def _length(self, width: int, field: str, low: int, high: int) -> int:
        field = f"{field}.length" if field else "length"
        start = self.at
        size = self.uint(width, field)
        if size > self.left:
            raise self.error(f"claims {size} bytes, {self.left} are left", field, start)
        if size < low:
            raise self.error(f"is {size}, the minimum is {low}", field, start)
        if size > high:
            raise self.error(f"is {size}, the maximum is {high}", field, start)
        return size

    def opaque(self, width: int, field: str = "", low: int = 0, high: int = 0xFFFF) -> bytes:
        """Read ``opaque field<low..high>``, whose length has ``width`` bytes."""
        return self.take(self._length(width, field, low, high), field)

    def vector(self, width: int, field: str = "", low: int = 0, high: int = 0xFFFF) -> Reader:
        """Return a reader for the content of a vector, and skip it here; see ``opaque``."""
        return self.sub(self._length(width, field, low, high), field)

    def numbers(self, width: int) -> list[int]:
        """Read the rest as numbers of ``width`` bytes."""
        if self.left % width:
            raise self.error(f"has {self.left} bytes, not a multiple of {width}")
        data, start, self.at = self._data, self.at, self._end
        return [int.from_bytes(data[n : n + width], "big") for n in range(start, self._end, width)]

    def items(self) -> Iterator[int]:
        """Yield the index of each item while bytes are left; errors name the current item."""
        index = 0
        while self.left:
            self.item = index
            yield index
            index += 1

    def done(self) -> None:
        """Raise ``WireError`` if bytes are left."""
        if self.left:
            raise self.error(f"has {self.left} bytes too many")


class Writer(_Place):
    """Collects bytes in ``data``: the counterpart of ``Reader``.

    It raises ``WireError`` for a value that does not fit its field, and checks nothing else.
    ``offset`` is the offset of its first byte in the whole output.
    """

    __slots__ = ("_offset", "data")

    def __init__(self, field: str, offset: int = 0) -> None:
        super().__init__(field)
        self._offset = offset
        self.data = bytearray()

    def uint(self, width: int, value: int, field: str = "") -> None:
        """Write a number in ``width`` bytes; ``WireError`` if it is negative or too large."""
        try:
            self.data += value.to_bytes(width, "big")
        except OverflowError:
            problem = f"{value:#x} does not fit into {8 * width} bits"
            place = self._offset + len(self.data)
            raise WireError(problem, self._name(field), place) from None

    def opaque(self, width: int, value: bytes | bytearray, field: str = "") -> None:
        """Write a length of ``width`` bytes, then the bytes."""
        self.uint(width, len(value), f"{field}.length" if field else "length")
        self.data += value

    def sub(self, width: int, field: str) -> Writer:
        """Return a writer for the content of a vector; then pass its ``data`` to ``opaque``."""
        return Writer(self._name(field), self._offset + len(self.data) + width)

    def numbers(self, width: int, size: int, values: Iterable[int], field: str) -> None:
        """Write a length of ``width`` bytes, then numbers of ``size`` bytes each."""
        inner = self.sub(width, field)
        for inner.item, value in enumerate(values):
            inner.uint(size, value)
        self.opaque(width, inner.data, field)


class Struct:  # noqa: PLW1641  it can be changed
    """Equal if class and slots are equal; ``repr()`` is a call that creates it; not hashable."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, slot) == getattr(other, slot) for slot in self.__slots__)

    def __repr__(self) -> str:
        fields = ((slot, getattr(self, slot)) for slot in self.__slots__)
        shown = (
            f"{slot}={_show_field(value, 2 if slot in _OCTETS else 4)}" for slot, value in fields
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def _show_field(value: object, digits: int) -> str:
    if isinstance(value, int):
        return f"0x{value:0{digits}x}"
    if isinstance(value, list):
        return f"[{', '.join(_show_field(item, digits) for item in value)}]"
    if isinstance(value, tuple):  # an extension
        return f"({', '.join(_show_field(item, digits) for item in value)})"
    return repr(value)
