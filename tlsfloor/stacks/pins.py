"""The one place of urllib3, and of botocore's copy of it, where a program pins a version.

Old programs say ``PoolManager(ssl_version=ssl.PROTOCOL_TLSv1)`` for whole adapters. The context of
such a pin speaks that version only, so that ``stdlib`` has to refuse it, although the server could
do better. Here, before the context is made, a pin below the floor is dropped; what is made without
one is flexible, and the floor holds on it as on any other.

This guard is a courtesy: nothing depends on it, for ``stdlib`` holds the floor by itself.
"""

from __future__ import annotations

import sys
from functools import wraps
from operator import index

from tlsfloor import floor as current
from tlsfloor.stacks.contexts import FIXED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_NAME = "create_urllib3_context"

# What was replaced: the module that defines it -> (the function, ours).
_made: dict[str, tuple[Any, Any]] = {}


def guard(module: ModuleType) -> str:
    """Drop pins below the floor where ``module`` makes its contexts, and where it was copied to."""
    made = getattr(module, _NAME, None)
    if made is None or made is _made.get(module.__name__, (None, None))[1]:
        # A version without such a place: what it makes meets the floor all the same.
        return "guarded"

    @wraps(made)
    def create_urllib3_context(ssl_version: Any = None, *args: Any, **kwargs: Any) -> Any:
        if _is_below(ssl_version):
            current.counts["clamped"] += 1
            ssl_version = None
        return made(ssl_version, *args, **kwargs)

    _replace(made, create_urllib3_context)
    _made[module.__name__] = made, create_urllib3_context
    return "guarded"


def observe(module: ModuleType) -> str:
    """Change nothing: a context of such a pin is seen where it is used, as any other."""
    del module
    return "observed"


def _is_below(pin: Any) -> bool:
    try:
        return FIXED.get(index(pin), current.held) < current.held
    except TypeError:  # None, or nonsense that the library itself will complain of
        return False


def _replace(old: Any, new: Any) -> None:
    """Put a function in the place of another, in the modules that imported it by name too."""
    for name, module in list(sys.modules.items()):
        ours = name.startswith(("urllib3.", "botocore.", "requests."))
        if ours and getattr(module, _NAME, None) is old:
            setattr(module, _NAME, new)
