"""What is held in this process: the one state that start-up, hooks, gates and ``status()`` share.

The module itself is the object: ``from tlsfloor import floor as current``. A gate compares with
``current.threshold``. Only ``add()`` writes what the gates read, so a floor is never lowered. (The
fixtures for tests take back a floor that is only observed.)

Start-up files run before this module is loaded. They leave what they know in ``sys._tlsfloor``, and
from then on that is this module's namespace. So there is one state even if a program drops the
modules of tlsfloor and imports them again.

Types are comments here, as in the other modules that every process with TLS loads: Python executes
the annotations of variables.

The counts are written without a lock, on purpose: a gate must never wait for another thread, and a
count that is one too low does no harm.
"""

import sys
from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Below every version, also below MINIMUM_SUPPORTED (-2) of ``ssl``.
NO_FLOOR = -9

#: The floor that is held, as a wire number.
held = NO_FLOOR

#: The floor above it that is only observed, as a wire number.
observed = NO_FLOOR

#: The higher of the two. Below it, a gate has something to do.
threshold = NO_FLOOR

#: Who set the floor that is held, for messages.
set_by = ""

#: One entry for each time a floor was armed, oldest first: floor, mode, route, set_by, since (Unix
#: time).
armings = []  # type: list[dict[str, Any]]

#: The start-up files that armed this process.
files = []  # type: list[dict[str, Any]]

#: The environment variables of tlsfloor as they were when the first start-up file ran.
environment = None  # type: dict[str, str] | None

#: Each ``sitecustomize`` that ran, so that none runs twice.
ran = []  # type: list[str]

#: What the start-up files ask for (file, floor, outcome, time), whether ``arm`` has seen it or not.
pending = []  # type: list[tuple[str, str | None, str | None, float]]

#: The last failure to arm, or to guard a stack; empty if there was none.
failure = ""

#: Why handshakes are not seen and refusals not explained; empty if they are.
handshakes_unseen = ""

#: How often a gate had to act: a context ``raised`` to the floor, a requested lower bound
#: ``clamped``, a TLS object ``refused`` before its birth, or ``discarded`` after its handshake.
counts = {"raised": 0, "clamped": 0, "refused": 0, "discarded": 0}

#: Whether this process is a command of tlsfloor.
is_command = False

#: Its attribute ``active`` tells whether this thread executes a call such as ``verify()``.
internal = _local()

#: The module that brings a stack -> guarded, configured, inherent, or why it is none of these.
stacks = {}  # type: dict[str, str]

#: What each source wants for stacks that are not covered: for all of them, and by name.
uncovered_policies = []  # type: list[tuple[str | None, dict[str, str]]]

#: What the sources want for libraries that carry TLS and are in no row of the table.
unknown_policies = set()  # type: set[str | None]

#: A loaded library that carries TLS and is in no row of the table -> what was found in it.
unknown = {}  # type: dict[str, str]

#: The packages of such libraries that are only observed.
unknown_observed = set()  # type: set[str]

#: The process id of a forkserver that was started before ``enforce(children=True)``.
forkserver = None  # type: int | None

globals().update(getattr(sys, "_tlsfloor", {}))
sys._tlsfloor = globals()  # type: ignore[attr-defined] # a name of ours


def is_internal() -> bool:
    """Tell whether tlsfloor itself caused what this thread does.

    Gates treat it like everything else, but it is no event and not counted.
    """
    return is_command or getattr(internal, "active", False)


def add(arming: "dict[str, Any]") -> None:
    """Record that a floor was armed. The highest floor of each mode counts."""
    global held, observed, threshold, set_by
    armings.append(arming)
    floor = arming["floor"]
    if arming["mode"] == "observe":
        observed = max(observed, floor)
    elif floor > held:
        held, set_by = floor, arming["set_by"]
    if observed <= held:
        observed = NO_FLOOR
    threshold = max(held, observed)


def is_held() -> bool:
    """Tell whether a floor is armed, and not only observed."""
    return held != NO_FLOOR
