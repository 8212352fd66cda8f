"""Counts for OpenTelemetry's metrics; ``docs/reference/events.md`` lists them.

Theory of operation. A handshake adds one to a number in a dict. OpenTelemetry asks for the numbers
when it exports them, by the callbacks of asynchronous instruments. So a handshake pays neither for
attributes nor for OpenTelemetry's SDK. Nothing of OpenTelemetry is imported: ``arm`` calls
``start()`` once the program, or its agent, has loaded its API. The instruments of the API wait for
a meter provider, so a program may set one at any time, for example after a fork.

Names follow OpenTelemetry's semantic conventions: https://opentelemetry.io/docs/specs/semconv/

The counts are written without a lock, as those of ``floor``. Each process counts for itself: a
child begins with zero, and has another ``tlsfloor.start``. If a provider has already asked its
parent, the child inherits what that provider knows of the parent: in delta temporality, it would
report less than nothing. So such a child has series of its own, by ``process.pid``.
"""

from __future__ import annotations

import os
import sys
import time

from tlsfloor import events, exemptions, hooks, versions
from tlsfloor import floor as current
from tlsfloor.stacks import COVERED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Points = Iterator[tuple[float, dict[str, object]]]

#: So many addresses are counted separately, for each outcome of a handshake. A process that
#: connects to more has one series for the rest of them.
MAX_ADDRESSES = 100

#: The address of all others. The conventions write it so in ``error.type``, for example.
OTHER = "_OTHER"

_SECONDS_A_DAY = 86_400

# Version, role, address, outcome, exemption, floor, whether it is observed -> how many handshakes.
_handshakes: dict[tuple[Any, ...], int] = {}
# Kind, mode, address -> how many events that ``floor.counts`` does not have.
_others: dict[tuple[str, object, object], int] = {}
# Outcome -> the addresses that are counted separately.
_addresses: dict[str, set[object]] = {}
# What ``floor.counts`` was when this process began.
_inherited = dict.fromkeys(current.counts, 0)
# The module of OpenTelemetry's API that has our instruments.
_api: Any = None
# When the counts of this process began, and whether a provider has asked for them.
_start = time.time()
_asked = False
# What tells this process from its parent, if both have one provider.
_process: dict[str, object] = {}


def _forget_parent() -> None:
    global _start
    _start = time.time()
    if _asked:
        _process["process.pid"] = os.getpid()
    for counted in (_handshakes, _others, _addresses):
        counted.clear()
    _inherited.update(current.counts)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def start() -> None:
    """Create the instruments, once for each time that OpenTelemetry's API was loaded."""
    global _api
    api = sys.modules.get(hooks.OPENTELEMETRY)
    if api is not None and api is not _api and hasattr(api, "get_meter"):
        _api = api
        events.count_handshake, events.measure = _count_handshake, _count_other
        events.call_safely("opentelemetry", _create_instruments, api)


def _create_instruments(api: Any) -> None:
    meter = api.get_meter("tlsfloor")

    def observing(points: Callable[[], Points]) -> list[Any]:
        def observe(_options: object) -> list[Any]:
            global _asked
            _asked = True
            return [api.Observation(value, {**each, **_process}) for value, each in points()]

        return [observe]

    for create, name, points, unit, text in (
        ("counter", "handshakes", _handshake_points, "{handshake}", "Completed handshakes."),
        ("counter", "refusals", _refusal_points, "{refusal}", "Uses of TLS that were refused."),
        ("counter", "raises", _raise_points, "{context}", "Contexts that were raised."),
        ("gauge", "start", _start_points, "s", "When these counts began, Unix time."),
        ("gauge", "armed", _armed_points, "{process}", "1 for each floor of the process."),
        ("gauge", "stacks", _stack_points, "{stack}", "1 for each TLS stack that is loaded."),
        ("gauge", "problems", _problem_points, "{problem}", "What tlsfloor cannot do or see."),
        ("gauge", "exemption.expiry", _exemption_points, "s", "When an exemption ends, Unix time."),
    ):
        make = getattr(meter, f"create_observable_{create}")
        make(f"tlsfloor.{name}", observing(points), unit, text)


def _bounded(outcome: str, address: object) -> object:
    """Return an address, or OTHER if too many others are counted already."""
    known = _addresses.setdefault(outcome, set())
    if address is not None and address not in known:
        if len(known) >= MAX_ADDRESSES:
            return OTHER
        known.add(address)
    return address


