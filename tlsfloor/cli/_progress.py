"""How far long work has come: one line on stderr, if that is a terminal."""

from __future__ import annotations

import contextlib
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# Seconds after which there is an estimate.
_SOON = 3


@contextlib.contextmanager
def progress(what: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show ``what: 0 of total`` while the block runs; it calls what it gets after each item.

    Without a total, the number of items is not known before the end. After a few seconds, the line
    also says how much time is left if the other items take as long.

    Nothing is written to a pipe or a file, or with ``quiet``.
    """
    done, line = -1, ""
    of_total = "" if total is None else f" of {total}"
    began = time.monotonic()
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
        passed = time.monotonic() - began
        left = ""
        if total and 0 < done < total and passed > _SOON:
            left = f", about {_duration(passed / done * (total - done))} left"
        show(f"{what}: {done}{of_total}{left}")

    advance()
    try:
        yield advance
    finally:
        show("")
        if shown:
            sys.stderr.write("\r")


def _duration(seconds: float) -> str:
    """Return a duration of which the first digits count."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}"
    return f"{max(1, round(seconds))} seconds"
