"""The policy of a process, and the only place that reads one: from the environment, from arguments.

Two policies merge by "strictest wins": the higher floor, the stricter outcome. Nothing is guessed:
a variable that is set and cannot be understood is an error, an empty one included.
"""

from __future__ import annotations

import os
import sys

from tlsfloor import versions
from tlsfloor.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

#: The variables that are read as a process is armed, and LABELS, which only commands read.
FLOOR, CLUSTER_FLOOR = "TLSFLOOR", "TLS_MIN_VERSION"
MODE, ON_ERROR = "TLSFLOOR_MODE", "TLSFLOOR_ON_ERROR"
UNCOVERED, STACKS = "TLSFLOOR_UNCOVERED", "TLSFLOOR_STACKS"
UNKNOWN = "TLSFLOOR_UNKNOWN"
EVENTS, EXEMPTIONS = "TLSFLOOR_EVENTS", "TLSFLOOR_EXEMPTIONS"
LABELS = "TLSFLOOR_LABELS"
VARIABLES = (
    *(FLOOR, CLUSTER_FLOOR, ON_ERROR, MODE),
    *(UNCOVERED, STACKS, UNKNOWN, EVENTS, EXEMPTIONS, LABELS),
)

#: The folder that arms a Python from PYTHONPATH. It holds one file, so nothing else is found there.
BOOTSTRAP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "bootstrap")

#: The floor of the start-up routes, if no source asks for one.
DEFAULT_FLOOR = versions.TLS1_2

#: What happens to the process if arming fails, the mildest first.
OUTCOMES = ("warn", "block", "abort")

#: What a floor is for: to be held, or to see what holding it would change.
ENFORCE, OBSERVE = MODES = ("enforce", "observe")

#: What happens to a stack that is not covered: it is imported and named, or it is refused.
POLICIES = ("warn", "block")

#: What holds in the children of a process whose start-up files do not arm them.
CHILDREN_NOT_ARMED = "not armed, unless they are forked; hint: call enforce(..., children=True)"

#: The value of TLSFLOOR that disarms the start-up routes.
OFF = "off"


def floor_of(value: object, source: str) -> int:
    """Return the wire number of the floor that ``source`` asks for.

    Raises:
        PolicyError: the value cannot be understood; ``value`` and ``source`` are attributes of the
            error.
    """
    try:
        return versions.parse(value)
    except ValueError as error:
        raise PolicyError(
            f"{source}: {error}",
            hint="write 1.2 or 1.3",
            value=value,
            source=source,
        ) from None


def floor_in(environment: Mapping[str, str]) -> int | None:
    """Return the strictest floor that the environment asks for, or None.

    ``TLSFLOOR=off`` is an instruction to the start-up routes. It asks for no floor.

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


def startup_floor(environment: Mapping[str, str], written: str | None = None) -> int:
    """Return the floor of a process that is armed as it starts.

    ``TLSFLOOR`` replaces the default. ``TLS_MIN_VERSION`` can only raise it, because a cluster
    hands it to every workload, whether that knows tlsfloor or not. Neither lowers the floor that is
    ``written`` in an installed start-up file.

    Raises:
        PolicyError: a variable is set and cannot be understood, ``TLSFLOOR_ON_ERROR`` included.
    """
    if ON_ERROR in environment:
        _choice(OUTCOMES, environment[ON_ERROR], "outcome", ON_ERROR)
    uncovered_in(environment)
    unknown_in(environment)
    asked = floor_in(environment)
    default = DEFAULT_FLOOR if written is None else floor_of(written, "the installed file")
    if asked is None:
        return default
    return asked if FLOOR in environment and written is None else max(asked, default)


def startup_floors(
    environment: Mapping[str, str], written: str | None = None
) -> list[tuple[int, str]]:
    """Return each floor of a process that is armed as it starts, and its mode.

    Mode ``observe`` is about what the environment asks for. The floor that is ``written`` in an
    installed file is held in any mode.

    Raises:
        PolicyError: as ``startup_floor()``, and for an unknown mode.
    """
    mode = mode_of(environment.get(MODE, ENFORCE), MODE)
    floor = startup_floor(environment, written)
    if mode == ENFORCE or written is None:
        return [(floor, mode)]
    held = floor_of(written, "the installed file")
    return [(held, ENFORCE), *([(floor, OBSERVE)] if floor > held else [])]


def resolve_paths(environment: dict[str, str]) -> None:
    """Make the paths in it absolute as Python starts: the program may change its folder.

    Also in ``os.environ``, for children that start in another folder.

    Raises:
        PolicyError: a path is relative to a folder that no longer exists.
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


