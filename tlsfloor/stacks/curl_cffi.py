"""The guard of ``curl_cffi``: a libcurl of its own with BoringSSL.

By default it refuses versions below TLS 1.2; a program, or a browser that it impersonates, can ask
for less. Its classes are written in Python and are changed in place, which reaches older objects:

* **change**: ``Curl.setopt`` clamps the value;
* **use**: ``Curl.perform`` and ``AsyncCurl.add_handle``, by which every transfer begins, set the
  options again, because ``impersonate()``, ``reset()`` and calls before the floor was armed change
  them in C, where they cannot be read.

A transfer that is running when the floor is armed ends with the options that it began with.
"""

from __future__ import annotations

import sys
from functools import update_wrapper
from weakref import WeakKeyDictionary, WeakSet

from tlsfloor.errors import GuardError
from tlsfloor.stacks import _libcurl
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._stand_ins import misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

_gates = Gates()

# The original methods, by name.
_original: dict[str, Any] = {}

# What a program set last, clamped: handle -> option -> value.
_asked: WeakKeyDictionary[Any, dict[int, int]] = WeakKeyDictionary()

# The handles whose transfer began before a floor was armed.
_running: WeakSet[Any] = WeakSet()


def guard(module: ModuleType) -> str:
    """Hold the floor on every handle, whenever it was made.

    Raises:
        GuardError: this curl_cffi lacks something that the guard needs.
    """
    if not _gates.owners():
        for kind, gate in _GATES:
            _put(getattr(module, kind, None), kind, gate)
    missing = undone(module)
    if missing:
        raise GuardError(f"the floor cannot be held on {module!r}: {missing}")
    return "guarded"


def catch_up() -> None:
    """Record the transfers that are running: their handles must not be changed now."""
    _running.update(_transfers())


def undone(module: ModuleType) -> str:
    """Return what of the guard is no longer in place; empty if all of it is."""
    for name in ("Curl", "AsyncCurl"):
        if getattr(module, name, None) not in _gates.owners():
            return f"{module.__name__}.{name} was replaced"
    return _gates.undone()


def below() -> list[str]:
    """Describe the transfers that began before the floor was armed."""
    found = [handle for handle in _transfers() if handle in _running]
    return [f"transfer that began before the floor was armed: {handle!r}" for handle in found]


def _transfers() -> list[Any]:
    """Return the handles with a running transfer, in any thread and any AsyncCurl."""
    found = []
    for owner in instances(_gates.owners()):
        found += list(vars(owner).get("_curl2curl", {}).values())
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_code is getattr(_original.get("perform"), "__code__", None):
                found.append(frame.f_locals["self"])
            frame = frame.f_back
    return found


def _put(owner: Any, kind: str, gate: Any) -> None:
    """Put a gate in the place of the method with its name.

    Raises:
        GuardError: there is no such method.
    """
    method = getattr(owner, "__dict__", {}).get(gate.__name__)
    if method is None:
        raise misfit("curl_cffi", f"it has no {kind}.{gate.__name__}")
    _original[gate.__name__] = method
    _gates.put(owner, gate.__name__, update_wrapper(gate, method))


def _hold(handle: Any) -> None:
    """Set the versions of a handle to what the program asked for, or to the floor."""
    _running.discard(handle)
    for option in _libcurl.VERSIONS:
        asked = _asked.get(handle, {}).get(option, _libcurl.default())
        # What was asked for under a lower floor can be below this one.
        code = _original["setopt"](handle, option, _libcurl.clamp_option(option, asked))
        if code:  # old versions return it
            raise GuardError(f"libcurl does not accept the floor: error {code}")


def setopt(self: Any, option: Any, value: Any) -> Any:
    """Set an option, and record the value."""
    value = _libcurl.clamp_option(option, value)
    done = _original["setopt"](self, option, value)
    if option in _libcurl.VERSIONS:
        _asked.setdefault(self, {})[int(option)] = value
    return done


def impersonate(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Impersonate a browser, whose options replace those that were set."""
    _asked.pop(self, None)
    return _original["impersonate"](self, *args, **kwargs)


def reset(self: Any) -> Any:
    """Restore libcurl's defaults, which replace the options that were set."""
    _asked.pop(self, None)
    return _original["reset"](self)


def duphandle(self: Any) -> Any:
    """Copy a handle with the record of its options."""
    made = _original["duphandle"](self)
    _asked[made] = dict(_asked.get(self, {}))
    return made


def perform(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Hold the handle to the floor, and transfer."""
    _hold(self)
    return _original["perform"](self, *args, **kwargs)


def add_handle(self: Any, curl: Any) -> Any:
    """Hold the handle to the floor, and transfer together with others."""
    _hold(curl)
    return _original["add_handle"](self, curl)


_GATES = (
    *(("Curl", gate) for gate in (setopt, impersonate, reset, duphandle, perform)),
    ("AsyncCurl", add_handle),
)
