"""Sums of bounded size that do not depend on the order of what is added: a set, and a timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

#: Bars of the timeline, and how many seconds a bar may be: each is a multiple of the one before.
MOST_SLOTS = 96
WIDTHS = (60, 300, 900, 3600, 10800, 21600, 86400, 604_800, 4 * 604_800, 52 * 604_800)

#: When the first Monday of 1970 began, since a week begins on a Monday.
MONDAY = 4 * 86400


class Smallest:
    """The entries with the smallest keys, up to ``most``.

    A few more are kept until the next ``trim``, which drops them: it calls ``drop`` with the key
    and the value.

    Attributes:
        kept: key -> value; sorted after ``trim``.
        more: whether there were more.
    """

    def __init__(self, most: int, drop: Callable[[Any, Any], object] | None = None) -> None:
        self.kept: dict[Any, Any] = {}
        self.more = False
        self._most, self._drop, self._last = most, drop, None

    def admits(self, key: Any) -> bool:
        """Return whether a new key may be among the smallest ones."""
        return self._last is None or bool(key <= self._last)

    def put(self, key: Any, value: Any) -> bool:
        """Keep a new entry, or drop it; return whether others were dropped."""
        if self._last is not None and key > self._last:
            if self._drop:
                self._drop(key, value)
            return False
        self.kept[key] = value
        # Not each time: sorting costs much more than the entry.
        return len(self.kept) > self._most + self._most // 4 and self.trim()

    def trim(self) -> bool:
        """Drop what is too much; return whether anything was."""
        keys = sorted(self.kept)
        before, self.kept = self.kept, {key: self.kept[key] for key in keys[: self._most]}
        for key in keys[self._most :]:
            self.more = True
            if self._drop:
                self._drop(key, before[key])
        if len(keys) > self._most > 0:
            self._last = keys[self._most - 1]
        return len(keys) > self._most


class Timeline:
    """How many handshakes of each version there were over time, in up to ``MOST_SLOTS`` slots.

    When there would be more, the slots are made wider and their counts are added up.
    """

    def __init__(self) -> None:
        self.width = WIDTHS[0]
        #: (slot, version) -> handshakes. A slot is how many widths it begins after ``MONDAY``.
        self.counts: dict[tuple[int, int], int] = {}

    def add(self, when: float, version: int, count: int) -> None:
        """Count handshakes of this time."""
        key = (int(when - MONDAY) // self.width, version)
        before = self.counts.get(key, 0)
        self.counts[key] = before + count
        while not before and len(self._slots()) > MOST_SLOTS:
            self._widen()

    def _slots(self) -> range:
        """Return the slots from the first to the last, including empty ones."""
        slots = [slot for slot, _ in self.counts]
        return range(min(slots), max(slots) + 1) if slots else range(0)

    def widen(self, width: int) -> None:
        """Make the slots at least as wide as this, which is one of ``WIDTHS``."""
        while self.width < width:
            self._widen()

    def _widen(self) -> None:
        width = WIDTHS[WIDTHS.index(self.width) + 1]
        wider: Counter[tuple[int, int]] = Counter()
        for (slot, version), count in self.counts.items():
            wider[slot // (width // self.width), version] += count
        self.counts, self.width = wider, width

    def starts(self) -> list[int]:
        """Return when each slot begins, including empty ones."""
        return [slot * self.width + MONDAY for slot in self._slots()]

    def at(self, start: int, version: int) -> int:
        """Return how many handshakes of a version were in the slot that begins at ``start``."""
        return self.counts.get(((start - MONDAY) // self.width, version), 0)
