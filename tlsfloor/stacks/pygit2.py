"""The guard of pygit2: of libgit2, whose OpenSSL has one context for the whole process.

libgit2 takes no minimum, and what its context speaks is up to its build and to the configuration of
its OpenSSL. Wheels refuse TLS 1.1 by default, and speak TLS 1.0 where ``OPENSSL_CONF`` lets them;
older ones, and those of distributions, differ. But the context is the same for all connections. So
before the first one libgit2 is let connect to a port of this very process, which reads from the
ClientHello what it offers, and hangs up. Where that is at the floor or above, all goes on; else
what would begin TLS is refused. Repositories on disk, SSH and the git protocol need none of it.

Everything in pygit2 that connects calls a function of its C library, ``pygit2.ffi.C``: something
that looks like it takes its place there.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks import _addresses, _stand_ins, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_HINT = "use a Git remote over SSH, or let the program `git` fetch"

# Seconds for a hello over loopback.
_PATIENCE = 5

# libgit2's functions that connect, and the place of what they are given: a remote, a submodule, or
# an address.
_REMOTES = {"git_remote_connect": 0, "git_remote_fetch": 0, "git_remote_push": 0}
_SUBMODULES = {"git_submodule_update": 0, "git_submodule_clone": 1}
_CLONE = "git_clone"

_gates = Gates()

#: The lowest version that libgit2 offers, once it was asked; 0 where it did not tell.
_offered: int | None = None


def guard(module: ModuleType) -> str:
    """Stand before what connects.

    Raises:
        GuardError: this pygit2 has no such library.
    """
    native: Any = module
    library = native.C
    if not isinstance(library, _Library):
        for name in (*_REMOTES, *_SUBMODULES, _CLONE, "git_remote_create_anonymous"):
            if not hasattr(library, name):
                raise GuardError(f"this pygit2 has no {name}()", hint="install another version")
        row = _stand_ins.row_of(module)
        _stand_ins.replace(_gates, "pygit2", library, _Library(row, library, native.ffi))
    return "guarded"


class _Library:
    """Looks like a library of cffi, and judges what connects."""

    def __init__(self, row: str, real: Any, ffi: Any) -> None:
        self._row, self._real, self._ffi = row, real, ffi

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name in _REMOTES:
            value = self._judging(value, _REMOTES[name], self._addresses_of_remote)
        elif name in _SUBMODULES:
            value = self._judging(value, _SUBMODULES[name], self._addresses_of_submodule)
        elif name == _CLONE:
            value = self._judging(value, 1, lambda address: [self._text(address)])
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return dir(self._real)

    def _judging(self, function: Any, place: int, addresses: Any) -> Any:
        def judging(*args: Any) -> Any:
            _judge(self, addresses(args[place]))
            return function(*args)

        return judging

    def _addresses_of_remote(self, remote: Any) -> list[str]:
        return [
            self._text(function(remote))
            for function in (self._real.git_remote_url, self._real.git_remote_pushurl)
        ]

    def _addresses_of_submodule(self, submodule: Any) -> list[str]:
        address = self._text(self._real.git_submodule_url(submodule))
        # A relative one is below that of the repository, which may be anything.
        return ["https://relative" if address.startswith(".") else address]

    def _text(self, value: Any) -> str:
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if value == self._ffi.NULL:
            return ""
        text: bytes = self._ffi.string(value)
        return text.decode("utf-8", "surrogateescape")


def _judge(library: _Library, addresses: list[str]) -> None:
    global _offered
    if current.held < 0:
        return
    schemes = {_addresses.scheme_of(each) for each in addresses}
    if not schemes & {"https", "http"} and not _rewritten(addresses):
        return
    if _offered is None:
        _offered = _ask(library)
    if _offered >= current.held:
        return
    row = library._row
    if schemes == {"http"}:
        _tls_calls.plain(row)
        return
    lowest = versions.name(_offered) if _offered else "no version that could be found out"
    _tls_calls.refuse(row, f"libgit2 offers {lowest}, and has no setting that forbids it", _HINT)


def _rewritten(addresses: list[str]) -> bool:
    """Tell whether Git's configuration would make https of an address (git-config, insteadOf)."""
    from pygit2 import Config

    for load in (Config.get_system_config, Config.get_xdg_config, Config.get_global_config):
        with contextlib.suppress(OSError):  # there is no such file
            for entry in load():
                name, value = str(entry.name).lower(), str(entry.value)
                replaces = name.startswith("url.http") and name.endswith("insteadof")
                if replaces and any(each.startswith(value) for each in addresses):
                    return True
    return False


def _ask(library: _Library) -> int:
    """Return the lowest version that libgit2 offers, by a ClientHello to a port of our own."""
    heard = bytearray()
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
        except OSError:  # a process without a network
            return 0
        server.settimeout(_PATIENCE)
        thread = threading.Thread(target=_hear, args=(server, heard), daemon=True)
        thread.start()
        _connect(library, f"https://127.0.0.1:{server.getsockname()[1]}/".encode())
        thread.join(_PATIENCE)
    return _lowest(bytes(heard))


def _hear(server: socket.socket, heard: bytearray) -> None:
    with contextlib.suppress(OSError):  # nobody came, or left: what was heard tells
        connection, _ = server.accept()
        with connection:
            connection.settimeout(_PATIENCE)
            # RFC 8446, section 5.1: type, version, length, fragment.
            while len(heard) < 5 or len(heard) < 5 + int.from_bytes(heard[3:5], "big"):
                received = connection.recv(2**14)
                if not received:
                    return
                heard += received


def _connect(library: _Library, address: bytes) -> None:
    from pygit2 import Repository

    real, ffi = library._real, library._ffi
    repository = Repository()  # in memory
    remote = ffi.new("git_remote **")
    url = ffi.new("char[]", address)
    if real.git_remote_create_anonymous(remote, repository._repo, url) == 0:
        nothing = ffi.NULL
        real.git_remote_connect(remote[0], real.GIT_DIRECTION_FETCH, nothing, nothing, nothing)
        real.git_remote_free(remote[0])


def _lowest(data: bytes) -> int:
    from tlsfloor.wire import ClientHello, Handshake, Messages, WireError
    from tlsfloor.wire.extensions import is_grease

    stream = Messages()
    stream.feed(data)
    try:
        first = stream.read()
        if not isinstance(first, Handshake):
            return 0
        # Without that extension it offers whatever there is up to TLS 1.2 (RFC 8446, 4.2.1).
        listed = ClientHello.parse(first.body).supported_versions() or []
    except WireError:
        return 0
    return min((each for each in listed if not is_grease(each)), default=0)
