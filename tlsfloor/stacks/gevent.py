"""The guard of ``gevent.ssl``: its contexts are the stdlib's, its sockets are its own.

gevent's ``SSLContext`` is a subclass of Python's and obeys the same gates. Its ``SSLSocket`` is not a
subclass, and calls the C handshake itself: the gate of completion is put there.
"""

from __future__ import annotations

from tlsfloor.stacks import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def guard(module: ModuleType, floor: int, set_by: str) -> None:  # noqa: ARG001 - the guard of ssl holds the floor; this adds a gate to it
    """Compare what gevent's sockets negotiate with the floor.

    .. versionadded:: 0.1
    """
    stdlib.complete(module.SSLSocket)


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is.

    .. versionadded:: 0.1
    """
    return stdlib.undone(module)
