"""The judge: proves by handshakes what an interpreter really accepts.

It shares no code with the guards that it judges, only names of versions and the error tree, so a
fault of enforcement cannot hide from it. The parts, in the order in which they work:

* ``cases``: what is tried, as data;
* ``peers``: the other end, which the judge brings itself: it must be able to say yes;
* ``probe``: the program that runs inside the interpreter under test; it observes, and never judges;
* ``judge``: what the observations mean;
* ``launch``: starts the probe, and turns whatever happens into observations;
* ``report``: what a person, or a program, reads;
* ``hello``: the quick evidence, for this process alone.

The module can be called: ``tlsfloor.verify("1.2")`` is ``hello.verify("1.2")``.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verify.hello import Report


class _Verify(ModuleType):
    """``tlsfloor.verify`` is a package and a function: whoever imported it first must not matter."""

    def __call__(self, floor: object = "1.2") -> Report:
        from tlsfloor.verify import hello

        return hello.verify(floor)


sys.modules[__name__].__class__ = _Verify
