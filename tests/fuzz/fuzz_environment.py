"""Fuzz the start of a process: all that read its environment find one floor, or it is an error.

In full: ``policy`` and ``startup/legacy`` hold the same floor or both refuse. It is at least each
floor that is asked for, and at least 1.2 unless ``TLSFLOOR`` says less. The bootstrap file and
``arm`` leave a check for later only if nothing can be wrong. If tlsfloor cannot be loaded, the
bootstrap file has the outcome that ``startup/failure`` has. Children have at least this floor.

An input is an environment as in ``/proc/PID/environ``, with what an installed start-up file has
written in the variables WRITTEN and OUTCOME.
"""

from __future__ import annotations

import ast
import os
import posixpath
import sys
import time
from types import SimpleNamespace

from tlsfloor import arm, policy, versions
from tlsfloor.startup import failure, legacy

#: Longer inputs reach no more code, and take longer.
MOST_BYTES = 400

FILE = os.path.join(policy.BOOTSTRAP, "sitecustomize.py")

# What the bootstrap file does to the process that it runs in.
EFFECTS = {"insert_hooks", "run_next"}


def bootstrap_code():
    """Return the code of the bootstrap file: its definitions, and what it then does."""
    with open(FILE, encoding="ascii") as file:
        tree = ast.parse(file.read())
    defines = ast.FunctionDef, ast.Assign
    parts = (
        [each for each in tree.body if isinstance(each, defines)],
        [each for each in tree.body if isinstance(each, (ast.If, ast.Expr))],
    )
    return [compile(ast.Module(part, []), FILE, "exec") for part in parts]


DEFINITIONS, EFFECTS = bootstrap_code()


class Ended(BaseException):
    """The process would have ended."""


def end(_status):
    raise Ended


def refuse(*_):
    raise ImportError("a part of the package is missing")


# This process is not armed itself, and nothing can be loaded.
arm.adopt = arm._catch_up = bool
arm.TABLE = {}
arm.start = refuse


def started(environment, written, outcome):
    """Return the names of the bootstrap file after it ran in a process with this environment."""
    codec = (os.fsencode, os.fsdecode) * 2 + (None, None) * (sys.version_info < (3, 9))
    data = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    process = {"version_info": (3, 11), "modules": {"tlsfloor": None}, "path": [], "stderr": None}
    names = {
        "__file__": FILE,
        "os": SimpleNamespace(
            environ=os._Environ(data, *codec), path=posixpath, sep="/", pathsep=":"
        ),
        "sys": SimpleNamespace(**process, dont_write_bytecode=False),
        "time": time,
    }
    exec(DEFINITIONS, names)
    loads = []
    load = names["load_tlsfloor"]
    names.update(FLOOR=written, OUTCOME=outcome, insert_hooks=bool, run_next=bool)
    names.update(load_tlsfloor=lambda: loads.append(1))
    exec(EFFECTS, names)
    names.update(load_tlsfloor=load, loads=loads)
    return names


def outcome_of(names):
    """Return what the bootstrap file does if tlsfloor cannot be loaded."""
    ends, os._exit = os._exit, end
    try:
        names["load_tlsfloor"]("ssl")
    except Ended:
        return "abort"
    except ImportError:
        return "block"
    finally:
        os._exit = ends
    return "warn"


def result_of(read, *arguments):
    """Return what a reader found; None if it found an error."""
    try:
        return read(*arguments)
    except ValueError:  # a PolicyError is one
        return None


def legacy_floors(environment, written):
    """Return the floors that ``startup/legacy`` holds, as ``policy`` describes them."""
    floor = legacy.read_floor(environment, written)
    if environment.get(policy.MODE) != policy.OBSERVE:
        return [(floor, policy.ENFORCE)]
    held = legacy.parse_floor(written, "") if written else floor
    observed = [(floor, policy.OBSERVE)] if not written or floor > held else []
    return [(held, policy.ENFORCE)] * bool(written) + observed


def check_strictest(environment, written, floors):
    """Check that no floor is lower than what was asked for."""
    asked = [legacy.parse_floor(written, "")] if written else []
    for name in (policy.FLOOR, policy.CLUSTER_FLOOR):
        if name in environment and not (name == policy.FLOOR and policy.is_off(environment)):
            asked.append(legacy.parse_floor(environment[name], name))
    if not written and policy.FLOOR not in environment:
        asked.append(policy.DEFAULT_FLOOR)
    assert max(floor for floor, _ in floors) == max(asked), floors


def armed_by(environment, written, outcome):
    """Return the record of a start-up file that has armed this process."""
    record = {"file": FILE, "floor": written, "outcome": outcome}
    try:
        arm._start(record, environment)
    finally:
        for name in (policy.EVENTS, policy.EXEMPTIONS):
            os.environ.pop(name, None)
    return record


def one_input(data):
    """Check the invariant on one environment."""
    given = {}
    for entry in data.decode("utf-8", "surrogateescape").split("\0"):
        name, equals, value = entry.partition("=")
        if name and equals:
            given.setdefault(name, value)
    written, outcome = given.pop("WRITTEN", None), given.pop("OUTCOME", None)
    if written is not None or outcome is not None:  # as `tlsfloor install` writes them
        written = written if written in versions.FLOORS else "1.2"
        outcome = outcome if outcome in policy.OUTCOMES else "block"
    names = started(given, written, outcome)
    is_off = policy.is_off(given) and not written
    assert ("pending" in names["sys"]._tlsfloor) is not is_off
    if is_off:
        return
    environment = names["sys"]._tlsfloor["environment"]
    unknown = {name for name in given if name.startswith("TLSFLOOR")} - {*policy.VARIABLES}
    assert bool(environment.pop("?", None)) is bool(unknown)
    ours = {*policy.VARIABLES} - {policy.LABELS}
    assert environment == {name: given[name] for name in given if name in ours}

    floors = result_of(policy.startup_floors, environment, written)
    others = (policy.UNCOVERED, policy.UNKNOWN, policy.STACKS)  # they are about newer Pythons
    rest = {name: value for name, value in environment.items() if name not in others}
    assert result_of(policy.startup_floors, rest, written) == result_of(
        legacy_floors, rest, written
    )
    if floors:
        check_strictest(environment, written, floors)
    record = result_of(armed_by, dict(environment), written, outcome)
    if record and "wire" in record:  # by the short way
        assert [(record["wire"], policy.ENFORCE)] == floors
    if not names["loads"] and not unknown:  # it was left for later
        assert record, environment
        assert not {policy.EVENTS, policy.EXEMPTIONS} & {*environment}, environment

    files = [{"floor": written, "outcome": outcome}]
    sys._tlsfloor = {"environment": environment, "files": files}
    assert outcome_of(names) == failure.chosen_outcome(starting=True)

    for floor, mode in floors or ():
        child = {**environment, **policy.for_children(environment, floor, mode)}
        found = result_of(policy.startup_floors, child)
        assert found, child
        assert [each for each in found if each[0] >= floor and each[1] == mode], found
