"""Events of the floor, sorted into what they say about a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlsfloor import events, policy, versions

if TYPE_CHECKING:
    from typing import Any

#: What an event says about a test: it completed a handshake, at or above the floor, or below it; it
#: was refused; it asked for a version below the floor. ``USUAL`` is a minimum of TLS 1.2, which
#: many libraries set by themselves.
ABOVE, BELOW, REFUSED, ASKED, USUAL = "above", "below", "refused", "asked", "usual"

#: The stacks that nobody but the fixtures of this package has loaded.
own_stacks: set[str] = set()

_REFUSALS = frozenset({"refused", "failed", "discarded"})


class Recorder:
    """A callback for events, which keeps those that are about a floor (a wire number)."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._found: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: dict[str, Any]) -> None:
        """Keep an event, if it is about the floor."""
        kind = self._kind(event)
        if kind:
            self._found.append((kind, event))

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what was recorded since the last call."""
        events.flush()  # equal events are counted, and most of them not delivered at once
        found = self._found[:]
        del self._found[: len(found)]
        return found

    def _kind(self, event: dict[str, Any]) -> str:
        if event["kind"] == "handshake":
            return BELOW if self._is_below(event.get("version")) else ABOVE
        asked = event.get("asked")
        # The floor that is observed may be higher than this one.
        if event.get("mode") == policy.OBSERVE and not self._is_below(asked):
            return ""
        if event["kind"] in _REFUSALS:
            return REFUSED
        if event["kind"] == "clamped":
            return USUAL if events.is_usual(event) else ASKED
        return ""

    def _is_below(self, name: str | None) -> bool:
        # These texts sort as the versions do: SSLv3, TLS 1.0, TLS 1.1 ...
        return name in (None, "any version") or name < versions.name(self.floor)


def describe(event: dict[str, Any]) -> str:
    """Return who an event is about, and the version, in a few words.

    ``"client TLS 1.0"``, or ``"at most TLS 1.2"``.
    """
    stack = event.get("stack", "ssl")
    words = (
        "at most" if event.get("bound") == "maximum" else "",
        event.get("role", ""),
        event.get("version") or event.get("asked", ""),
        "" if stack == "ssl" else f"by {stack}",
    )
    return " ".join(filter(None, words)) or event["kind"]
