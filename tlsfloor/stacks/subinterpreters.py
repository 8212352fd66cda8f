"""Arms the sub-interpreters of this process that start after ``enforce()``.

A floor that came with a start-up file does not need this: every interpreter runs that file. An
interpreter that C code makes (``Py_NewInterpreter()``, as mod_wsgi and weechat do) is not seen
here, and neither is one that existed before: a program in it has to call ``enforce()`` itself.
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

# The code that runs in a new interpreter. A bundle is not on its path.
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

# The module of each guard call, and the interpreters that existed before it.
_modules: list[Any] = []


def guard(module: ModuleType) -> str:
    """Arm each interpreter that ``module`` makes from now on."""
    native: Any = module
    if (native, "create") in _gates:
        return "guarded"
    before = native.create

    def create(*args: Any, **kwargs: Any) -> Any:
        interpreter = before(*args, **kwargs)
        armings = [(arming["route"], arming["mode"]) for arming in current.armings]
        if ("call", "enforce") in armings:
            _arm(native, interpreter)
        return interpreter

    create.__doc__ = before.__doc__
    _gates.put(native, "create", create)
    _modules.append((native, native.list_all()))
    return "guarded"


def observe(module: ModuleType) -> str:
    """Change nothing: a floor is observed in this interpreter only."""
    del module
    return "observed"


def _arm(module: Any, interpreter: Any) -> None:
    """Hold the floor of this interpreter in a new one, or destroy the new one.

    Raises:
        GuardError: it cannot be held there.
    """
    script = _ARM.format(
        home=_HOME, wanted=current.uncovered_policies, floor=current.held, set_by=current.set_by
    )
    try:
        failure = module.run_string(interpreter, script)  # 3.13 and newer return it
    except RuntimeError as error:
        failure = error
    if failure is not None:
        module.destroy(interpreter)
        raise GuardError(
            f"the floor cannot be held in a new interpreter: {failure}",
            hint="call tlsfloor.enforce() in the program that runs there",
        )


def below() -> list[str]:
    """Describe the interpreters that existed before the floor was armed."""
    return [
        f"interpreter {other} was started before the floor was armed, and is not held to it"
        for module, earlier in _modules
        for other in earlier
        if other in module.list_all() and other not in (module.get_main(), module.get_current())
    ]
