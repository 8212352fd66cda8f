"""The policy of a process, and the only place that reads one: from the environment, from arguments.

Two policies merge by "strictest wins": the higher floor, the harsher outcome. Nothing is guessed: a
variable that is set and cannot be understood is an error, an empty one included.
"""

from __future__ import annotations

import os
import sys

from tlsfloor import versions
from tlsfloor.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: The variables that are read as a process is armed, and nothing else.
FLOOR, CLUSTER_FLOOR = "TLSFLOOR", "TLS_MIN_VERSION"
MODE, ON_ERROR = "TLSFLOOR_MODE", "TLSFLOOR_ON_ERROR"
UNCOVERED, STACKS = "TLSFLOOR_UNCOVERED", "TLSFLOOR_STACKS"
UNKNOWN = "TLSFLOOR_UNKNOWN"
EVENTS, EXEMPTIONS = "TLSFLOOR_EVENTS", "TLSFLOOR_EXEMPTIONS"
VARIABLES = (
    *(FLOOR, CLUSTER_FLOOR, ON_ERROR, MODE),
    *(UNCOVERED, STACKS, UNKNOWN, EVENTS, EXEMPTIONS),
)

#: The folder that arms a Python from PYTHONPATH; its one file is all that may be found through it.
BOOTSTRAP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "bootstrap")

#: What it arms when nobody names a floor.
DEFAULT_FLOOR = versions.TLS1_2

#: What becomes of the process when arming fails, the mildest first.
OUTCOMES = ("warn", "block", "abort")

#: What a floor is for: to be held, or to see what holding it would change.
ENFORCE, OBSERVE = MODES = ("enforce", "observe")

#: What becomes of a stack on which nothing holds the floor, the milder first: it is imported and
#: named, or it is refused.
STRENGTHS = ("warn", "block")

#: The value of TLSFLOOR that disarms the start-up routes.
OFF = "off"


def floor_of(value: object, source: str) -> int:
    """Return the wire number of the floor that ``source`` asks for.

    Raises:
        PolicyError: it cannot be understood; ``value`` and ``source`` are its attributes.
    """
    try:
        return versions.parse(value)
    except ValueError as error:
        raise PolicyError(
            f"unknown floor in {source}: {error}",
            hint=f"write one of {', '.join(versions.FLOORS)}",
            value=value,
            source=source,
        ) from None


def floor_in(environment: Mapping[str, str]) -> int | None:
    """Return the strictest floor that the environment asks for, None where it asks for none.

    ``TLSFLOOR=off`` speaks to the start-up routes alone, and asks for no floor.

    Raises:
        PolicyError: a variable is set and cannot be understood.
    """
    floors = [
        floor_of(environment[variable], variable)
        for variable in (FLOOR, CLUSTER_FLOOR)
        if variable in environment and not (variable == FLOOR and is_off(environment))
    ]
    return max(floors, default=None)


