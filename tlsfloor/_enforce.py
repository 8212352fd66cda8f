"""The calls that set a floor: ``enforce()`` for a process, ``raise_context()`` for one context."""

from __future__ import annotations

import os
import sys

from tlsfloor import _status, arm, events, policy
from tlsfloor import floor as current
from tlsfloor.errors import GuardError, PolicyError
from tlsfloor.startup import failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import Any, Literal

    from tlsfloor._status import Status
    from tlsfloor._types import Floor


def enforce(
    floor: Floor,
    *,
    mode: Literal["enforce", "observe"] = "enforce",
    children: bool = False,
    uncovered: Literal["warn", "block"] | None = None,
    stacks: Mapping[str, Literal["warn", "block"]] | None = None,
    unknown: Literal["warn", "block"] | None = None,
    on_event: Callable[[dict[str, Any]], object] | None = None,
) -> Status:
    """Hold every TLS connection of this process at ``floor`` or above, from now on.

    Call it as early as possible; it also works late. A call can raise an earlier floor and never
    lowers one. ``TLSFLOOR`` and ``TLS_MIN_VERSION`` in the environment can ask for a higher floor.
    The call does not import ``ssl``, so gevent and eventlet can still patch it afterwards.

    Args:
        floor: ``"1.2"`` or ``"1.3"`` (also ``"1.0"``, ``"1.1"``), or a member of
            ``ssl.TLSVersion``.
        mode: ``"enforce"``; or ``"observe"``, which changes nothing in the process, and reports by
            events what the floor would have raised and refused.
        children: also set the floor for Pythons that this process starts. The call puts the
            bootstrap folder on their ``PYTHONPATH``, through ``os.environ``.
        uncovered: what to do with a stack on which nothing holds the floor. ``"warn"``: import it
            and name it on stderr. ``"block"``: refuse its TLS connections, or if that is not
            possible its import; this is the default, and it wins if both are asked for.
        stacks: the same for single stacks, as a mapping: the name of a stack, as ``tlsfloor
            stacks`` prints it, or of its module, to ``"warn"`` or ``"block"``.
        unknown: what to do with a library that carries TLS and is in no row of the table.
            ``"warn"``: import it and name it on stderr; this is the default. ``"block"``: refuse
            the import; this wins if both are asked for.
        on_event: a function that is called with each event, a dict, in the thread that causes it.
            An exception that it raises is recorded in the status, and nowhere else.

    Returns:
        What holds now. Its ``below`` lists connections that were open before and cannot be raised.

    Raises:
        PolicyError: the floor, another argument or a variable of the environment cannot be
            understood. Nothing is armed then.
        GuardError: the floor cannot be held in this interpreter; ``findings`` is what the verifier
            observed. Everything that was armed before stays armed.

    .. versionadded:: 0.1
    """
    caller = sys._getframe(1)
    return arm_for(
        f"enforce() at {caller.f_code.co_filename}:{caller.f_lineno}",
        floor,
        mode=mode,
        children=children,
        uncovered=uncovered,
        stacks=stacks,
        unknown=unknown,
        on_event=on_event,
    )


def arm_for(
    set_by: str,
    floor: object,
    *,
    mode: str,
    children: bool = False,
    uncovered: str | None = None,
    stacks: Mapping[str, str] | None = None,
    unknown: str | None = None,
    on_event: Callable[[dict[str, Any]], object] | None = None,
) -> Status:
    """Do what ``enforce()`` does, for the route that ``set_by`` names."""
    arm.adopt()
    wire = policy.floor_of(floor, "enforce()")
    policy.mode_of(mode, "enforce()")
    by_name = {} if stacks is None else stacks
    uncovered_policy = policy.check_uncovered(uncovered, by_name, "enforce()", "enforce()")
    policy.unknown_of(unknown, "enforce()")
    if on_event is not None and not callable(on_event):
        raise PolicyError(
            f"on_event of enforce() is of type {type(on_event).__name__}, and cannot be called",
            hint="write on_event=print",
            value=on_event,
            source="enforce()",
        )
    if current.environment is None and not current.armings:  # else a start-up file has done so
        failure.name_unknown(os.environ)
    asked = policy.floor_in(os.environ)
    # A floor that the environment only observes is not one to hold.
    observes = policy.mode_of(os.environ.get(policy.MODE, policy.ENFORCE), policy.MODE) != mode
    if asked is not None and asked > wire and not (observes and mode == policy.ENFORCE):
        wire, set_by = asked, f"{set_by}, raised by the environment"
    arm.add_policy(uncovered_policy, "enforce()")
    arm.add_policy(policy.uncovered_in(os.environ), policy.STACKS)
    current.unknown_policies.update((unknown, policy.unknown_in(os.environ)))
    if on_event is not None and on_event not in events.callbacks:
        events.callbacks.append(on_event)
    try:
        arm.check_floor(wire)
        arm.arm(wire, mode, "call", set_by)
    except GuardError as error:
        error.findings = _findings()
        raise
    if children:
        strictest = current.observed if mode == policy.OBSERVE else current.held
        os.environ.update(policy.for_children(os.environ, max(strictest, wire), mode))
        if not current.files:  # else the forkserver armed itself as it started
            current.forkserver = _status.running_forkserver()
    return _status.from_guards()


def _findings() -> tuple[str, ...]:
    """Return what the verifier observes in this process, for the error of ``enforce()``."""
    from tlsfloor.verifier import in_process

    try:
        found = in_process.observe_ssl()
    except Exception as error:  # noqa: BLE001 - an ssl that was replaced can fail in any way
        return (f"the verifier found no ssl that it could try: {type(error).__name__}: {error}",)
    return tuple(str(observed) for observed in found if observed.outcome != "refused")


def raise_context(context: ssl.SSLContext, floor: Floor) -> None:
    """Raise one context to ``floor``, and change nothing else in the process.

    A bound of the context that is below the floor is set to the floor. The program can still lower
    it afterwards: only ``enforce()`` holds.

    Args:
        context: an ``ssl.SSLContext``, or an object of a subclass such as truststore's.
        floor: as for ``enforce()``.

    Raises:
        PolicyError: the floor cannot be understood.
        GuardError: this OpenSSL does not speak that version.
        ProtocolRefused: the context has a fixed version below the floor, as
            ``ssl.SSLContext(ssl.PROTOCOL_TLSv1)`` does.
        TypeError: ``context`` is not a context of ``ssl``.

    .. versionadded:: 0.1
    """
    from tlsfloor.stacks import _contexts

    _contexts.raise_one(context, policy.floor_of(floor, "raise_context()"), "raise_context()")