def uncovered_in(environment: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Return what the environment wants for stacks that are not covered: for all, and by name.

    Raises:
        PolicyError: a variable cannot be understood.
    """
    stacks: dict[str, str] = {}
    for entry in environment[STACKS].split(",") if STACKS in environment else ():
        name, _, policy = (part.strip() for part in entry.partition("="))
        stacks[name] = policy
    return check_uncovered(environment.get(UNCOVERED), stacks, UNCOVERED, STACKS)


def check_uncovered(
    uncovered: str | None, stacks: Mapping[str, str], *sources: str
) -> tuple[str | None, dict[str, str]]:
    """Return the two arguments if both can be understood; ``sources`` name them in an error.

    Raises:
        PolicyError: a value is unknown, or ``stacks`` is no mapping.
    """
    if not hasattr(stacks, "items"):
        raise PolicyError(
            f"stacks of {sources[1]} is of type {type(stacks).__name__}, not a dict",
            hint="write stacks={'pycurl': 'warn'}",
            value=stacks,
            source=sources[1],
        )
    if uncovered is not None:
        _choice(POLICIES, uncovered, "value", sources[0])
    for name, policy in stacks.items():
        _choice(POLICIES, policy, f"value of {name!r}", sources[1])
    return uncovered, dict(stacks)


def unknown_in(environment: Mapping[str, str]) -> str | None:
    """Return what the environment wants for libraries that carry TLS and are in no row.

    Raises:
        PolicyError: the value is unknown.
    """
    return unknown_of(environment.get(UNKNOWN), UNKNOWN)


def unknown_of(value: str | None, source: str) -> str | None:
    """Return what ``source`` wants for such libraries.

    Raises:
        PolicyError: the value is unknown.
    """
    return None if value is None else _choice(POLICIES, value, "value", source)


def mode_of(value: object, source: str) -> str:
    """Return the mode that ``source`` asks for.

    Raises:
        PolicyError: the mode is unknown.
    """
    return _choice(MODES, value, "mode", source)


def _choice(known: tuple[str, ...], value: object, what: str, source: str) -> str:
    for choice in known:
        if choice == value:
            return choice
    raise PolicyError(
        f"unknown {what} in {source}: {value!r}",
        hint=f"write one of {', '.join(known)}",
        value=value,
        source=source,
    )


def unrun_startup_file() -> str:
    """Return what is wrong if a bootstrap folder is on the path and Python did not run its file.

    That happens with options that extend ``sys.path`` after Python has started (``pythonpath`` of
    uWSGI, ``python-path`` of mod_wsgi), with ``-E``, ``-I`` and ``-S``, and behind another
    ``sitecustomize``.
    """
    ran = {os.path.realpath(file) for file in getattr(sys, "_tlsfloor", {}).get("ran", ())}
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for entry in filter(None, [*sys.path, *named]):
        folder = os.path.realpath(entry)
        file = os.path.join(folder, "sitecustomize.py")
        if file not in ran and _is_startup_file(file):
            return (
                f"Python did not run the start-up file in {folder}; hint: call tlsfloor.enforce() "
                "where the program starts, or see docs/how-to/launchers.md"
            )
    return ""


def is_called_by_opentelemetry() -> bool:
    """Tell whether OpenTelemetry's start-up file is importing tlsfloor, to run ours."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        if str(name).startswith("opentelemetry.instrumentation.auto_instrumentation"):
            return True
        frame = frame.f_back
    return False


def _is_startup_file(file: str) -> bool:
    """Tell whether a file is tlsfloor's, this one or that of a bundle which has replaced it."""
    ours = os.sep + os.path.join("tlsfloor", "bootstrap", "sitecustomize.py")
    return file.endswith(ours) and os.path.exists(file)


def bootstrap_folder() -> str:
    """Return the bootstrap folder by the name that it keeps when a bundle is replaced."""
    package = os.path.dirname(BOOTSTRAP)
    link = os.path.join(os.path.dirname(os.path.dirname(package)), "tlsfloor")
    return os.path.join(link, "bootstrap") if os.path.realpath(link) == package else BOOTSTRAP


def for_children(environment: Mapping[str, str], floor: int, mode: str = ENFORCE) -> dict[str, str]:
    """Return the variables that set a floor for the Pythons that a process starts.

    The bootstrap folder comes first, so that no other ``sitecustomize`` hides it.
    """
    path = [bootstrap_folder(), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        FLOOR: versions.floor_name(floor),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        # The mode that the environment has applies to this floor, too.
        **({MODE: mode} if mode != ENFORCE or MODE in environment else {}),
    }


def describe_children(environment: Mapping[str, str], written: str | None) -> str:
    """Return what holds in the Pythons that a process with this environment starts.

    ``written`` is the floor of a start-up file that is installed for them too.
    """
    folders = environment.get("PYTHONPATH", "").split(os.pathsep)
    files = [os.path.realpath(os.path.join(folder, "sitecustomize.py")) for folder in folders]
    inherited = any(map(_is_startup_file, files)) and not is_off(environment)
    if written is None and not inherited:
        return CHILDREN_NOT_ARMED
    try:
        floors = startup_floors(environment, written)
    except PolicyError as error:
        return f"they cannot be armed: {error.problem}"
    names = [
        f"floor {versions.floor_name(floor)}{'' if mode == ENFORCE else ' observed, and not held'}"
        for floor, mode in floors
    ]
    but = "except with -S" if written else "if they keep the environment, except with -E, -I or -S"
    return f"{' and '.join(names)}, {but}"
