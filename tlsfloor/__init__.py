"""tlsfloor: no TLS connection of this process below the version that you set.

    import tlsfloor

    tlsfloor.enforce("1.2")

Importing the package changes nothing, and imports nothing: each name is loaded when it is first
used (PEP 562). It writes one line to stderr if a bootstrap folder is on the path and Python did not
run its start-up file.

PYTEST_DONT_REWRITE: pytest must not warn that the floor has imported this package before it.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor import errors as errors
    from tlsfloor._enforce import enforce, raise_context
    from tlsfloor._status import Status, require, status
    from tlsfloor._types import Floor
    from tlsfloor.errors import (
        FloorNotHeldError,
        GuardError,
        InstallError,
        PolicyError,
        ProtocolRefused,
        TLSFloorError,
        VerifyError,
    )
    from tlsfloor.verifier.in_process import verify

__version__ = "0.2.0.dev0"

__all__ = [
    "Floor",
    "FloorNotHeldError",
    "GuardError",
    "InstallError",
    "PolicyError",
    "ProtocolRefused",
    "Status",
    "TLSFloorError",
    "VerifyError",
    "enforce",
    "raise_context",
    "require",
    "status",
    "verify",
]

_MODULES = {
    "enforce": "_enforce",
    "raise_context": "_enforce",
    "require": "_status",
    "status": "_status",
    "Status": "_status",
    "Floor": "_types",
    "verify": "verifier.in_process",
}


def _load(name):  # type: (str) -> object
    if name == "errors":  # else it would be there or not, by what was imported before
        return __import__(__name__ + ".errors", fromlist=["errors"])
    if name not in __all__:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    # A tool that was imported earlier may instrument modules as they are loaded, and break ours.
    from tlsfloor import hooks

    hooks.insert()
    module = ".".join((__name__, _MODULES.get(name, "errors")))
    return getattr(__import__(module, fromlist=[name]), name)


if not TYPE_CHECKING:  # a type checker that sees it believes that every name exists
    __getattr__ = _load


def __dir__():  # type: () -> list[str]
    return sorted(set(globals()) | set(__all__))


_environment = getattr(sys.modules.get("os"), "environ", {})
_searched = "%s%s" % (sys.path, _environment.get("PYTHONPATH"))
if sys.version_info >= (3, 8) and not hasattr(sys, "_tlsfloor") and "bootstrap" in _searched:
    from tlsfloor import policy
    from tlsfloor.startup import failure

    _problem = policy.unrun_startup_file()
    if _problem and not policy.is_called_by_opentelemetry():
        failure.print_line("tlsfloor: error: %s" % _problem)
