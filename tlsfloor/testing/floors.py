"""The fixture ``tls_floor``: a floor for one test, which is undone after it.

A floor that is held cannot be undone, and no code may be able to. So in the process of the test a
floor is only observed, which holds nothing and can end; and one that is held is in a process of
its own, and ends with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tlsfloor import arm, events, policy
from tlsfloor import floor as current
from tlsfloor.testing.recorder import ASKED, BELOW, REFUSED, USUAL, Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tlsfloor._types import Floor


class Seen:
    """What a floor would have stopped or changed: each a list of events, as dicts.

    ``below``: handshakes below the floor. ``refused``: TLS objects that it would refuse.
    ``asked``: bounds below the floor that the program has set.
    """

    def __init__(self) -> None:
        self.below: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []


class TLSFloor:
    """A floor for one test. Call it to observe a block; ``run()`` holds it in another process."""

    def __init__(self, name: str) -> None:
        self._name = name

    @contextmanager
    def __call__(self, floor: Floor) -> Iterator[Seen]:
        """Observe what a floor would change in a block; the result is complete at its end.

        Raises:
            PolicyError: the floor cannot be understood.
            GuardError: it could not be held in this interpreter.
        """
        wire = policy.floor_of(floor, "tls_floor()")
        arm.adopt()
        arm.check_floor(wire)
        recorder, seen = Recorder(wire), Seen()
        kinds = {BELOW: seen.below, REFUSED: seen.refused, ASKED: seen.asked, USUAL: seen.asked}
        events.flush()  # what was counted before is not about this block
        events.callbacks.append(recorder)
        arm.arm(wire, policy.OBSERVE, "call", f"tls_floor() in {self._name}")
        arming = current.armings[-1]
        try:
            yield seen
        finally:
            for kind, event in recorder.take():
                kinds.get(kind, []).append(event)
            events.callbacks.remove(recorder)
            stop_observing(arming)

    def run(
        self, floor: Floor, *args: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run this Python with arguments, under a floor that is held as in production.

        Args:
            floor: as for ``enforce()``.
            args: the arguments of Python: ``"program.py"``, or ``"-c"`` and code.
            env: the environment to add the floor to, instead of this process's.
            options: other arguments of ``subprocess.run()``.

        Returns:
            What ``subprocess.run()`` returns, with the output as text.
        """
        wire = policy.floor_of(floor, "tls_floor.run()")
        environment = dict(os.environ if env is None else env)
        environment.update(policy.for_children(environment, wire))
        settings = {"capture_output": True, "text": True, "check": False, **options}
        command = [sys.executable, *args]
        return subprocess.run(command, env=environment, **settings)  # noqa: S603, PLW1510 - the user's own


def stop_observing(arming: dict[str, Any]) -> None:
    """Take back one floor that is observed. What is held stays as it is."""
    current.armings.remove(arming)
    others = [each["floor"] for each in current.armings if each["mode"] == policy.OBSERVE]
    highest = max(others, default=current.NO_FLOOR)
    current.observed = highest if highest > current.held else current.NO_FLOOR
    current.threshold = max(current.held, current.observed)
