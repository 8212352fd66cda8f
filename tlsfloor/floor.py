"""What happened in this process: plain facts, written by the guards, read by ``status()``.

Nothing is formatted, logged or sent from here. The counts are written without a lock, on purpose: a
gate must never wait for another thread, and a count that a race made one too small harms nobody.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: How often a gate had to act: a context ``raised`` to the floor, a lower bound that was asked for
#: and ``clamped``, a TLS object ``refused`` before its birth, or ``discarded`` after its
#: handshake.
counts = {"raised": 0, "clamped": 0, "refused": 0, "discarded": 0}

#: What the start-up files left, where there were any.
start_up: dict[str, Any] = getattr(sys, "_tlsfloor", {})

#: One entry for each time a floor was armed, oldest first.
armings: list[Arming] = []

#: What holds on each stack that was met: its name -> guarded, configured, inherent, or why none is.
stacks: dict[str, str] = {}


class Arming:
    """A floor was armed: which (a wire number), by which route, by whom, when (Unix time).

    ``mode`` is ``"enforce"``, or ``"observe"`` for a floor that only tells what it would change.
    """

    __slots__ = ("floor", "mode", "route", "set_by", "since")

    def __init__(self, floor: int, mode: str, route: str, set_by: str, since: float) -> None:
        self.floor = floor
        self.mode = mode
        self.route = route
        self.set_by = set_by
        self.since = since


def strictest(mode: str) -> Arming | None:
    """Return the arming with the highest floor of a mode, None where there is none."""
    return max(
        (each for each in armings if each.mode == mode), key=lambda each: each.floor, default=None
    )


class Status:
    """What holds in this process, as ``status()`` and ``enforce()`` report it.

    True in a condition when the floor is held. Attributes:

    * ``floor``: ``"1.2"``, or None when nothing is armed;
    * ``observed``: the floor that is observed and not held, None where there is none above
      ``floor``;
    * ``held``: the floor is armed and holds on every stack met so far, with its gates in place;
    * ``armings``: a dict for each route that armed a floor: floor, mode, route, set_by, since (RFC
      3339, UTC);
    * ``stacks``: the name of each stack met so far -> ``"guarded"``, ``"configured"``,
      ``"inherent"``, or why it is none of these;
    * ``counts``: how often a gate raised, clamped, refused or discarded (under threads, at least);
    * ``libraries``: a dict for each TLS implementation in this process, on Linux mapped libraries
      too: path, holds, stack, coverage, which is ``"unknown"`` where no stack is known to bring it;
      only ``status()`` looks for them;
    * ``below``: what exists below the floor and cannot be changed any more, such as a connection
      that was open before;
    * ``problems``: why the process is not, or not wholly, protected;
    * ``events``: where events go -> ``"well"``, or what went wrong there the last time;
    * ``exemptions``: a dict for each entry of the operator's file: host, port, minimum, reason,
      expires, days_left, applies; what is wrong with the file is on stderr, and an event;
    * ``children``: what holds in the Pythons that it would start just now, and with which flags
      not.

    .. versionadded:: 0.1
    """

    __slots__ = (
        "armings",
        "below",
        "children",
        "counts",
        "events",
        "exemptions",
        "floor",
        "held",
        "libraries",
        "observed",
        "problems",
        "stacks",
    )

    def __init__(
        self,
        *,
        floor: str | None,
        observed: str | None,
        held: bool,
        armings: list[dict[str, str]],
        stacks: dict[str, str],
        counts: dict[str, int],
        below: list[str],
        problems: list[str],
        libraries: list[dict[str, str]],
        events: dict[str, str],
        exemptions: list[dict[str, Any]],
        children: str,
    ) -> None:
        self.floor = floor
        self.observed = observed
        self.held = held
        self.armings = armings
        self.stacks = stacks
        self.counts = counts
        self.below = below
        self.problems = problems
        self.libraries = libraries
        self.events = events
        self.exemptions = exemptions
        self.children = children

    def __bool__(self) -> bool:
        return self.held

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"Status({facts})"

    def as_dict(self) -> dict[str, Any]:
        """Return the same facts as plain JSON types, keys in a stable order."""
        names = ("held", "floor", "observed", "armings", "stacks", "libraries", "counts", "below")
        return {
            name: getattr(self, name)
            for name in (*names, "problems", "events", "exemptions", "children")
        }
