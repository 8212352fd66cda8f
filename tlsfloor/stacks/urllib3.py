"""Drops pins of a version below the floor in urllib3 1, and in botocore's copy of it.

Old programs say ``PoolManager(ssl_version=ssl.PROTOCOL_TLSv1)`` for whole adapters. The context of
such a pin speaks that version only, and ``stdlib`` has to refuse it, although the server may
support a newer one. So urllib3 first makes the context with the pin, with all of its errors and
warnings. If the pin is below the floor, a context without the pin is returned instead, on which the
floor holds as on any other.

urllib3 2 turns such a pin into a minimum and a maximum, which are clamped as any other bounds:
there is nothing to do, and a frame of ours would change the lines that its warnings name.

Nothing depends on this guard, because ``stdlib`` holds the floor by itself: it only makes more
programs work.
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor import floor as current
from tlsfloor.stacks.stdlib import FIXED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_NAME = "create_urllib3_context"

# The functions that replace others.
_ours: set[Any] = set()


def guard(module: ModuleType) -> str:
    """Replace the function that makes contexts, in ``module`` and in modules that imported it."""
    make: Any = getattr(module, _NAME, None)
    code = getattr(make, "__code__", None)
    if make in _ours or code is None or "ssl_minimum_version" in code.co_varnames:
        return "guarded"

    @wraps(make)
    def create_urllib3_context(*args: Any, **kwargs: Any) -> Any:
        context = make(*args, **kwargs)
        if _is_below(args[0] if args else kwargs.get("ssl_version")):
            current.counts["clamped"] += 1
            if args:
                return make(None, *args[1:], **kwargs)
            return make(**{**kwargs, "ssl_version": None})
        return context

    _ours.add(create_urllib3_context)
    for name, holder in list(sys.modules.items()):
        imports_it = name.startswith(("urllib3.", "botocore.", "requests."))
        if imports_it and getattr(holder, _NAME, None) is make:
            setattr(holder, _NAME, create_urllib3_context)
    return "guarded"


def observe(module: ModuleType) -> str:
    """Change nothing: a context with such a pin is observed when it is used, as any other."""
    del module
    return "observed"


def _is_below(pin: Any) -> bool:
    return isinstance(pin, int) and FIXED.get(pin, current.held) < current.held
