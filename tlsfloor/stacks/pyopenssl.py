"""The guard of pyOpenSSL, and of the OpenSSL of cryptography beneath it.

cryptography offers the functions of its OpenSSL as attributes of one module object,
``Binding.lib``, and pyOpenSSL looks up each function when it calls it. So the gates are there, and
reach copies of pyOpenSSL under other names, and programs that use the functions without pyOpenSSL.
They do not reach a function that a program took from there before a late floor, or takes from
``_original_lib``.

The floor is held with ``SSL_OP_NO_*`` options. They only ever forbid a version, and no function of
``Binding.lib`` clears them; a minimum could be lowered, and cannot be read. A connection copies the
options and bounds of its context when it is made. There are three gates:

1. **birth**: each new connection gets the options. They have no effect on a connection of a single
   version (``Context(TLSv1_METHOD)`` of pyOpenSSL 21 and older). Such a connection is refused when
   it is used, and not earlier, because ``set_cipher_list()`` makes one, and so does Twisted 21 when
   it is imported;
2. **change**: a minimum or a maximum below the floor is clamped. So from pyOpenSSL 22 on, where
   ``Context(TLSv1_METHOD)`` sets both, such a context speaks the version of the floor;
3. **handshake**: a connection gets the options again, and its version is compared before and after.
   OpenSSL also completes handshakes within reads and writes. For connections that got the options
   when they were made, that needs no gate. So reads and writes have gates only in a process that
   had connections before the floor, and over an OpenSSL with methods of a single version.

A maximum below the floor that a program set before the floor was armed is not clamped, because no
function reads it: OpenSSL then refuses the handshake ("no protocols available"). DTLS counts as the
TLS from which it derives: DTLS 1.0 as TLS 1.1 (RFC 4347), DTLS 1.2 as TLS 1.2 (RFC 6347).

Many programs import this OpenSSL and never use TLS. So if it lacks a function, the import succeeds,
and a new connection is refused.
"""

from __future__ import annotations

import sys
from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates, instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_OFF = {
    versions.SSL3: "SSL_OP_NO_SSLv3",
    versions.TLS1_0: "SSL_OP_NO_TLSv1",
    versions.TLS1_1: "SSL_OP_NO_TLSv1_1",
    versions.TLS1_2: "SSL_OP_NO_TLSv1_2",
}
_DTLS = {0xFEFF: versions.TLS1_1, 0xFEFD: versions.TLS1_2, 0xFEFC: versions.TLS1_3}

_BOUNDS = [f"SSL_{of}set_{bound}_proto_version" for of in ("CTX_", "") for bound in ("min", "max")]
_READS_AND_WRITES = [
    f"SSL_{use}" for each in ("read", "write") for use in (each, f"{each}_ex", f"{each}_early_data")
] + ["SSL_peek", "DTLSv1_listen"]

_NEEDED = [
    *("SSL_new", "SSL_set_session", "SSL_do_handshake", "SSL_set_options", "SSL_get_options"),
    *("SSL_version", "SSL_get_version", "SSL_get_finished", "SSL_get_peer_finished"),
    *("SSL_set_shutdown", *_OFF.values()),
]

_gates = Gates()


