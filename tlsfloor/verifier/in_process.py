"""Verify this process by crafted hellos, in memory, with nothing but ``ssl`` itself.

Theory of operation
-------------------

``MemoryBIO`` lets a TLS object of ``ssl`` talk to this module in place of a peer.

A client that gets a ServerHello with a version below its minimum answers at once with the alert
protocol_version (RFC 8446 section 6.2). A client that may speak the version waits for the
certificate. A server answers a ClientHello with a version that it refuses with the same alert,
before it needs a certificate. A server without a certificate answers any other ClientHello with
handshake_failure. OpenSSL does both in ssl/statem/statem_lib.c: ``ssl_choose_client_version()`` and
``ssl_choose_server_version()``.

The result describes the contexts that a program in this process would get. No handshake is
completed, so what OpenSSL would refuse later (a SHA-1 signature at its default security level, for
example) counts as accepted.

The module asks for old versions, and the program did not. So nothing of this is left in
the process: no event and no count (``tlsfloor.floor.internal`` tells the gates), no key log, and no
warning. A filter of warnings would affect other threads, and ``catch_warnings()`` is documented not
to be thread-safe: it can lose their filters.
"""

from __future__ import annotations

import contextlib
import os
import sys
from _thread import _local
from dataclasses import dataclass
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, cast

from tlsfloor import versions
from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.peers.base import CA_FILE, PEER_FILE
from tlsfloor.peers.crafted_hellos import client_hello, server_hello
from tlsfloor.peers.hello_answers import (
    INCONCLUSIVE,
    REFUSED,
    HelloAnswer,
    first_message,
    judge_client_hello,
    judge_version,
)
from tlsfloor.verifier import probe
from tlsfloor.verifier.cases import FIXED_VERSIONS, SETUPS, VERSIONS
from tlsfloor.versions import FLOORS
from tlsfloor.wire import ClientHello, Handshake

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any

    from tlsfloor._types import Floor, FloorName, Outcome, Role

# Copies of the probe's functions in a namespace without a __name__. CPython drops a warning about a
# line of such a module (Python/_warnings.c, warn_explicit(): "module can be None if a warning is
# emitted late during Python shutdown").
_nameless: dict[str, Any] = {**vars(probe), "__name__": None}
for _function in (probe.lower, probe.default_context, probe.make_context):
    _nameless[_function.__name__] = FunctionType(_function.__code__, _nameless)

# The end of a step of the handshake that needs more data.
_WAITS = "waits for more data"

# The attribute ``active`` is true while this thread tries old versions.
_here = _local()

# A name below this top-level domain does not exist (RFC 2606, section 2), so it is never exempted.
_HOST = "verify.tlsfloor.invalid"


@dataclass(frozen=True)
class Observation:
    """One attempt of ``verify()`` to get a version out of ``ssl``.

    ``outcome`` is ``"accepted"``, ``"refused"`` or ``"inconclusive"``, and ``evidence`` says why.
    ``setup`` says how the context was set up, and ``version`` is a wire number (0x0301 is TLS 1.0).
    """

    role: Role
    setup: str
    version: int
    outcome: Outcome
    evidence: str

    def __str__(self) -> str:
        where = f"{self.role} {self.setup} {versions.name(self.version)}"
        return f"{where}: {self.outcome} ({self.evidence})"


@dataclass(frozen=True, repr=False)
class Verification:
    """The result of ``tlsfloor.verify()``. True in a condition if the floor holds on ``ssl``.

    ``floor`` is the floor in question, and ``observations`` has every attempt. ``str()`` of it is
    one sentence.
    """

    floor: FloorName
    observations: tuple[Observation, ...]

    @property
    def below(self) -> tuple[Observation, ...]:
        """The attempts below the floor that were accepted."""
        accepted = (each for each in self.observations if each.outcome == "accepted")
        return tuple(each for each in accepted if each.version < FLOORS[self.floor])

    @property
    def doubts(self) -> tuple[Observation, ...]:
        """The attempts that prove nothing.

        These are the ones that could not be made, and all those of a setup that was never accepted:
        a refusal needs a positive control. The control of a fixed version is the default context.
        """
        controls = {
            (each.role, each.setup) for each in self.observations if each.outcome == "accepted"
        }
        return tuple(
            each
            for each in self.observations
            if each.outcome == "inconclusive"
            or (each.role, "default" if each.setup in FIXED_VERSIONS else each.setup)
            not in controls
        )

    def __bool__(self) -> bool:
        return bool(self.observations) and not (self.below or self.doubts)

    def __str__(self) -> str:
        if self:
            return f"floor {self.floor} holds: ssl accepts no older version"
        found = self.below or self.doubts
        problem = "does not hold" if self.below else "is not proven"
        if not found:
            return f"floor {self.floor} {problem}: nothing could be tried"
        others = f", and {len(found) - 1} more" if len(found) > 1 else ""
        return f"floor {self.floor} {problem}: {found[0]}{others}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"


