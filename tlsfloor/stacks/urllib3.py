"""The one place of urllib3 1, and of botocore's copy of it, where a program pins a version.

Old programs say ``PoolManager(ssl_version=ssl.PROTOCOL_TLSv1)`` for whole adapters. The context of
such a pin speaks that version only, so that ``stdlib`` has to refuse it, although the server could
do better. So it is made as asked for, with all errors and warnings of it, and where it is below the
floor one without the pin is made in its place, on which the floor holds as on any other.

urllib3 2 makes a minimum and a maximum of such a pin, which are clamped as any other bounds: there
is nothing to do, and a frame of ours would move the lines that its warnings name.

This guard is a courtesy: nothing depends on it, for ``stdlib`` holds the floor by itself.
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

# The functions that were put in the place of others.
_ours: set[Any] = set()


def guard(module: ModuleType) -> str:
    """Drop pins below the floor where ``module`` makes its contexts, and where it was copied to."""
    made: Any = getattr(module, _NAME, None)
    code = getattr(made, "__code__", None)
    if made in _ours or code is None or "ssl_minimum_version" in code.co_varnames:
        return "guarded"

    @wraps(made)
    def create_urllib3_context(*args: Any, **kwargs: Any) -> Any:
        context = made(*args, **kwargs)
        if _is_below(args[0] if args else kwargs.get("ssl_version")):
            current.counts["clamped"] += 1
            if args:
                return made(None, *args[1:], **kwargs)
            return made(**{**kwargs, "ssl_version": None})
        return context

    _ours.add(create_urllib3_context)
    # The modules that imported it by name as well.
    for name, holder in list(sys.modules.items()):
        ours = name.startswith(("urllib3.", "botocore.", "requests."))
        if ours and getattr(holder, _NAME, None) is made:
            setattr(holder, _NAME, create_urllib3_context)
    return "guarded"


def observe(module: ModuleType) -> str:
    """Change nothing: a context of such a pin is seen where it is used, as any other."""
    del module
    return "observed"


def _is_below(pin: Any) -> bool:
    return isinstance(pin, int) and FIXED.get(pin, current.held) < current.held
