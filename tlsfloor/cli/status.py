"""``tlsfloor status``: is this interpreter armed, by which route, since when; what was raised."""

from __future__ import annotations

import json
import sys

import tlsfloor
from tlsfloor.cli import JSON_SCHEMA, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def exempted(facts: dict[str, object]) -> str:
    """Return a line about an exemption."""
    port = f":{facts['port']}" if facts["port"] else ""
    until = f"until {facts['expires']}" if facts["applies"] else f"expired on {facts['expires']}"
    return f"exempted: {facts['host']}{port} down to {facts['minimum']}, {until}: {facts['reason']}"


def run(arguments: argparse.Namespace) -> int:
    """Print what holds in this process, with ssl imported; 0 when a floor is held, else 1."""
    refusal = ""
    try:
        import ssl

        ssl.create_default_context()  # so that what is raised is seen to be raised
    except ImportError as error:
        refusal = str(error)
    found = tlsfloor.status()
    facts = {
        "schema": JSON_SCHEMA,
        "interpreter": sys.executable,
        **found.as_dict(),
        "refusal": refusal,
    }
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return 0 if found.held else 1
    tell(f"interpreter: {sys.executable}")
    tell(
        f"floor: {found.floor} ({'held' if found.held else 'not held'})"
        if found.floor
        else "floor: none"
    )
    if found.observed:
        tell(f"observed: {found.observed}")
    for arming in found.armings:
        tell("armed: {floor} by {route}: {set_by}, since {since}".format(**arming))
    for name, state in found.stacks.items():
        tell(f"stack {name}: {state}")
    for library in found.libraries:
        tell("library {path}: {holds}: {coverage}".format(**library))
    lines = [f"events to {sink}: {state}" for sink, state in found.events.items()]
    for line in [*map(exempted, found.exemptions), *lines]:
        tell(line)
    tell(f"children: {found.children}")
    tell(", ".join(f"{name}: {count}" for name, count in found.counts.items()))
    for line in (*found.below, *found.problems):
        tell(f"problem: {line}")
    if refusal:
        tell(f"ssl cannot be imported: {refusal}")
    return 0 if found.held else 1
