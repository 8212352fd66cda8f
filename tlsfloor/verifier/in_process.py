"""The quick evidence: crafted hellos, in memory, with nothing but ``ssl`` itself.

A client of ``ssl`` that gets a ServerHello of a version below its minimum answers with the alert
protocol_version (RFC 8446 section 6.2) at once, and one that may speak it waits for the
certificate. A server of ``ssl`` answers a ClientHello of a version that it refuses with the same
alert, before it needs a certificate; having none, it answers any other with handshake_failure.
OpenSSL does both.

It says what this process does, by the contexts that a program in it would make. It is no handshake:
what OpenSSL refuses later (a SHA-1 signature at its default security level) counts as accepted
here.

What it asks for is old on purpose, and not what the program asked for. So nothing of it is left in
the process: no event, no count (``tlsfloor.floor.internal`` tells the gates, which treat it like
everything else), and no warning. A filter would be seen by other threads, and ``catch_warnings()``
in one of several threads can lose theirs for good, as its documentation says.
"""

from __future__ import annotations

import contextlib
import os
import sys
from _thread import _local
from dataclasses import dataclass
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING

from tlsfloor import versions
from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.peers.answers import first_message, judge_client_hello, judge_version
from tlsfloor.peers.base import CA_FILE, PEER_FILE
from tlsfloor.peers.crafted import client_hello, server_hello
from tlsfloor.verifier import probe
from tlsfloor.verifier.cases import FIXED, VERSIONS, WAYS
from tlsfloor.versions import FLOORS
from tlsfloor.wire import ClientHello, Handshake

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any

# CPython drops a warning that is about a line of a module without a name (Python/_warnings.c,
# warn_explicit(): "module can be None if a warning is emitted late during Python shutdown").
_nameless: dict[str, Any] = {**vars(probe), "__name__": None}
for _function in (probe.lower, probe.default_context, probe.make_context):
    _nameless[_function.__name__] = FunctionType(_function.__code__, _nameless)

# How a step ends that needs more data.
_WAITS = "it waits for more"

# Its ``active`` is true while this thread tries what is old.
_here = _local()

# No program asks for a name below this domain (RFC 2606, section 2), so that none is exempted.
_HOST = "verify.tlsfloor.invalid"


@dataclass(frozen=True)
class Observation:
    """One case: ``outcome`` is accepted, refused or inconclusive, and ``evidence`` says why."""

    role: str
    way: str
    version: int
    outcome: str
    evidence: str

    def __str__(self) -> str:
        where = f"{self.role} {self.way} {versions.name(self.version)}"
        return f"{where}: {self.outcome} ({self.evidence})"


@dataclass(frozen=True)
class Report:
    """What this process accepts. True in a condition when nothing below ``floor`` is.

    ``below`` is what was accepted below the floor, ``doubts`` what could not be tried,
    ``observations`` all of it.
    """

    floor: str
    observations: tuple[Observation, ...]

    @property
    def below(self) -> tuple[Observation, ...]:
        """What was accepted below the floor."""
        accepted = (each for each in self.observations if each.outcome == "accepted")
        return tuple(each for each in accepted if each.version < FLOORS[self.floor])

    @property
    def doubts(self) -> tuple[Observation, ...]:
        """What could not be tried; and all of a role and way in which nothing was accepted.

        A fixed version has no control of its own: the default of its role stands in for it.
        """
        controls = {
            (each.role, each.way) for each in self.observations if each.outcome == "accepted"
        }
        return tuple(
            each
            for each in self.observations
            if each.outcome == "inconclusive"
            or (each.role, "default" if each.way in FIXED else each.way) not in controls
        )

    def __bool__(self) -> bool:
        return bool(self.observations) and not (self.below or self.doubts)


def verify(floor: object = "1.2") -> Report:
    """Try, in this process and in memory, every way to get less than ``floor`` out of ``ssl``.

    For a health check, or a library's own test: no network, no dependency, about 20 ms. Nothing is
    left of it in the process: no event, no count, no warning.

    It is about contexts that a program makes by ``ssl`` from now on. It says nothing about other
    TLS libraries, covered or unknown, and nothing about what is exempted. ``status()`` and
    ``require()`` ask this as well, and the guards of all libraries; where one is unknown they say
    no. The command ``tlsfloor verify`` tries other libraries too, by handshakes.

    Example:
        ``assert tlsfloor.verify("1.2")``; ``print(*tlsfloor.verify("1.2").below)`` names what is
        accepted below it.

    Raises:
        PolicyError: the floor cannot be understood.
        VerifyError: this process has no ``ssl``.

    .. versionadded:: 0.1
    """
    try:
        wire = versions.parse(floor)
    except ValueError as error:
        hint = f"write one of {', '.join(FLOORS)}"
        raise PolicyError(f"unknown floor in verify(): {error}", hint=hint, value=floor) from None
    try:
        return Report(versions.floor_name(wire), tuple(observe()))
    except ImportError as error:
        raise VerifyError(f"there is no ssl to verify: {error}") from error


