"""What holds in this process: asked of the guards and the verifier; nothing changes."""

from __future__ import annotations

import os
import sys
import time

from tlsfloor import arm, events, exemptions, hooks, policy, stacks, versions
from tlsfloor import floor as current
from tlsfloor.errors import FloorNotHeldError
from tlsfloor.stacks import _registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Status:
    """What holds in this process, as ``status()`` and ``enforce()`` report it.

    True in a condition when the floor is held. Attributes:

    * ``floor``: ``"1.2"``, or None when nothing is armed;
    * ``observed``: the floor that is observed and not held, None where there is none above
      ``floor``;
    * ``held``: the floor is armed and holds on every stack met so far, with its gates in place, and
      no library was loaded that carries TLS and is in no row of the table;
    * ``armings``: a dict for each route that armed a floor: floor, mode, route, set_by, since (RFC
      3339, UTC);
    * ``stacks``: the name of each stack met so far -> ``"guarded"``, ``"configured"``,
      ``"inherent"``, or why it is none of these;
    * ``counts``: how often a gate raised, clamped, refused or discarded (under threads, at least);
    * ``libraries``: a dict for each TLS implementation in this process, on Linux mapped libraries
      too: path, implementation, stack, coverage, which is ``"unknown"`` where no stack is known to
      bring it; only ``status()`` looks for them;
    * ``below``: what exists below the floor and cannot be changed any more, such as a connection
      that was open before;
    * ``problems``: why the process is not, or not wholly, protected; unknown libraries are here;
    * ``events``: where events go -> ``"ok"``, or what went wrong there the last time; and
      ``handshakes``, with the reason, where they cannot be seen;
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


def status() -> Status:
    """Return what holds in this process. Changes nothing.

    It asks the guards, and where ``ssl`` is loaded ``verify()`` as well, which sees a floor that
    somebody has undone; and it names the TLS implementations that are loaded. What it asks is no
    event and is not counted.

    .. versionadded:: 0.1
    """
    told = _judged()
    from tlsfloor.inventory import libraries
    from tlsfloor.stacks import _coverage

    known = {**_coverage.coverage(told.floor), **told.stacks}
    told.libraries = _coverage.describe(libraries.loaded(), known)
    return told


def _judged() -> Status:
    """Return what the guards say of this process, and the verifier where ``ssl`` is loaded."""
    told = found()
    if told.held and sys.modules.get("ssl") is not None:
        from tlsfloor.verifier import in_process

        accepted = in_process.verify(told.floor).below
        told.problems += [f"the verifier says: {each}" for each in accepted]
        told.held = not accepted
    return told


def found() -> Status:
    """Return what the guards say of this process, and the state of it."""
    arm.adopt()
    problems = _problems()
    if current.unknown:
        from tlsfloor.stacks import _unknown_found

        problems += _unknown_found.problems()
    below: list[str] = []
    states = dict(current.stacks)
    if current.is_held():
        loaded = {name: module for name, module in list(sys.modules.items()) if _is_loaded(name)}
        for name, module in loaded.items():
            key = arm.state_of(name)
            if states.setdefault(key, "guarded") == "guarded":
                states[key] = _registry.undone(name, module) or "guarded"
        # Once of each guard, which may have several rows.
        for name in {stacks.TABLE[name]: name for name in loaded}.values():
            below += _registry.ask(name, "below") or []
        problems += [
            f"{name}: {state}" for name, state in states.items() if state not in stacks.COVERED
        ]
    sinks = {each: "ok" for each in [events.file, *map(repr, events.callbacks)] if each}
    written = next((each["floor"] for each in current.files if each["floor"]), None)
    return Status(
        floor=_name(current.held),
        observed=_name(current.observed),
        held=not problems,
        armings=[
            {
                "floor": versions.floor_name(arming["floor"]),
                "mode": arming["mode"],
                "route": arming["route"],
                "set_by": arming["set_by"],
                "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(arming["since"])),
            }
            for arming in current.armings
        ],
        stacks=states,
        counts=dict(current.counts),
        below=below,
        problems=problems,
        libraries=[],
        events={
            **sinks,
            **events.failures,
            **({"handshakes": current.handshakes_unseen} if current.handshakes_unseen else {}),
        },
        exemptions=[each.as_dict() for each in exemptions.known],
        children=policy.of_children(os.environ, written),
    )


def _is_loaded(name: str) -> bool:
    """Tell whether a module of the table is here; one that is still being executed is not."""
    module: Any = sys.modules.get(name) if name in stacks.TABLE else None
    return module is not None and not getattr(
        getattr(module, "__spec__", None), "_initializing", False
    )


def running_forkserver() -> int | None:
    """Return the process id of multiprocessing's forkserver, None where none runs."""
    module: Any = sys.modules.get("multiprocessing.forkserver")
    pid: int | None = getattr(getattr(module, "_forkserver", None), "_forkserver_pid", None)
    return pid


def _name(floor: int) -> str | None:
    return None if floor == current.NO_FLOOR else versions.floor_name(floor)


def _problems() -> list[str]:
    """Return why this process as a whole is not protected."""
    if current.is_held():
        found = [hooks.undone()]
        asked = max(each["floor"] for each in current.armings if each["mode"] == policy.ENFORCE)
        if current.held != asked:
            found.append(f"the floor was changed to {_name(current.held)} by code of this process")
        if current.forkserver is not None and current.forkserver == running_forkserver():
            found.append(
                f"the forkserver of multiprocessing (process {current.forkserver}) was started "
                "before enforce(children=True): processes that it forks are not held; hint: call "
                "enforce() before the first one is started"
            )
        return [each for each in found if each]
    if current.failure:
        return [current.failure]
    if current.observed != current.NO_FLOOR:
        return [f"floor {_name(current.observed)} is observed, and not held"]
    off = "TLSFLOOR=off" if policy.is_off(os.environ) else "no floor is armed"
    return [off, *filter(None, [policy.never_ran()])]


def require(floor: object) -> None:
    """Raise unless this process holds at least ``floor``. Changes nothing.

    For a library that must not run without one: setting it is the application's, or the operator's.
    It asks what ``status()`` asks, and passes where ``held`` of that is true and ``floor`` is high
    enough. That takes some 20 ms where ``ssl`` is loaded: ask once, and not for each connection.

    Raises:
        FloorNotHeldError: nothing is armed, or less, or a guard is not in place; ``status`` is what
            was told.
        PolicyError: the floor cannot be understood.

    .. versionadded:: 0.1
    """
    asked = policy.floor_of(floor, "require()")
    told = _judged()
    if told.held and versions.FLOORS[str(told.floor)] >= asked:
        return
    name = versions.floor_name(asked)
    problems = told.problems or [f"its floor is {told.floor}"]
    reasons, hints = zip(*(each.partition("; hint: ")[::2] for each in problems))
    usual = (
        f'call tlsfloor.enforce("{name}") where the program starts, or run it with '
        f"`tlsfloor run --floor {name} -- CMD`"
    )
    if told.floor and versions.FLOORS[told.floor] >= asked:  # it is armed, and a library escapes it
        usual = "run `tlsfloor stacks`, which names each TLS library and what covers it"
    raise FloorNotHeldError(
        f"this process does not hold TLS {name}: {', '.join(reasons)}",
        hint=next(filter(None, hints), usual),
        status=told.as_dict(),
    )
