"""The guard of ``pycurl``: libcurl, built with any TLS library.

The default minimum of a handle depends on that TLS library, so the guard always sets it.
``pycurl.Curl`` is a C type, and cannot be changed. A subclass takes its place as soon as the
extension module is loaded. It sets the options when a handle is made and after ``reset()``, and
clamps the values that ``setopt()`` is given; ``duphandle()`` makes a copy of the same class.

A program that imports pycurl before the floor is armed can create handles of the C type, and can
keep the C type under another name. Neither can be held to the floor, and not all references can be
found: CPython's collector does not track a tuple that holds C types only. So pycurl is uncovered in
such a process.
"""

from __future__ import annotations

from operator import index

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks import _libcurl
from tlsfloor.stacks._gates import Gates, instances
from tlsfloor.stacks._stand_ins import is_fresh, misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_gates = Gates()

# The subclass that has taken the place of ``pycurl.Curl``.
_guarded_curl: Any = None

# The floor to which existing handles were raised.
_raised = current.NO_FLOOR

# Whether a program could use the C type before the subclass took its place.
_is_late = False

# curl.h: CURLOPT_PROTOCOLS and CURLOPT_REDIR_PROTOCOLS.
_PROTOCOLS = (181, 182)

# curl.h, CURLPROTO_*: the schemes for which another library speaks TLS, without a setting for a
# minimum: librtmp (lib/curl_rtmp.c); an LDAP library other than OpenLDAP (lib/ldap.c).
_RTMPS = 3 << 23
_LDAPS = 1 << 10

# Those of these schemes that this libcurl speaks, as bits: no handle may use them.
_forbidden_schemes = 0


def guard(module: ModuleType) -> str:
    """Hold the floor on every handle that ``module.Curl`` makes from now on.

    Raises:
        GuardError: this pycurl lacks something, or its libcurl does not accept the floor; or a
            handle is in use and cannot be raised.
    """
    global _raised, _guarded_curl, _is_late, _forbidden_schemes
    if _guarded_curl is None:
        _forbidden_schemes = _check(module)
        _guarded_curl = _subclass(module)
    if current.held > _raised:
        trial = _guarded_curl.__base__()
        _set(module, trial, trial.setopt)
        _raised = current.held
        for handle in instances([_guarded_curl]):
            _set(module, handle, super(_guarded_curl, handle).setopt)
    if vars(module).get("Curl") is _guarded_curl.__base__:
        _is_late = _is_late or not is_fresh(module)
        _gates.put(module, "Curl", _guarded_curl)
    missing = undone(module)
    if missing:
        raise GuardError(f"the floor cannot be held on {module!r}: {missing}")
    if _is_late:
        return "uncovered: it was imported before the floor was armed, and has a C type for handles"
    return "guarded"


def undone(module: ModuleType) -> str:
    """Return what of the guard is no longer in place; empty if all of it is."""
    in_place = vars(module).get("Curl") is _guarded_curl
    return "" if in_place else f"{module.__name__}.Curl was replaced"


def _check(module: Any) -> int:
    """Raise unless this pycurl has what the guard needs; return the schemes to forbid."""
    curl = vars(module).get("Curl")
    lacking = [
        f"Curl.{name}"
        for name in ("setopt", "setopt_string", "unsetopt", "reset", "duphandle")
        if not hasattr(curl, name)
    ]
    lacking += [name for name in ("error", "version", "version_info") if not hasattr(module, name)]
    if lacking:
        raise misfit("pycurl", f"it has no {', '.join(lacking)}")
    schemes = module.version_info()[8]
    forbidden = _RTMPS if "rtmps" in schemes else 0
    if "ldaps" in schemes and "OpenLDAP/" not in module.version:  # lib/version.c
        forbidden |= _LDAPS
    return forbidden


def _set(module: Any, handle: Any, setopt: Any) -> None:
    """Set the options that hold a handle to the floor."""
    try:
        for option in _libcurl.VERSIONS:
            setopt(option, _libcurl.default())
        if _forbidden_schemes:
            setopt(_PROTOCOLS[0], ~_forbidden_schemes)
    except module.error as error:
        if "no curl handle" in str(error):  # it was closed, for good
            return
        raise GuardError(
            f"{handle!r} of {module.version} cannot be held to "
            f"{versions.name(current.held)}: {error}"
        ) from error


def _subclass(module: Any) -> Any:
    """Return the class of handles that obeys the floor."""

    class Curl(module.Curl):  # type: ignore[misc] # a base without types
        """See ``pycurl.Curl``."""

        __slots__ = ()

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            handle = super().__new__(cls, *args, **kwargs)
            _set(module, handle, super(Curl, handle).setopt)
            current.counts["raised"] += 1
            return handle

        def setopt(self, option: Any, value: Any) -> Any:
            value = _libcurl.clamp_option(option, value)
            if option in _PROTOCOLS:
                value = index(value) & ~_forbidden_schemes
            return super().setopt(option, value)

        def setopt_string(self, option: Any, value: Any) -> Any:
            return super().setopt_string(option, _libcurl.clamp_option(option, value))

        def unsetopt(self, option: Any) -> Any:
            if option in (*_libcurl.VERSIONS, *_PROTOCOLS):
                return _set(module, self, super().setopt)
            return super().unsetopt(option)

        def reset(self) -> Any:
            done = super().reset()
            _set(module, self, super().setopt)
            return done

    Curl.__module__, Curl.__qualname__, Curl.__doc__ = "pycurl", "Curl", module.Curl.__doc__
    return Curl
