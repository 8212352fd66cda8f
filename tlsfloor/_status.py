"""``status()`` and ``require()``: what holds in this process. Both ask, and change nothing."""

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

    from tlsfloor._types import Arming, Counts, Exemption, Floor, FloorName, Library


class Status:
    """What holds in this process, as ``status()`` and ``enforce()`` return it.

    True in a condition if the floor is held. Attributes:

    * ``held``: the floor is armed, it is held on every stack that was imported, all gates are in
      place, and no library was loaded that carries TLS and is in no row of the table (``status()``
      and ``require()`` also look for those that no import brings, on Linux);
    * ``floor``: ``"1.2"``, or None if nothing is armed;
    * ``observed``: the floor that is observed and not held, or None if there is none above
      ``floor``;
    * ``armings``: a dict for each route that armed a floor: floor, mode, route, set_by, since (RFC
      3339, UTC);
    * ``stacks``: the name of each stack that was imported -> ``"guarded"``, ``"configured"``,
      ``"inherent"``, or why it is none of these;
    * ``libraries``: a dict for each TLS implementation in this process, on Linux mapped libraries
      too: path, implementation, stack, coverage, which is ``"unknown"`` if no stack is known to
      bring it, and parts, its other files; empty in what ``enforce()`` returns;
    * ``counts``: how often a gate raised, clamped, refused or discarded (under threads, at least);
    * ``below``: what exists below the floor and cannot be changed any more, such as a connection
      that was open before;
    * ``problems``: why the process is not protected, or not fully; unknown libraries are here;
    * ``events``: where events go -> ``"ok"``, or the last error there; and ``handshakes``, with the
      reason, if they cannot be seen;
    * ``exemptions``: a dict for each entry of the operator's file: host, port, minimum, reason,
      expires, days_left, applies; errors in the file are on stderr, and are events;
    * ``children``: what holds in a Python that this process starts now, and with which flags it
      does not.

    .. versionadded:: 0.1
    """

    __slots__ = (
        *("held", "floor", "observed", "armings", "stacks", "libraries", "counts", "below"),
        *("problems", "events", "exemptions", "children"),
    )

    held: bool
    floor: FloorName | None
    observed: FloorName | None
    armings: list[Arming]
    stacks: dict[str, str]
    libraries: list[Library]
    counts: Counts
    below: list[str]
    problems: list[str]
    events: dict[str, str]
    exemptions: list[Exemption]
    children: str

    def __init__(self, **facts: Any) -> None:
        for name in self.__slots__:
            setattr(self, name, facts[name])

    def __bool__(self) -> bool:
        return self.held

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"Status({facts})"

    def as_dict(self) -> dict[str, Any]:
        """Return the same facts as plain JSON types, keys in a stable order."""
        return {name: getattr(self, name) for name in self.__slots__}


def status() -> Status:
    """Return what holds in this process. Changes nothing.

    It asks the guards, and ``verify()`` if ``ssl`` is loaded, which also sees a floor that other
    code has undone. It lists the TLS implementations that are loaded. Its own questions are no
    events and are not counted.

    .. versionadded:: 0.1
    """
    found = from_guards()
    from tlsfloor.inventory import libraries
    from tlsfloor.stacks import _coverage

    known = {**_coverage.coverage(found.floor), **found.stacks}
    found.libraries = _coverage.describe(libraries.loaded(), known)
    if found.floor and not libraries.is_embedded():
        from tlsfloor.stacks import _unknown_found

        opened = _unknown_found.describe_opened(found.libraries, current.held)
        found.problems += opened
        found.held = found.held and not opened
    if found.held and found.floor and sys.modules.get("ssl") is not None:
        from tlsfloor.verifier import in_process

        accepted = in_process.verify(found.floor).below
        found.problems += [f"the verifier says: {observation}" for observation in accepted]
        found.held = not accepted
    return found


