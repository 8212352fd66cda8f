"""The guard of pygit2: of libgit2, whose OpenSSL has one context for the whole process.

libgit2 has no setting for a minimum. The versions of its context depend on its build and on the
configuration of its OpenSSL: wheels refuse TLS 1.1 by default, and speak TLS 1.0 if
``OPENSSL_CONF`` allows it; older wheels, and builds of distributions, differ. But all connections
use the same context. So before the first connection the guard lets libgit2 connect to a port of
this process, which reads the offered versions from the ClientHello and closes the connection. If
they are at the floor or above, every call is allowed; otherwise a call that would begin TLS is
refused. Repositories on disk, SSH and the git protocol use no TLS.

Every connection of pygit2 is made by a function of its C library, ``pygit2.ffi.C``, so an object
that looks like that library takes its place.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates
from tlsfloor.stacks._stand_ins import find, replace, row_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_HINT = "use a Git remote over SSH, or let the program `git` fetch"

# Seconds for a ClientHello over loopback.
_PATIENCE = 5

# libgit2's functions that connect: the place of the argument that has the URL, and what that is.
_CONNECTING = {
    "git_clone": (1, "url"),
    "git_remote_connect": (0, "remote"),
    "git_remote_fetch": (0, "remote"),
    "git_remote_push": (0, "remote"),
    "git_submodule_clone": (1, "submodule"),
    "git_submodule_update": (0, "submodule"),
}

_gates = Gates()

#: The lowest version that libgit2 offers, once it is known; 0 if it cannot be found out.
_offered: int | None = None


def guard(module: ModuleType) -> str:
    """Check each call that connects.

    Raises:
        GuardError: this pygit2 has no such library.
    """
    library = module.C
    if not isinstance(library, _CheckedLibrary):
        for name in (*_CONNECTING, "git_remote_create_anonymous"):
            find(module, f"C.{name}")
        replace(_gates, "pygit2", library, _CheckedLibrary(row_of(module), library, module.ffi))
    return "guarded"


class _CheckedLibrary:
    """Looks like a library of cffi, and checks the calls that connect."""

    def __init__(self, row: str, real: Any, ffi: Any) -> None:
        self._row, self._real, self._ffi = row, real, ffi

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name in _CONNECTING:
            value = self._checking(value, *_CONNECTING[name])
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return dir(self._real)

    def _checking(self, function: Any, place: int, kind: str) -> Any:
        def checking(*args: Any) -> Any:
            _check(self, self._urls(kind, args[place]))
            return function(*args)

        return checking

    def _urls(self, kind: str, value: Any) -> list[str]:
        if kind == "url":
            return [self._text(value)]
        if kind == "remote":
            getters = (self._real.git_remote_url, self._real.git_remote_pushurl)
            return [self._text(get(value)) for get in getters]
        url = self._text(self._real.git_submodule_url(value))
        # A relative URL is below that of the repository, which may be any.
        return ["https://relative" if url.startswith(".") else url]

    def _text(self, value: Any) -> str:
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if value == self._ffi.NULL:
            return ""
        text: bytes = self._ffi.string(value)
        return text.decode("utf-8", "surrogateescape")


def _check(library: _CheckedLibrary, urls: list[str]) -> None:
    global _offered
    if not current.is_held():
        return
    schemes = {_addresses.scheme_of(url) for url in urls}
    if not schemes & {"https", "http"} and not _rewritten(urls):
        return
    if _offered is None:
        _offered = _lowest(_client_hello(library))
    if _offered >= current.held:
        return
    row = library._row
    if schemes == {"http"}:
        _tls_calls.plain(row)
        return
    lowest = versions.name(_offered) if _offered else "a version that could not be found out"
    problem = f"libgit2 has no setting for a minimum version and offers {lowest}"
    _tls_calls.refuse(row, problem, _HINT)


def _rewritten(urls: list[str]) -> bool:
    """Return whether Git's configuration would make https of a URL (git-config, insteadOf)."""
    from pygit2 import Config

    for load in (Config.get_system_config, Config.get_xdg_config, Config.get_global_config):
        with contextlib.suppress(OSError):  # there is no such file
            for entry in load():
                name, value = str(entry.name).lower(), str(entry.value)
                replaces = name.startswith("url.http") and name.endswith("insteadof")
                if replaces and any(url.startswith(value) for url in urls):
                    return True
    return False


def _client_hello(library: _CheckedLibrary) -> bytes:
    """Return what libgit2 sends first to a TLS server: a port of this process."""
    received = bytearray()
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
        except OSError:  # a process without a network
            return b""
        server.settimeout(_PATIENCE)
        thread = threading.Thread(target=_receive, args=(server, received), daemon=True)
        thread.start()
        _connect(library, f"https://127.0.0.1:{server.getsockname()[1]}/".encode())
        thread.join(_PATIENCE)
    return bytes(received)


def _receive(server: socket.socket, received: bytearray) -> None:
    with contextlib.suppress(OSError):  # there is no connection, or it ended early
        connection, _ = server.accept()
        with connection:
            connection.settimeout(_PATIENCE)
            # RFC 8446, section 5.1: type, version, length, fragment.
            while len(received) < 5 or len(received) < 5 + int.from_bytes(received[3:5], "big"):
                data = connection.recv(2**14)
                if not data:
                    return
                received += data


def _connect(library: _CheckedLibrary, url: bytes) -> None:
    from pygit2 import Repository

    real, ffi = library._real, library._ffi
    repository = Repository()  # in memory
    remote = ffi.new("git_remote **")
    if real.git_remote_create_anonymous(remote, repository._repo, ffi.new("char[]", url)) == 0:
        nothing = ffi.NULL
        real.git_remote_connect(remote[0], real.GIT_DIRECTION_FETCH, nothing, nothing, nothing)
        real.git_remote_free(remote[0])


def _lowest(data: bytes) -> int:
    """Return the lowest version that a ClientHello offers; 0 if the data is not one."""
    from tlsfloor.wire import ClientHello, Handshake, Messages, WireError
    from tlsfloor.wire.extensions import is_grease

    stream = Messages()
    stream.feed(data)
    try:
        first = stream.read()
        if not isinstance(first, Handshake):
            return 0
        # Without that extension it offers every version up to TLS 1.2 (RFC 8446, 4.2.1).
        listed = ClientHello.parse(first.body).supported_versions() or []
    except WireError:
        return 0
    return min((version for version in listed if not is_grease(version)), default=0)
