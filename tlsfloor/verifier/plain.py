"""The parts of rich that the text report uses, without colors: for where rich is not installed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


class Console:
    """Prints lines to a file, or to stdout."""

    def __init__(self, file: TextIO | None = None, **options: object) -> None:
        del options
        self._file = file

    def print(self, *parts: object) -> None:
        """Print a text or a table."""
        print(*parts, file=self._file)


class Text:
    """A text, whose styles are dropped."""

    def __init__(self, text: str = "", style: str = "") -> None:
        del style
        self._text = text

    def __str__(self) -> str:
        return self._text

    def append(self, text: str, style: str = "") -> Text:
        """Add a text at the end."""
        del style
        self._text += text
        return self

    @classmethod
    def assemble(cls, *parts: Any) -> Text:
        """Return one text of several, some of which are pairs of a text and its style."""
        return cls("".join(part if isinstance(part, str) else part[0] for part in parts))


class Table:
    """Rows of aligned cells."""

    columns = ()

    def __init__(self, *headings: str, **options: object) -> None:
        del options
        self._rows: list[tuple[object, ...]] = [headings]

    def add_row(self, *cells: object) -> None:
        """Add a row."""
        self._rows.append(cells)

    def __str__(self) -> str:
        rows = [[str(cell) for cell in row] for row in self._rows]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