def _count_handshake(
    version: int, role: str, address: object, find: Callable[[], dict[str, Any]]
) -> None:
    """Count a handshake; ``find()`` returns the facts of the connection."""
    if current.is_internal():
        return
    outcome, exemption = "at_floor", None
    if version < current.threshold:
        outcome, exemption = _below(find())
    rest = outcome, exemption, current.threshold, current.observed > current.held
    key = (version, role, address, *rest)
    try:
        _handshakes[key] += 1
    except KeyError:
        key = (version, role, _bounded(outcome, address), *rest)
        _handshakes[key] = _handshakes.get(key, 0) + 1


def _below(facts: dict[str, Any]) -> tuple[str, object]:
    found = None
    if facts.get("exempted"):
        port = facts.get("port")
        found = exemptions.exemption_for(facts["server_name"], facts.get("peer"), port)
    return ("exempted", _bounded("exemption", found.host)) if found else ("below_floor", None)


def _count_other(kind: str, facts: dict[str, Any]) -> None:
    """Count an event that is no handshake, unless ``floor.counts`` has it."""
    mode = facts.get("mode", "enforce")
    address = None
    if kind == "failed" and facts.get("role") == "client":
        address = _bounded(kind, facts.get("server_name") or facts.get("peer"))
    if kind == "failed" or (mode == "observe" and kind in current.counts):
        _others[kind, mode, address] = _others.get((kind, mode, address), 0) + 1


def _handshake_points() -> Points:
    for key, count in _handshakes.copy().items():
        version, role, address, outcome, exemption, floor, observes = key
        protocol, number = versions.protocol(versions.name(version))
        attributes = {
            "tls.protocol.name": protocol,
            "tls.protocol.version": number,
            "server.address": address,
            "tlsfloor.role": role,
            "tlsfloor.stack": "ssl",
            "tlsfloor.mode": "observe" if observes else "enforce",
            "tlsfloor.floor": versions.floor_name(floor),
            "tlsfloor.outcome": outcome,
            "tlsfloor.exemption": exemption,
        }
        yield count, {name: value for name, value in attributes.items() if value is not None}


def _refusal_points() -> Points:
    yield from _counted("error.type", "refused", "discarded", "failed")


def _raise_points() -> Points:
    yield from _counted("tlsfloor.kind", "raised", "clamped")


def _counted(attribute: str, *kinds: str) -> Points:
    for kind in kinds:
        if kind in _inherited and current.is_held():
            counted = current.counts[kind] - _inherited[kind]
            yield counted, {attribute: kind, "tlsfloor.mode": "enforce"}
    for (kind, mode, address), count in _others.copy().items():
        if kind in kinds:
            attributes = {attribute: kind, "tlsfloor.mode": mode}
            yield count, {**attributes, **({"server.address": address} if address else {})}


def _start_points() -> Points:
    yield _start, {}


def _armed_points() -> Points:
    for floor, mode in ((current.held, "enforce"), (current.observed, "observe")):
        if floor != current.NO_FLOOR:
            yield 1, {"tlsfloor.floor": versions.floor_name(floor), "tlsfloor.mode": mode}


def _stack_points() -> Points:
    unknown = {name.partition(".")[0] for name in current.unknown.copy() if name in sys.modules}
    found = dict.fromkeys(sorted(unknown | current.unknown_observed)[:MAX_ADDRESSES], "unknown")
    for name, state in current.stacks.copy().items():
        if name in sys.modules:
            known = state in COVERED or state == "observed"
            found[name] = state if known else "uncovered"
    for name, coverage in found.items():
        yield 1, {"tlsfloor.stack": name, "tlsfloor.coverage": coverage}


def _problem_points() -> Points:
    texts = (current.failure, current.handshakes_unseen, *exemptions.problems, *events.failures)
    yield sum(map(bool, texts)), {}


def _exemption_points() -> Points:
    import datetime as dt

    for exemption in sorted(exemptions.known, key=lambda each: each.expires)[:MAX_ADDRESSES]:
        last = dt.datetime.fromisoformat(exemption.expires).replace(tzinfo=dt.timezone.utc)
        port = {} if exemption.port is None else {"server.port": exemption.port}
        yield last.timestamp() + _SECONDS_A_DAY, {"tlsfloor.exemption": exemption.host, **port}
