"""Show whether this interpreter starts with a floor, which one, and who set it.

Also show what is not protected.

Examples:
  $ tlsfloor status
      the environment that runs this command
  $ python -m tlsfloor status
      the environment of this Python
  $ tlsfloor status --quiet && ./start
      start only if a floor holds

Exit statuses:
  0     a floor is armed and holds
  1     no floor holds
  2     the call was wrong; nothing was done
"""

from __future__ import annotations

import argparse
import sys

import tlsfloor
from tlsfloor import policy
from tlsfloor.cli import JSON_SCHEMA, json_option, quiet_option, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlsfloor._types import Exemption


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    json_option(parser)
    quiet_option(parser, "print nothing: the exit status is the answer")


def run(arguments: argparse.Namespace) -> int:
    """Print what holds in this process, with ssl imported; return 0 if a floor is held, else 1."""
    ssl_error = ""
    try:
        import ssl

        # A gate that is not in place would be noticed. (A default context would read hundreds of
        # certificates, which takes longer than everything else.)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    except ImportError as error:
        ssl_error = str(error)
    found = tlsfloor.status()
    if arguments.quiet:
        pass
    elif arguments.json:
        import json

        from tlsfloor.cli._evidence import about_run
        from tlsfloor.inventory.identity import with_identity

        facts = {**found.as_dict(), "libraries": with_identity(found.libraries)}
        about = {"schema": JSON_SCHEMA, **about_run(), "evidence": "process"}
        about["interpreter"] = sys.executable
        print(json.dumps({**about, **facts, "ssl_error": ssl_error}, indent=2))
    else:
        for label, text in describe_status(found, ssl_error):
            tell(f"{label:12} {text}".rstrip())
    return 0 if found.held else 1


def describe_status(found: tlsfloor.Status, ssl_error: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of the report, each as its label and its text."""
    held = "held" if found.held else "armed, but NOT held"
    yield "floor", f"{found.floor}, {held}" if found.floor else "none"
    if found.observed:
        yield "observed", f"floor {found.observed}: nothing is refused, and events are recorded"
    yield "interpreter", sys.executable
    for arming in found.armings:
        yield "armed", "floor {floor} by {route}: {set_by}, since {since}".format(**arming)
    for name, state in found.stacks.items():
        yield "stack", f"{name}: {state}"
    for library in found.libraries:
        yield "library", "{path} ({implementation}): {coverage}".format(**library)
    for exemption in found.exemptions:
        yield "exemption", _describe_exemption(exemption)
    for sink, state in found.events.items():
        yield "events", f"to {sink}: {state}"
    if found.floor or found.children != policy.CHILDREN_NOT_ARMED:
        yield "children", found.children
    # Where this is the only problem, nothing has tried to arm a floor.
    hint = "; hint: tlsfloor install --floor 1.2" * (found.problems == ["no floor is armed"])
    for problem in (*found.below, *found.problems):
        yield "problem", f"{problem}{hint}"
    if ssl_error:
        yield "ssl", f"cannot be imported: {ssl_error}"


def _describe_exemption(exemption: Exemption) -> str:
    port = f":{exemption['port']}" if exemption["port"] else ""
    until = "until" if exemption["applies"] else "expired on"
    allowed = f"{exemption['host']}{port} may use {exemption['minimum']}"
    return f"{allowed}, {until} {exemption['expires']}: {exemption['reason']}"