def verify(floor: Floor = "1.2") -> Verification:
    """Try, in this process and in memory, every way to get a version below ``floor`` from ``ssl``.

    It is meant for a health check, or for a test of a library: it needs no network and no
    dependency, and takes about 20 ms. It leaves no event, no count and no warning in the process.

    The result is about the contexts that a program makes with ``ssl`` from now on. It says nothing
    about other TLS libraries, or about exempted hosts. ``status()`` and ``require()`` also ask the
    guards of all libraries, and say no if a library is unknown. The command ``tlsfloor verify``
    tries other libraries too, by handshakes.

    Example:
        ``assert tlsfloor.verify("1.2")``; ``print(*tlsfloor.verify("1.2").below)`` prints what is
        accepted below it.

    Raises:
        PolicyError: the floor cannot be understood.
        VerifyError: this process has no ``ssl``.

    .. versionadded:: 0.1
    """
    try:
        wire = versions.parse(floor)
    except ValueError as error:
        raise PolicyError(
            f"verify(): {error}", hint="write 1.2 or 1.3", value=floor, source="verify()"
        ) from None
    try:
        return Verification(cast("FloorName", versions.floor_name(wire)), tuple(observe_ssl()))
    except ImportError as error:
        raise VerifyError(f"there is no ssl to verify: {error}") from error


def observe_ssl() -> list[Observation]:
    """Try each setup of ``ssl`` in ``cases`` in this process, in both roles, with each version.

    Raises:
        ImportError: this process has no ``ssl``.
    """
    import ssl  # outside of _as_tlsfloor(): if this arms a floor, that is an event

    with _as_tlsfloor():
        return _observe_all(_without_key_log(ssl))


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
    """Tell the gates that tlsfloor itself asks for what this thread does."""
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
    """Replaces ``warnings`` in PyPy's _ssl, which is Python and warns of lines of its own."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def warn(self, message: Any, category: Any = None, stacklevel: int = 1) -> None:
        if not getattr(_here, "active", False):
            self._module.warn(message, category, stacklevel + 1)


def _observe_all(ssl: Any) -> list[Observation]:
    found = []
    roles: tuple[Role, ...] = ("client", "server")
    for role in roles:
        for setup in SETUPS[role, "ssl"]:
            asked = [each for each in VERSIONS if FIXED_VERSIONS.get(setup, each) == each]
            # A server checks the version before it needs a key, but it offers no TLS 1.3 without.
            job = {"ca": CA_FILE, "identity": "" if setup in FIXED_VERSIONS else PEER_FILE}
            try:
                context = _nameless["make_context"](ssl, role, setup, job)
                answers = [_try(ssl, context, role, version) for version in asked]
            except probe.Absent:  # a constant that this ssl does not have
                continue
            except (OSError, ValueError) as error:  # ssl refuses to make this context
                answers = [_answer_of(error)] * len(asked)
            found += [
                Observation(role, setup, version, answer.outcome, answer.evidence)
                for version, answer in zip(asked, answers)
            ]
    return found


def _answer_of(error: Exception) -> HelloAnswer:
    """Return what an error of ``ssl`` means."""
    refused = getattr(error, "reason", "") == "UNSUPPORTED_PROTOCOL" or "protocol" in str(error)
    return HelloAnswer(REFUSED if refused else INCONCLUSIVE, str(error))


def _try(ssl: Any, context: ssl.SSLContext, role: str, version: int) -> HelloAnswer:
    """Exchange hellos of one version with a TLS object of a context."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    is_server = role == "server"
    try:
        host = None if is_server else _HOST
        tls = context.wrap_bio(incoming, outgoing, server_side=is_server, server_hostname=host)
        if is_server:
            incoming.write(client_hello(version, "any"))
        else:
            own_error = _step(ssl, tls)
            offered = first_message(outgoing.read())
            if not isinstance(offered, Handshake):
                # It has no version or no suite left to offer, unless something else stopped it.
                failed = own_error == _WAITS or "malloc" in own_error
                return HelloAnswer(INCONCLUSIVE if failed else REFUSED, own_error)
            hello = ClientHello.parse(offered.body)
            refusal = judge_client_hello(hello, version)
            if refusal is not None:
                return refusal
            incoming.write(server_hello(hello, version))
        own_error = _step(ssl, tls)
        return judge_version(first_message(outgoing.read()), version, own_error)
    except (OSError, ValueError) as error:  # the TLS object cannot be made
        return _answer_of(error)


def _step(ssl: Any, tls: ssl.SSLObject) -> str:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return _WAITS
    except ssl.SSLError as error:
        return str(error)
    return "completed the handshake"
