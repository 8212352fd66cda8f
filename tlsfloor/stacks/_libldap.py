"""One libldap, called by ctypes: what ``ldap.py`` needs of it.

Each function is looked up in the extension module that brought the library, and so found in the
libraries to which that is linked: libldap itself, and below it GnuTLS or OpenSSL. A wheel may have
copies of its own.

A handle of libldap calls a function of ours with each new TLS session, just before its handshake
(``LDAP_OPT_X_TLS_CONNECT_CB``, ldap.h). With GnuTLS that function removes the versions below the
floor from the priorities of the session; with OpenSSL it raises the bounds.
"""

from __future__ import annotations

import ctypes
import socket

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.wire import ClientHello, Handshake, Messages, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# ldap.h
_API_INFO, _CTX, _CIPHER_SUITE, _CONNECT_CB = 0x0000, 0x6001, 0x6008, 0x600C
_NEWCTX, _PACKAGE = 0x600F, 0x6011
_PROTO_TCP = 1  # openldap.h, LDAP_PROTO_TCP

# The releases in which a session begins with that of GnuTLS (struct tlsg_session in tls_g.c): 2.4
# to 2.6, as LDAP_VENDOR_VERSION counts them.
_KNOWN = range(20400, 20700)

# openssl/ssl.h: commands of SSL_ctrl, and SSL_OP_NO_SSLv3 to SSL_OP_NO_TLSv1_3 together.
_SET_MIN, _SET_MAX, _GET_MIN, _GET_MAX = 123, 124, 130, 131
_NO_VERSION = 0x3E000000

# How versions are removed from priorities of GnuTLS (its manual, "Priority strings").
_WITHOUT = {versions.SSL3: "-VERS-SSL3.0"}
_WITHOUT.update({wire: f"-VERS-TLS{name}" for name, wire in versions.FLOORS.items()})

# ldap.h, LDAP_TLS_CONNECT_CB: the handle, its TLS session, its TLS context, and an argument.
# libldap ignores the result.
_CALLBACK: Any = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)


class _ApiInfo(ctypes.Structure):
    """LDAPAPIInfo of ldap.h."""

    _fields_ = (
        ("info_version", ctypes.c_int),
        ("api_version", ctypes.c_int),
        ("protocol_version", ctypes.c_int),
        ("extensions", ctypes.c_void_p),
        ("vendor_name", ctypes.c_void_p),
        ("vendor_version", ctypes.c_int),
    )


