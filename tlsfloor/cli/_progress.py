"""How far long work has come: one line on stderr, if that is a terminal."""

from __future__ import annotations

import contextlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(what: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show ``what: 0 of total`` while the block runs; it calls what it gets after each item.

    Without a total, the number of items is not known before the end.

    Nothing is written to a pipe or a file, or with ``quiet``.
    """
    done, line = -1, ""
    of_total = "" if total is None else f" of {total}"
    shown = not quiet and sys.stderr.isatty()

    def show(text: str) -> None:
        nonlocal line
        if shown:
            sys.stderr.write(f"\r{text.ljust(len(line))}")
            sys.stderr.flush()
            line = text

    def advance() -> None:
        nonlocal done
        done += 1
        show(f"{what}: {done}{of_total}")

    advance()
    try:
        yield advance
    finally:
        show("")
        if shown:
            sys.stderr.write("\r")