def observe() -> list[Observation]:
    """Try every way of ``cases`` in this process, in both roles, at every version.

    Raises:
        ImportError: this process has no ``ssl``.

    .. versionadded:: 0.1
    """
    import ssl  # a floor that is armed by it is an event

    with _as_tlsfloor():
        return _observe(_without_key_log(ssl))


def _without_key_log(ssl: ModuleType) -> Any:
    """Return ``ssl`` with a ``create_default_context`` that does not see SSLKEYLOGFILE.

    The original function opens that file (Lib/ssl.py: ``context.keylog_filename = keylogfile``) and
    appends to it. If the file is a FIFO, it waits for a reader. The copy reads an empty environment
    instead, so that nothing of the process has to change. If a program has replaced the function,
    its replacement is called as it is.
    """
    make = ssl.create_default_context
    if not os.environ.get("SSLKEYLOGFILE") or getattr(make, "__globals__", None) is not vars(ssl):
        return ssl
    names = {**vars(ssl), "os": SimpleNamespace(environ={})}
    copy = FunctionType(make.__code__, names, make.__name__, make.__defaults__, make.__closure__)
    copy.__kwdefaults__ = make.__kwdefaults__
    return SimpleNamespace(**{**names, make.__name__: copy})


@contextlib.contextmanager
def _as_tlsfloor() -> Iterator[None]:
    """Let the gates know that what this thread does is asked for by tlsfloor itself."""
    native: Any = sys.modules.get("_cffi_ssl._stdssl")
    if native is not None and not isinstance(native.warnings, _Warnings):
        native.warnings = _Warnings(native.warnings)
    flags: list[Any] = [_here, *filter(None, [getattr(sys, "_tlsfloor", {}).get("internal")])]
    before = [getattr(each, "active", False) for each in flags]
    try:
        for each in flags:
            each.active = True
        yield
    finally:
        for each, active in zip(flags, before):
            each.active = active


class _Warnings:
    """Is the module ``warnings`` of PyPy's _ssl, which is Python and warns of lines of its own."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def warn(self, message: Any, category: Any = None, stacklevel: int = 1) -> None:
        if not getattr(_here, "active", False):
            self._module.warn(message, category, stacklevel + 1)


def _observe(ssl: Any) -> list[Observation]:
    found: list[Observation] = []
    for role in ("client", "server"):
        for way in WAYS[role, "ssl"]:
            asked = [version for version in VERSIONS if FIXED.get(way, version) == version]
            # A server looks at the version before its key; but without any it has no TLS 1.3.
            job = {"ca": CA_FILE, "identity": "" if way in FIXED else PEER_FILE}
            try:
                context = _nameless["make_context"](ssl, role, way, job)
            except probe.Absent:  # nobody can ask for it here
                continue
            except (OSError, ValueError) as error:  # how ssl says that it makes no such context
                found += [Observation(role, way, each, _of(error), str(error)) for each in asked]
                continue
            found += [_try(ssl, context, role, way, version) for version in asked]
    return found


def _of(error: Exception) -> str:
    """Return the outcome that an error of ``ssl`` means."""
    refused = getattr(error, "reason", "") == "UNSUPPORTED_PROTOCOL" or "protocol" in str(error)
    return "refused" if refused else "inconclusive"


def _try(module: Any, context: ssl.SSLContext, role: str, way: str, version: int) -> Observation:
    incoming, outgoing = module.MemoryBIO(), module.MemoryBIO()
    host = _HOST if role == "client" else None
    try:
        tls = context.wrap_bio(
            incoming, outgoing, server_side=role == "server", server_hostname=host
        )
        if role == "client":
            own_error = _step(module, tls)
            offered = first_message(outgoing.read())
            if not isinstance(offered, Handshake):
                # It has no version or no suite left to offer, unless something else stopped it.
                failed = own_error == _WAITS or "malloc" in own_error
                return Observation(
                    role, way, version, "inconclusive" if failed else "refused", own_error
                )
            hello = ClientHello.parse(offered.body)
            refusal = judge_client_hello(hello, version)
            if refusal is not None:
                return Observation(role, way, version, refusal.outcome, refusal.evidence)
            incoming.write(server_hello(hello, version))
        else:
            incoming.write(client_hello(version, "any"))
        own_error = _step(module, tls)
        answer = judge_version(first_message(outgoing.read()), version, own_error)
    except (OSError, ValueError) as error:  # the TLS object cannot be made
        return Observation(role, way, version, _of(error), str(error))
    return Observation(role, way, version, answer.outcome, answer.evidence)


def _step(module: Any, tls: ssl.SSLObject) -> str:
    try:
        tls.do_handshake()
    except module.SSLWantReadError:
        return _WAITS
    except module.SSLError as error:
        return str(error)
    return "it is done"