class LibLDAP:
    """A libldap with its TLS library.

    Raises:
        GuardError: no way is known to hold a floor on it.
        AttributeError: it lacks a function.
    """

    def __init__(self, lib: Any) -> None:
        self._hold: Any
        self._refuse: Any
        self._lib = lib
        lib.ldap_memvfree.restype = lib.ldap_memfree.restype = None
        self._before = self._get_pointer(_CONNECT_CB)
        release = self._release()
        package = self._get_text(None, _PACKAGE)
        self.name = f"OpenLDAP {release} with {package}"
        if package == "GnuTLS" and release in _KNOWN:
            self._priority_set = lib.gnutls_priority_set_direct
            self._clear = lib.gnutls_credentials_clear
            self._hold, self._refuse = self._hold_gnutls, self._refuse_gnutls
        elif package == "OpenSSL":
            self._ctrl = lib.SSL_ctrl
            self._ctrl.restype = ctypes.c_long
            self._set_options = lib.SSL_set_options
            self._set_options.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
            self._hold, self._refuse = self._hold_openssl, self._refuse_openssl
        else:
            raise GuardError(f"no way is known to hold a floor on {self.name}")
        # A pending signal may raise an exception where Python code begins, and ctypes drops it. So
        # one function does the work, and ctypes calls a second one with its result, which refuses
        # the session if the first did not finish. Both must live as long as a handle: for ever.
        self._done: set[int] = set()
        self._work = _CALLBACK(self._at_connect)
        self._work.errcheck = self._after_connect
        self._callback = _CALLBACK(self._work)
        self._address = ctypes.cast(self._callback, ctypes.c_void_p).value

    def hold(self) -> None:
        """Hold each connection from now on to the floor."""
        if not self.held():
            if self._get_pointer(_CONNECT_CB) != self._before:
                raise GuardError(f"other code has set the connect callback of {self.name}")
            self._set(None, _CONNECT_CB, self._callback)

    def held(self) -> bool:
        """Return whether libldap calls the guard."""
        return self._get_pointer(_CONNECT_CB) == self._address

    def release(self) -> None:
        """Restore the earlier callback. Handles made meanwhile still call the guard."""
        if self.held():
            self._set(None, _CONNECT_CB, ctypes.c_void_p(self._before))

    def offered(self) -> int:
        """Return the lowest version that a new connection offers, 0 if none can be read.

        libldap sends a ClientHello into a socket pair, and gets no answer.
        """
        ours, its = socket.socketpair()
        with ours:
            ours.shutdown(socket.SHUT_WR)
            handle = ctypes.c_void_p()
            # libldap closes the socket with the handle.
            problem = self._lib.ldap_init_fd(
                its.detach(), _PROTO_TCP, b"ldap://localhost", ctypes.byref(handle)
            )
            if problem:
                raise GuardError(f"{self.name} cannot make a handle: error {problem}")
            # A context of its own: the program may not have configured the global one yet.
            self._set(handle, _NEWCTX, ctypes.byref(ctypes.c_int(0)))
            before = dict(current.counts)
            self._lib.ldap_install_tls(handle)
            self._lib.ldap_unbind_ext(handle, None, None)
            current.counts.update(before)
            stream = Messages()
            while True:
                data = ours.recv(2**14)
                if not data:
                    return 0
                stream.feed(data)
                try:
                    first = stream.read()
                    if isinstance(first, Handshake):
                        return min(ClientHello.parse(first.body).versions())
                except WireError as error:
                    raise GuardError(f"{self.name} sends no ClientHello: {error}") from error

    def _at_connect(self, handle: int, session: int, context: int, _argument: int) -> int:
        if current.is_held():
            self._hold(handle, session, context)
        self._done.add(session)
        return 0

    def _after_connect(self, result: int, _function: Any, arguments: tuple[Any, ...]) -> int:
        # After an exception CPython 3.8 returns a random result, so only ``_done`` is reliable.
        session = arguments[1]
        if session not in self._done:
            self._refuse(session)
            current.counts["refused"] += 1
        self._done.discard(session)
        return result

    def _hold_openssl(self, _handle: int, session: int, _context: int) -> None:
        for get, put in ((_GET_MIN, _SET_MIN), (_GET_MAX, _SET_MAX)):
            bound = self._ctrl(ctypes.c_void_p(session), get, ctypes.c_long(0), None)
            if bound < current.held and not (get == _GET_MAX and bound == 0):  # 0 is no maximum
                floor = ctypes.c_long(current.held)
                if not self._ctrl(ctypes.c_void_p(session), put, floor, None):
                    raise GuardError(f"{self.name} did not accept the floor")
                current.counts["raised"] += 1

    def _refuse_openssl(self, session: int) -> None:
        self._set_options(session, _NO_VERSION)

    def _hold_gnutls(self, handle: int, session: int, context: int) -> None:
        without = [text for version, text in _WITHOUT.items() if version < current.held]
        asked = self._suite(handle, context)
        # If nothing is left of what the program asks for, add the floor itself.
        lowest = _WITHOUT[current.held].replace("-", "+", 1)
        for priorities in ([asked, *without], [asked, *without, lowest]):
            text = ":".join(priorities).encode()
            if self._priority_set(_gnutls_session(session), text, None) == 0:
                current.counts["clamped" if asked != "NORMAL" else "raised"] += 1
                return
        raise GuardError(f"{self.name} did not accept the floor")

    def _refuse_gnutls(self, session: int) -> None:
        # Without credentials no handshake succeeds; if one did, it would not be below the floor.
        without = [text for version, text in _WITHOUT.items() if version < current.held]
        self._clear(_gnutls_session(session))
        self._priority_set(_gnutls_session(session), ":".join(["NORMAL", *without]).encode(), None)

    def _suite(self, handle: int, context: int) -> str:
        """Return the priorities that GnuTLS was given for a handle; its default is NORMAL."""
        own = self._get_text(ctypes.c_void_p(handle), _CIPHER_SUITE)
        common = self._get_text(None, _CIPHER_SUITE) if own is None else None
        # Asking for the context leaks a reference to it, so it is asked for only if needed.
        if common is not None and self._get_pointer(_CTX) == context:
            return common
        return own or "NORMAL"

    def _set(self, handle: Any, option: int, value: Any) -> None:
        if self._lib.ldap_set_option(handle, option, value):
            raise GuardError(f"{self.name} rejects its option {option:#x}")

    def _get(self, handle: Any, option: int, value: Any) -> Any:
        if self._lib.ldap_get_option(handle, option, ctypes.byref(value)):
            raise GuardError(f"this libldap does not know its option {option:#x}")
        return value

    def _get_pointer(self, option: int) -> int | None:
        pointer: int | None = self._get(None, option, ctypes.c_void_p()).value
        return pointer

    def _get_text(self, handle: Any, option: int) -> str | None:
        value = self._get(handle, option, ctypes.c_void_p())
        if value.value is None:
            return None
        try:
            return ctypes.string_at(value.value).decode("utf-8", "surrogateescape")
        finally:
            self._lib.ldap_memfree(value)

    def _release(self) -> int:
        info = self._get(None, _API_INFO, _ApiInfo(info_version=1))
        self._lib.ldap_memfree(ctypes.c_void_p(info.vendor_name))
        self._lib.ldap_memvfree(ctypes.c_void_p(info.extensions))
        return int(info.vendor_version)


def _gnutls_session(session: int) -> ctypes.c_void_p:
    """Return the session of GnuTLS, with which a session of libldap begins."""
    return ctypes.c_void_p.from_address(session)
