"""The guard of ``pycurl``: libcurl, with whatever TLS it was built with.

Left alone, the minimum of a handle depends on that TLS library, so the guard always sets it.
``pycurl.Curl`` is a C type, on which nothing can be redefined. In every module that has it a
subclass takes its place, which sets the options at birth and after ``reset()``, and clamps what
``setopt()`` is given; a copy by ``duphandle()`` is of its class.

What has the C type when the floor is armed late, and is no module (a handle, a subclass, a name in
a function that runs), stays out of reach: while there is such a thing, pycurl is uncovered.
"""

from __future__ import annotations

from operator import index

from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.ledger import counts
from tlsfloor.stacks import libcurl, taken
from tlsfloor.stacks.gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_floor = 0
_set_by = ""

_gates = Gates()

# The subclass. Its base is named nowhere here: who refers to that is searched for.
_ours: Any = None

# curl.h: CURLOPT_PROTOCOLS and CURLOPT_REDIR_PROTOCOLS; CURLPROTO_RTMPS and CURLPROTO_RTMPTS, which
# librtmp does with a TLS of its own (lib/curl_rtmp.c), to which nobody can give a minimum.
_PROTOCOLS = (181, 182)
_RTMPS = 3 << 23
_has_rtmps = False


def guard(module: ModuleType, floor: int, set_by: str) -> str:
    """Hold the floor on every handle that is made from now on.

    Raises:
        GuardError: this pycurl has not what the guard needs, or its libcurl does not take the
            floor; or a handle is in use and cannot be raised.

    .. versionadded:: 0.1
    """
    global _floor, _set_by, _ours, _has_rtmps
    if _ours is None:
        _has_rtmps = _check(module)
        _ours = _subclass(module)
    if floor > _floor:
        _try(module, floor)
        _floor, _set_by = floor, set_by
        for handle in instances([_ours]):
            _set(module, handle, super(_ours, handle).setopt, _floor)
    taken.replace(_gates, _ours)
    missing = undone(module)
    if missing:
        raise GuardError(f"the floor cannot be held on {module!r}: {missing}")
    beyond = below(floor)
    return f"uncovered: {', '.join(beyond)}" if beyond else "guarded"


def undone(module: ModuleType) -> str:
    """Return what is not in place of the guard; empty when all of it is.

    .. versionadded:: 0.1
    """
    return "" if vars(module).get("Curl") is _ours else f"{module.__name__}.Curl was replaced"


def undo() -> None:
    """Put everything back as it was. For tests, which compare before and after.

    .. versionadded:: 0.1
    """
    global _floor, _ours
    _floor, _ours = 0, None
    _gates.undo()


def below(floor: int) -> list[str]:
    """Describe what took the C type before the floor was armed, and can use it without a floor.

    .. versionadded:: 0.1
    """
    del floor
    if _ours is None:
        return []
    return [
        f"pycurl.Curl was taken before the floor was armed by {each}" for each in taken.taken(_ours)
    ]


def _check(module: Any) -> bool:
    """Raise unless this pycurl has what the guard needs; return whether it speaks RTMPS."""
    kind = vars(module).get("Curl")
    lacking = [
        f"Curl.{name}"
        for name in ("setopt", "setopt_string", "unsetopt", "reset", "duphandle")
        if not hasattr(kind, name)
    ]
    lacking += [name for name in ("error", "version", "version_info") if not hasattr(module, name)]
    if lacking:
        raise GuardError(
            f"this pycurl has no {', '.join(lacking)}, and so cannot be held to a floor",
            hint="install another version of pycurl, or of tlsfloor",
        )
    return "rtmps" in module.version_info()[8]


def _try(module: Any, floor: int) -> None:
    """Raise unless this libcurl takes the floor."""
    trial = module.Curl()
    try:
        _set(module, trial, trial.setopt, floor)
    finally:
        trial.close()


def _set(module: Any, handle: Any, setopt: Any, floor: int) -> None:
    """Set what holds a handle to a floor."""
    try:
        for option in libcurl.VERSIONS:
            setopt(option, libcurl.unasked(floor))
        if _has_rtmps:
            setopt(_PROTOCOLS[0], ~_RTMPS)
    except module.error as error:
        raise GuardError(
            f"{handle!r} of {module.version} cannot be held to {versions.name(floor)}: {error}"
        ) from error


def _subclass(module: Any) -> Any:
    """Return the class of handles that obeys the floor."""

    class Curl(module.Curl):  # type: ignore[misc] # a base without types
        """See ``pycurl.Curl``."""

        __slots__ = ()

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            handle = super().__new__(cls, *args, **kwargs)
            _set(module, handle, super(Curl, handle).setopt, _floor)
            counts["raised"] += 1
            return handle

        def setopt(self, option: Any, value: Any) -> Any:
            value = libcurl.held(option, value, _floor, _set_by)
            if option in _PROTOCOLS:
                value = index(value) & ~_RTMPS
            return super().setopt(option, value)

        def setopt_string(self, option: Any, value: Any) -> Any:
            return super().setopt_string(option, libcurl.held(option, value, _floor, _set_by))

        def unsetopt(self, option: Any) -> Any:
            if option in (*libcurl.VERSIONS, *_PROTOCOLS):
                return _set(module, self, super().setopt, _floor)
            return super().unsetopt(option)

        def reset(self) -> Any:
            done = super().reset()
            _set(module, self, super().setopt, _floor)
            return done

    Curl.__module__, Curl.__qualname__, Curl.__doc__ = "pycurl", "Curl", module.Curl.__doc__
    return Curl
