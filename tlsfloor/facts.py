"""What holds in this process: asked of the guards, the ledger and the verifier; nothing changes."""

from __future__ import annotations

import os
import sys
import time

from tlsfloor import events, exemptions, ledger, policy, stacks, versions
from tlsfloor.errors import FloorNotHeldError
from tlsfloor.ledger import Status
from tlsfloor.stacks import guards


def status() -> Status:
    """Return what holds in this process. Changes nothing.

    It asks the guards, and the verifier as well, which sees a floor that somebody has undone; and
    it names the TLS implementations that are loaded.

    .. versionadded:: 0.1
    """
    told = found()
    if told.held and sys.modules.get("ssl") is not None:
        from tlsfloor.verify import hello

        counts = dict(ledger.counts)
        with events.Quiet():
            accepted = hello.verify(told.floor).below
        ledger.counts.update(counts)  # what the verifier asked for was not asked for by the program
        told.problems += [f"the verifier says: {each}" for each in accepted]
        told.held = not accepted
    from tlsfloor.stacks import about
    from tlsfloor.verify import libraries

    known = {**about.coverage(told.floor), **told.stacks}
    told.libraries = about.describe(libraries.loaded(), known)
    return told


def found() -> Status:
    """Return what the guards say of this process, and the ledger.

    .. versionadded:: 0.1
    """
    armings = list(ledger.armings)
    held, seen = ledger.strictest(policy.ENFORCE), ledger.strictest(policy.OBSERVE)
    floor = None if held is None else held.floor
    observed = seen.floor if seen and (floor is None or seen.floor > floor) else None
    states = dict(ledger.stacks)
    asked: dict[str, str] = {}
    for name in stacks.TABLE if floor is not None else ():
        module = sys.modules.get(name)
        if module is None:
            continue
        state = states.get(name, "guarded")
        if state == "guarded":
            states[name] = guards.undone(name, module) or state
        asked[stacks.TABLE[name]] = name  # once of each guard, which may have several rows
    below = [each for name in asked.values() for each in guards.ask(name, "below", floor) or []]
    problems = [
        f"{name}: {state}"
        for name, state in states.items()
        if floor is not None and state not in stacks.COVERED
    ]
    if floor is not None and not any(isinstance(each, stacks.Finder) for each in sys.meta_path):
        problems.append(
            "the finder was removed from sys.meta_path: a stack imported next is not guarded"
        )
    if floor is None:
        off = "TLSFLOOR=off" if policy.is_off(os.environ) else "no floor is armed"
        if observed is not None:
            off = f"floor {versions.floor_name(observed)} is observed, and not held"
        problems.append(ledger.start_up.get("failure", off))
    written = next(
        (each["floor"] for each in ledger.start_up.get("files", ()) if each["floor"]), None
    )
    sinks = {each: "well" for each in [events.file, *map(repr, events.callbacks)] if each}
    return Status(
        floor=None if floor is None else versions.floor_name(floor),
        observed=None if observed is None else versions.floor_name(observed),
        held=not problems,
        armings=[
            {
                "floor": versions.floor_name(arming.floor),
                "mode": arming.mode,
                "route": arming.route,
                "set_by": arming.set_by,
                "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(arming.since)),
            }
            for arming in armings
        ],
        stacks=states,
        counts=dict(ledger.counts),
        below=below,
        problems=problems,
        libraries=[],
        events={**sinks, **events.failures},
        exemptions=[each.as_dict() for each in exemptions.known],
        children=policy.of_children(os.environ, written),
    )


def require(floor: object) -> None:
    """Raise unless this process holds at least ``floor``. Changes nothing.

    For a library that must not run without one: setting it is the application's, or the operator's.

    Raises:
        FloorNotHeldError: nothing is armed, or less, or a guard is not in place; ``status`` is what
            was told.
        PolicyError: the floor cannot be understood.

    .. versionadded:: 0.1
    """
    asked = policy.floor_of(floor, "require()")
    told = found()
    if told.held and versions.FLOORS[str(told.floor)] >= asked:
        return
    name = versions.floor_name(asked)
    reasons = told.problems or [f"its floor is {told.floor}"]
    raise FloorNotHeldError(
        f"this process does not hold TLS {name}: {', '.join(reasons)}",
        hint=f'call tlsfloor.enforce("{name}") where the program starts, or run it with '
        f"`tlsfloor run --floor {name} -- CMD`",
        status=told.as_dict(),
    )