class _GatedOpenSSL:
    """The functions of an OpenSSL, with gates on them."""

    def __init__(self, lib: Any, ffi: Any) -> None:
        self.lib, self.ffi = lib, ffi
        self._options: dict[int, int] = {}
        #: The floor of its newest connections, and whether it may have older ones.
        self.floor, self.is_behind = current.NO_FLOOR, False
        self.lacks = ", ".join(name for name in _NEEDED if not hasattr(lib, name))
        if self.lacks:
            self._put(self._refusing, "SSL_new")
            return
        # In OpenSSL 1.1.1, SSL_set_session() makes the connection again, with its context's bounds.
        self._put(self._born, "SSL_new", "SSL_set_session")
        self._put(self._bounded, *_BOUNDS)
        self._put(self._shaken, "SSL_do_handshake")
        if hasattr(lib, "TLSv1_method"):
            self.watch()

    def watch(self) -> None:
        """Also check the handshakes within reads and writes."""
        if not self.lacks and (self.lib, "SSL_read") not in _gates:
            self._put(self._used, *_READS_AND_WRITES)

    def _put(self, gate: Any, *names: str) -> None:
        for name in names:
            if hasattr(self.lib, name):  # not in every version
                function = getattr(self.lib, name)
                _gates.put(self.lib, name, wraps(function)(gate(function)))

    def _refusing(self, _new: Any) -> Any:
        def gate(*_args: Any) -> Any:
            current.counts["refused"] += 1
            raise GuardError(
                f"cryptography's OpenSSL cannot be held to a floor: it lacks {self.lacks}",
                hint="use a pyOpenSSL from 20 on, with the cryptography that it asks for",
            )

        return gate

    def _born(self, function: Any) -> Any:
        def gate(*args: Any) -> Any:
            result = function(*args)
            handle = args[0] if len(args) > 1 else result  # of SSL_set_session, of SSL_new
            if handle:  # it is not NULL
                self._give(handle)
            return result

        return gate

    def _bounded(self, function: Any) -> Any:
        def gate(*args: Any) -> Any:
            asked = args[1] if len(args) == 2 else None
            if isinstance(asked, int) and versions.SSL3 <= asked < current.held:
                current.counts["clamped"] += 1
                args = (args[0], current.held)
            return function(*args)

        return gate

    def _shaken(self, function: Any) -> Any:
        def gate(handle: Any, *args: Any) -> Any:
            if not self._obeys(handle):
                raise self._refusal("refused", f"this connection speaks {self.name(handle)} only")
            result = function(handle, *args)
            if self.wire(handle) < current.held:
                self.lib.SSL_set_shutdown(handle, 3)  # no reads and no writes
                raise self._refusal("discarded", f"{self.name(handle)} was negotiated")
            return result

        return gate

    def _used(self, function: Any) -> Any:
        shaken = self._shaken(function)
        return lambda handle, *args: (function if self.is_open(handle) else shaken)(handle, *args)

    def is_open(self, handle: Any) -> bool:
        """Return whether both sides sent Finished, the last message (RFC 5246 section 7.4.9)."""
        ends = (self.lib.SSL_get_finished, self.lib.SSL_get_peer_finished)
        return all(finished(handle, self.ffi.NULL, 0) for finished in ends)

    def _give(self, handle: Any) -> int:
        """Set the options that forbid versions below the floor; return them."""
        floor = current.held
        if floor not in self._options:
            off = (getattr(self.lib, name) for wire, name in _OFF.items() if wire < floor)
            self._options[floor] = sum(off)
        options = self._options[floor]
        if self.lib.SSL_get_options(handle) & options != options:
            self.lib.SSL_set_options(handle, options)
            current.counts["raised"] += 1
        return options

    def _obeys(self, handle: Any) -> bool:
        """Set the options on a connection; return whether they have an effect on it."""
        options = self._give(handle)
        kept = self.lib.SSL_get_options(handle) & options == options
        # Before its handshake, a connection with several versions reports the highest here.
        return kept and self.wire(handle) >= current.held

    def wire(self, handle: Any) -> int:
        """Return the TLS version of a connection, or of its DTLS; 0 if it is unknown."""
        version: int = self.lib.SSL_version(handle)
        return version if version < 0x1000 else _DTLS.get(version, 0)

    def name(self, handle: Any) -> str:
        """Return OpenSSL's name of the version of a connection."""
        return str(self.ffi.string(self.lib.SSL_get_version(handle)).decode())

    def _refusal(self, count: str, problem: str) -> Exception:
        """Return an error that is also the Error of the pyOpenSSL which called this."""
        current.counts[count] += 1
        dtls = "DTLS" in problem  # OpenSSL has no DTLS 1.3
        hint = "use TLS over TCP there" if dtls else "make the context with SSL.TLS_METHOD"
        plain = refusal(problem, hint)
        frame: Any = sys._getframe(1)
        while frame.f_globals is globals():
            frame = frame.f_back
        caller = frame.f_globals
        if caller.get("_lib") is not self.lib or "Error" not in caller:  # it is not pyOpenSSL
            return plain
        # Pickled as the plain error, whose class can be imported in every process.
        parts = {"__reduce__": lambda _self: plain.__reduce__()}
        kind = type(type(plain).__name__, (type(plain), caller["Error"]), parts)
        made: Exception = kind(*plain.args)
        vars(made).update(vars(plain))
        return made


_libraries: dict[Any, _GatedOpenSSL] = {}


def guard(module: ModuleType) -> str:
    """Hold the floor on every connection over the OpenSSL of ``module``.

    Raises:
        GuardError: it has none.
    """
    try:
        lib, ffi = _bound(module)
    except AttributeError as error:
        raise GuardError(f"the OpenSSL of {module!r} was not found: {error}") from error
    if not hasattr(lib, "SSL_new"):
        return "inherent"
    library = _libraries.get(lib) or _libraries.setdefault(lib, _GatedOpenSSL(lib, ffi))
    library.floor, library.is_behind = current.held, library.floor < current.held
    return "guarded"


def _bound(module: Any) -> tuple[Any, Any]:
    if hasattr(module, "Binding"):
        return module.Binding.lib, module.Binding.ffi
    return module._lib, module._ffi


def catch_up() -> None:
    """Hold the connections that are older than the floor and whose handshake is not complete."""
    for library in _libraries.values():
        if library.is_behind:
            library.watch()


def undone(module: ModuleType) -> str:
    """Return what of the guard is no longer in place; empty if all of it is."""
    library = _libraries.get(_bound(module)[0])
    if library is None:
        return "its OpenSSL was replaced"
    return f"it lacks {library.lacks}" if library.lacks else _gates.undone()


def below() -> list[str]:
    """Describe pyOpenSSL's open connections below the floor, which cannot be raised any more."""
    module: Any = sys.modules.get("OpenSSL.SSL")
    library = _libraries.get(getattr(module, "_lib", None))
    if library is None or library.lacks or not hasattr(module, "Connection"):
        return []
    # Another thread may be making one that has no ``_ssl`` yet.
    made = [found for found in instances([module.Connection]) if "_ssl" in vars(found)]
    return [
        f"{library.name(connection._ssl)} connection: {connection!r}"
        for connection in made
        if library.is_open(connection._ssl) and library.wire(connection._ssl) < current.held
    ]
