"""The guard of ``curl_cffi``: a libcurl of its own with BoringSSL.

By default it refuses what is below TLS 1.2, and a program, or a browser that it impersonates, can
ask for less. Its classes are Python's and are changed in place, so that everything older obeys too:

* **change**: ``Curl.setopt`` clamps what is asked for;
* **use**: ``Curl.perform`` and ``AsyncCurl.add_handle``, through which every transfer begins, set
  the options once more. ``impersonate()``, ``reset()`` and what happened before the floor was armed
  change them in C, where nobody can read them.

A transfer that is under way when the floor is armed ends under the options that it began with.
"""

from __future__ import annotations

import sys
from functools import update_wrapper
from weakref import WeakKeyDictionary, WeakSet

from tlsfloor.errors import GuardError
from tlsfloor.stacks import _libcurl
from tlsfloor.stacks._gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

_gates = Gates()

# What the gates stand before: the method's name -> the method.
_before: dict[str, Any] = {}

# What each handle was asked for last, clamped: handle -> option -> value.
_asked: WeakKeyDictionary[Any, dict[int, int]] = WeakKeyDictionary()

# The handles whose transfer began before a floor was armed.
_under_way: WeakSet[Any] = WeakSet()


def guard(module: ModuleType) -> str:
    """Hold the floor on every handle, whenever it was made.

    Raises:
        GuardError: this curl_cffi has not what the guard needs.
    """
    if not _gates.owners():
        for kind, gate in _GATES:
            _put(getattr(module, kind, None), kind, gate)
    missing = undone(module)
    if missing:
        raise GuardError(f"the floor cannot be held on {module!r}: {missing}")
    return "guarded"


def catch_up() -> None:
    """Note the transfers that are under way: nobody may touch their handles now."""
    _under_way.update(_transfers())


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is."""
    for name in ("Curl", "AsyncCurl"):
        if getattr(module, name, None) not in _gates.owners():
            return f"{module.__name__}.{name} was replaced"
    return _gates.undone()


def below() -> list[str]:
    """Describe the transfers that began before the floor was armed."""
    found = [each for each in _transfers() if each in _under_way]
    return [f"transfer that began before the floor was armed: {each!r}" for each in found]


def _transfers() -> list[Any]:
    """Return the handles that transfer just now, in any thread and any AsyncCurl."""
    found = []
    for each in instances(_gates.owners()):
        found += list(vars(each).get("_curl2curl", {}).values())
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_code is getattr(_before.get("perform"), "__code__", None):
                found.append(frame.f_locals["self"])
            frame = frame.f_back
    return found


def _put(owner: Any, kind: str, gate: Any) -> None:
    """Put a gate before the method of its name.

    Raises:
        GuardError: the method is not where it was.
    """
    method = getattr(owner, "__dict__", {}).get(gate.__name__)
    if method is None:
        raise GuardError(
            f"this curl_cffi has no {kind}.{gate.__name__}, and so cannot be held to a floor",
            hint="install another version of curl_cffi, or of tlsfloor",
        )
    _before[gate.__name__] = method
    _gates.put(owner, gate.__name__, update_wrapper(gate, method))


def _hold(handle: Any) -> None:
    """Set the versions that a handle may speak to what it was asked for, or to the floor."""
    _under_way.discard(handle)
    for option in _libcurl.VERSIONS:
        asked = _asked.get(handle, {}).get(option, _libcurl.unasked())
        # What was asked for under a lower floor can be below this one.
        code = _before["setopt"](handle, option, _libcurl.held(option, asked))
        if code:  # old versions return it
            raise GuardError(f"libcurl does not take the floor: error {code}")


def setopt(self: Any, option: Any, value: Any) -> Any:
    """Set an option, and note what was asked for."""
    value = _libcurl.held(option, value)
    done = _before["setopt"](self, option, value)
    if option in _libcurl.VERSIONS:
        _asked.setdefault(self, {})[int(option)] = value
    return done


def impersonate(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Let a browser's options replace what was asked for."""
    _asked.pop(self, None)
    return _before["impersonate"](self, *args, **kwargs)


def reset(self: Any) -> Any:
    """Let libcurl's defaults replace what was asked for."""
    _asked.pop(self, None)
    return _before["reset"](self)


def duphandle(self: Any) -> Any:
    """Copy what was asked for as well."""
    made = _before["duphandle"](self)
    _asked[made] = dict(_asked.get(self, {}))
    return made


def perform(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Hold the handle, and let it transfer."""
    _hold(self)
    return _before["perform"](self, *args, **kwargs)


def add_handle(self: Any, curl: Any) -> Any:
    """Hold the handle, and let it transfer beside others."""
    _hold(curl)
    return _before["add_handle"](self, curl)


_GATES = (
    *(("Curl", gate) for gate in (setopt, impersonate, reset, duphandle, perform)),
    ("AsyncCurl", add_handle),
)
