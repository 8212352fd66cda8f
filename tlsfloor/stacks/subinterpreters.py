"""Interpreters of the same process that start after ``enforce()``: each is armed as it is made.

A floor that came with a start-up file needs none of this: every interpreter runs that file. What is
made in C alone (``Py_NewInterpreter()``, as mod_wsgi and weechat call it) is not seen here, and has
to call ``enforce()`` itself; so have those that were there before.
"""

from __future__ import annotations

import os

from tlsfloor import floor as current
from tlsfloor.errors import GuardError
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# What runs in a new interpreter. A bundle is not on its path.
_ARM = """
import sys
sys.path.insert(0, {home!r})
from tlsfloor import arm, floor
sys.path.remove({home!r})
floor.uncovered_policies[:] = {wanted!r}
arm.check_floor({floor})
arm.arm({floor}, "enforce", "call", {set_by!r})
"""

_gates = Gates()

# The module of each guard call, to ask which interpreters there are.
_modules: list[Any] = []


def guard(module: ModuleType) -> str:
    """Arm each interpreter that ``module`` makes from now on."""
    native: Any = module
    if (native, "create") in _gates:
        return "guarded"
    before = native.create

    def create(*args: Any, **kwargs: Any) -> Any:
        made = before(*args, **kwargs)
        if any(each["route"] == "call" and each["mode"] == "enforce" for each in current.armings):
            _arm(native, made)
        return made

    create.__doc__ = before.__doc__
    _gates.put(native, "create", create)
    _modules.append((native, native.list_all()))
    return "guarded"


def observe(module: ModuleType) -> str:
    """Change nothing: what is only observed is observed in this interpreter."""
    del module
    return "observed"


def _arm(module: Any, made: Any) -> None:
    """Hold the floor of this interpreter in a new one, or end it.

    Raises:
        GuardError: it cannot be held there.
    """
    script = _ARM.format(
        home=_HOME, wanted=current.uncovered_policies, floor=current.held, set_by=current.set_by
    )
    try:
        failure = module.run_string(made, script)  # it returns one on 3.13 and newer
    except RuntimeError as error:
        failure = error
    if failure is not None:
        module.destroy(made)
        raise GuardError(
            f"the floor cannot be held in a new interpreter: {failure}",
            hint="call tlsfloor.enforce() in the program that runs there",
        )


def below() -> list[str]:
    """Describe the interpreters that were there before the floor was armed."""
    return [
        f"interpreter {each} was started before the floor was armed, and is not held by it"
        for module, there in _modules
        for each in there
        if each in module.list_all() and each != module.get_main() and each != module.get_current()
    ]
