"""What is held in this process: the one state that start-up, hooks, gates and ``status()`` share.

The module itself is the object: ``from tlsfloor import floor as current``, and a gate compares with
``current.least``. Only ``add()`` writes what the gates read, so a floor is never lowered.

Start-up files run before this module is loaded. They leave what they know in ``sys._tlsfloor``, and
from then on that is this module's namespace. So there is one state even where somebody drops the
modules of tlsfloor and imports them again.

Types are comments here, as in the other modules that every process with TLS loads: annotations of
variables are executed.

The counts are written without a lock, on purpose: a gate must never wait for another thread, and a
count that is too small by one harms nobody.
"""

import sys
from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Below every version, also below MINIMUM_SUPPORTED (-2) of ``ssl``.
NO_FLOOR = -9

#: What the gates compare with (wire numbers): the floor that is held, one above it that is only
#: observed, and the higher of the two.
held = observed = least = NO_FLOOR

#: Who set the floor that is held, for messages.
set_by = ""

#: One entry for each time a floor was armed, oldest first: floor, mode, route, set_by, since (Unix
#: time).
armings = []  # type: list[dict[str, Any]]

#: The start-up files that armed this process; the variables of tlsfloor as they were then; every
#: ``sitecustomize`` that ran, so that none runs twice.
files = []  # type: list[dict[str, Any]]
environment = None  # type: dict[str, str] | None
ran = []  # type: list[str]
#: What the start-up files ask for (file, floor, outcome, time), started or still to be started.
pending = []  # type: list[tuple[str, str | None, str | None, float]]
#: The last failure to arm, or to guard a stack; empty if there was none.
failure = ""

#: Why handshakes are not seen and refusals not explained; empty where they are.
unseen = ""

#: How often a gate had to act: a context ``raised`` to the floor, a lower bound that was asked for
#: and ``clamped``, a TLS object ``refused`` before its birth, or ``discarded`` after its handshake.
counts = {"raised": 0, "clamped": 0, "refused": 0, "discarded": 0}


#: Whether tlsfloor itself asks for all that this process does, as a command; and, as ``asking`` of
#: this, for what a thread does, as ``verify()``. See ``is_own()``.
asking = False
own = _local()

#: The module that brings a stack -> guarded, configured, inherent, or why it is none of these.
stacks = {}  # type: dict[str, str]

#: What is wanted of stacks that are not covered, by each source that cares: of any, and by name.
wanted = []  # type: list[tuple[str | None, dict[str, str]]]

#: The same of libraries that carry TLS and that no row of the table covers.
wanted_unknown = set()  # type: set[str]

#: A loaded library that carries TLS and that no row of the table covers -> what was found in it.
unknown = {}  # type: dict[str, str]

#: The process id of a forkserver that was started before ``enforce(children=True)``.
forkserver = None  # type: int | None

globals().update(getattr(sys, "_tlsfloor", {}))
sys._tlsfloor = globals()  # type: ignore[attr-defined] # a name of ours


def is_own() -> bool:
    """Tell whether tlsfloor itself asks for what this thread does.

    Gates treat it like everything else, and it is no event and not counted.
    """
    return asking or getattr(own, "asking", False)


def add(arming: "dict[str, Any]") -> None:
    """Record that a floor was armed; the highest of each mode is what counts."""
    global held, observed, least, set_by
    armings.append(arming)
    floor = arming["floor"]
    if arming["mode"] == "observe":
        observed = max(observed, floor)
    elif floor > held:
        held, set_by = floor, arming["set_by"]
    if observed <= held:
        observed = NO_FLOOR
    least = max(held, observed)


def is_held() -> bool:
    """Tell whether a floor is armed that is more than observed."""
    return held != NO_FLOOR