def from_guards() -> Status:
    """Return what the guards report, and the state of the process."""
    arm.adopt()
    problems = _process_problems()
    if current.unknown:
        from tlsfloor.stacks import _unknown_found

        problems += _unknown_found.describe_unknown()
    below: list[str] = []
    states = dict(current.stacks)
    if current.is_held():
        loaded = {name: module for name, module in list(sys.modules.items()) if _is_loaded(name)}
        for name, module in loaded.items():
            key = arm.stack_name(name)
            if states.setdefault(key, "guarded") == "guarded":
                states[key] = _registry.undone_on(name, module) or "guarded"
        # One guard may have several rows: ask it once.
        for name in {stacks.TABLE[name]: name for name in loaded}.values():
            below += _registry.ask(name, "below") or []
        problems += [
            f"{name}: {state}" for name, state in states.items() if state not in stacks.COVERED
        ]
    sinks = {sink: "ok" for sink in [events.file, *map(repr, events.callbacks)] if sink}
    unseen = {"handshakes": current.handshakes_unseen} if current.handshakes_unseen else {}
    armings = [
        {
            **arming,
            "floor": versions.floor_name(arming["floor"]),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(arming["since"])),
        }
        for arming in current.armings
    ]
    return Status(
        held=not problems,
        floor=_name(current.held),
        observed=_name(current.observed),
        armings=armings,
        stacks=states,
        libraries=[],
        counts=dict(current.counts),
        below=below,
        problems=problems,
        events={**sinks, **events.failures, **unseen},
        exemptions=[exemption.as_dict() for exemption in exemptions.known],
        children=policy.describe_children(
            os.environ, next((file["floor"] for file in current.files if file["floor"]), None)
        ),
    )


def _is_loaded(name: str) -> bool:
    """Tell whether a module of the table is loaded; one that is still being executed is not."""
    module: Any = sys.modules.get(name) if name in stacks.TABLE else None
    return module is not None and not getattr(
        getattr(module, "__spec__", None), "_initializing", False
    )


def running_forkserver() -> int | None:
    """Return the process id of multiprocessing's forkserver, None if none is running."""
    module: Any = sys.modules.get("multiprocessing.forkserver")
    pid: int | None = getattr(getattr(module, "_forkserver", None), "_forkserver_pid", None)
    return pid


def _name(floor: int) -> str | None:
    return None if floor == current.NO_FLOOR else versions.floor_name(floor)


def _process_problems() -> list[str]:
    """Return why the process as a whole is not protected."""
    if current.is_held():
        found = [hooks.problem()]
        asked = max(
            arming["floor"] for arming in current.armings if arming["mode"] == policy.ENFORCE
        )
        if current.held != asked:
            found.append(f"the floor was changed to {_name(current.held)} by code of this process")
        if current.forkserver is not None and current.forkserver == running_forkserver():
            found.append(
                f"the forkserver of multiprocessing (process {current.forkserver}) was started "
                "before enforce(children=True): processes that it forks are not held; hint: call "
                "enforce() before the first one is started"
            )
        return [problem for problem in found if problem]
    if current.failure:
        return [current.failure]
    if current.observed != current.NO_FLOOR:
        return [f"floor {_name(current.observed)} is observed, and not held"]
    off = "TLSFLOOR=off" if policy.is_off(os.environ) else "no floor is armed"
    return [off, *filter(None, [policy.unrun_startup_file()])]


def require(floor: Floor) -> None:
    """Raise an error unless this process holds ``floor`` or a higher one. Changes nothing.

    It is for a library that must not run without a floor, and may not set one: only the application
    or the operator may. It asks what ``status()`` asks, and passes if ``held`` of that is true and
    the floor is high enough. The first time it reads the files of all loaded libraries, and if
    ``ssl`` is loaded it tries connections in memory, which takes some 20 ms each time: ask once,
    and not for each connection.

    Args:
        floor: as for ``enforce()``.

    Raises:
        FloorNotHeldError: nothing is armed, or a lower floor, or a guard is not in place; the
            attribute ``status`` of the error is the ``Status``.
        PolicyError: the floor cannot be understood.

    .. versionadded:: 0.1
    """
    asked = policy.floor_of(floor, "require()")
    found = status()
    if found.held and versions.FLOORS[str(found.floor)] >= asked:
        return
    name = versions.floor_name(asked)
    problems = found.problems or [f"its floor is {found.floor}"]
    reasons, hints = zip(*(problem.partition("; hint: ")[::2] for problem in problems))
    usual = (
        f'call tlsfloor.enforce("{name}") where the program starts, or run it with '
        f"`tlsfloor run --floor {name} -- CMD`"
    )
    if found.floor and versions.FLOORS[found.floor] >= asked:  # it is armed, and a library is not
        usual = "run `tlsfloor stacks`, which lists each TLS library and what covers it"
    raise FloorNotHeldError(
        f"this process does not hold TLS {name}: {', '.join(reasons)}",
        hint=next(filter(None, hints), usual),
        status=found,
    )