def is_off(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment disarms the start-up routes."""
    return environment.get(FLOOR, "").strip().lower() == OFF


def start_up_floor(environment: Mapping[str, str], written: str | None = None) -> int:
    """Return the floor of a process that is armed as it starts.

    ``TLSFLOOR`` replaces the default; ``TLS_MIN_VERSION``, which a cluster hands to every workload
    whether it knows of tlsfloor or not, can only raise it. Neither lowers what is ``written`` in an
    installed start-up file.

    Raises:
        PolicyError: a variable is set and cannot be understood, ``TLSFLOOR_ON_ERROR`` included.
    """
    if ON_ERROR in environment:
        outcome_of(environment[ON_ERROR], ON_ERROR)
    strengths_in(environment)
    unknown_of(environment.get(UNKNOWN), UNKNOWN)
    asked = floor_in(environment)
    least = DEFAULT_FLOOR if written is None else floor_of(written, "the installed file")
    if asked is None:
        return least
    return asked if FLOOR in environment and written is None else max(asked, least)


def start_up_floors(
    environment: Mapping[str, str], written: str | None = None
) -> list[tuple[int, str]]:
    """Return each floor of a process that is armed as it starts, and its mode.

    Mode ``observe`` is about what the environment asks for: what is ``written`` in an installed
    file is held all the same.

    Raises:
        PolicyError: as ``start_up_floor()``, and for a mode that is not known.
    """
    mode = mode_of(environment.get(MODE, ENFORCE), MODE)
    floor = start_up_floor(environment, written)
    if mode == ENFORCE or written is None:
        return [(floor, mode)]
    held = floor_of(written, "the installed file")
    return [(held, ENFORCE), *([(floor, OBSERVE)] if floor > held else [])]


def resolve_paths(environment: dict[str, str]) -> None:
    """Make the paths in it absolute as Python starts: the program may go to another folder.

    In ``os.environ`` too, for children that start there.

    Raises:
        PolicyError: one is relative to a folder that is gone.
    """
    for name in (EVENTS, EXEMPTIONS):
        path = environment.get(name, "")
        if path in ("", "-") or os.path.isabs(path):
            continue
        try:
            environment[name] = os.environ[name] = os.path.abspath(path)
        except FileNotFoundError:
            raise PolicyError(
                f"{name}={path} is relative, and the current folder is gone",
                hint=f"write an absolute path: {name}=/var/log/events.jsonl",
                value=path,
                source=name,
            ) from None


def strengths_in(environment: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Return what the environment wants of stacks that are not covered: of any, and by name.

    Raises:
        PolicyError: it cannot be understood.
    """
    uncovered = environment.get(UNCOVERED)
    stacks: dict[str, str] = {}
    for each in environment[STACKS].split(",") if STACKS in environment else ():
        name, _, strength = (word.strip() for word in each.partition("="))
        stacks[name] = strength
    return strengths_of(uncovered, stacks, UNCOVERED, STACKS)


def strengths_of(
    uncovered: str | None, stacks: Mapping[str, str], *sources: str
) -> tuple[str | None, dict[str, str]]:
    """Return the same two, each strength looked at; ``sources`` say where they are from.

    Raises:
        PolicyError: there is no such strength, or ``stacks`` is no mapping.
    """
    if not hasattr(stacks, "items"):
        raise PolicyError(
            f"stacks of {sources[1]} is of type {type(stacks).__name__}, not a dict",
            hint="write stacks={'pycurl': 'warn'}",
            value=stacks,
            source=sources[1],
        )
    if uncovered is not None:
        _one_of(STRENGTHS, uncovered, "value", sources[0])
    for name, strength in stacks.items():
        _one_of(STRENGTHS, strength, f"value of {name!r}", sources[1])
    return uncovered, dict(stacks)


def unknown_of(value: str | None, source: str) -> str | None:
    """Return what ``source`` wants of libraries that carry TLS and have no row; None if nothing.

    Raises:
        PolicyError: there is no such strength.
    """
    return None if value is None else _one_of(STRENGTHS, value, "value", source)


def mode_of(value: object, source: str) -> str:
    """Return the mode that ``source`` asks for.

    Raises:
        PolicyError: there is no such mode.
    """
    return _one_of(MODES, value, "mode", source)


def outcome_of(value: str, source: str) -> str:
    """Return the outcome that ``source`` asks for.

    Raises:
        PolicyError: there is no such outcome.
    """
    return _one_of(OUTCOMES, value, "outcome", source)


def _one_of(known: tuple[str, ...], value: object, what: str, source: str) -> str:
    for each in known:
        if each == value:
            return each
    raise PolicyError(
        f"unknown {what} in {source}: {value!r}",
        hint=f"write one of {', '.join(known)}",
        value=value,
        source=source,
    )


def never_ran() -> str:
    """Return what is wrong where a bootstrap folder is on the path and Python did not run its file.

    So it is with options that extend ``sys.path`` once Python has started (``pythonpath`` of uWSGI,
    ``python-path`` of mod_wsgi), with ``-E``, ``-I`` and ``-S``, and behind another
    ``sitecustomize``.
    """
    ran = {os.path.realpath(each) for each in getattr(sys, "_tlsfloor", {}).get("ran", ())}
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for entry in filter(None, [*sys.path, *named]):
        folder = os.path.realpath(entry)
        file = os.path.join(folder, "sitecustomize.py")
        if file not in ran and _arms(file):
            return (
                f"Python did not run the start-up file in {folder}; hint: call tlsfloor.enforce() "
                "where the program starts, or see docs/how-to/launchers.md"
            )
    return ""


def _arms(file: str) -> bool:
    """Tell whether a file is tlsfloor's: this one, or that of a bundle which has replaced it."""
    ours = os.sep + os.path.join("tlsfloor", "bootstrap", "sitecustomize.py")
    return file.endswith(ours) and os.path.exists(file)


def lasting() -> str:
    """Return the bootstrap folder by the name that it keeps when a bundle is replaced."""
    package = os.path.dirname(BOOTSTRAP)
    link = os.path.join(os.path.dirname(os.path.dirname(package)), "tlsfloor")
    return os.path.join(link, "bootstrap") if os.path.realpath(link) == package else BOOTSTRAP


def for_children(environment: Mapping[str, str], floor: int, mode: str = ENFORCE) -> dict[str, str]:
    """Return the variables that hand a floor on to the Pythons that a process starts.

    The bootstrap folder comes first, so that no other ``sitecustomize`` hides it.
    """
    path = [lasting(), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        FLOOR: versions.floor_name(floor),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        # The mode of the environment would be that of this floor, too.
        **({MODE: mode} if mode != ENFORCE or MODE in environment else {}),
    }


def of_children(environment: Mapping[str, str], written: str | None) -> str:
    """Tell what holds in the Pythons that a process with this environment would start.

    ``written`` is the floor of a start-up file that is installed for them too.
    """
    folders = environment.get("PYTHONPATH", "").split(os.pathsep)
    names = [os.path.realpath(os.path.join(each, "sitecustomize.py")) for each in folders]
    inherited = any(map(_arms, names)) and not is_off(environment)
    if written is None and not inherited:
        return "not armed, unless they are forked; hint: enforce(..., children=True)"
    try:
        floors = start_up_floors(environment, written)
    except PolicyError as error:
        return f"they cannot be armed: {error.problem}"
    what = [
        f"floor {versions.floor_name(floor)}{'' if mode == ENFORCE else ' observed, and not held'}"
        for floor, mode in floors
    ]
    but = "except with -S" if written else "if they keep the environment, except with -E, -I or -S"
    return f"{' and '.join(what)}, {but}"
