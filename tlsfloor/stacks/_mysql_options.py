"""Asks libmariadb by ctypes for the ``tls-version`` of a connection; makes option files with one.

What a program asks for comes from many places: an argument, a connection string, option files that
include others, groups of options. So libmariadb itself is asked for the result.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# libmariadb, include/mysql.h
_READ_DEFAULT_FILE, _READ_DEFAULT_GROUP, _TLS_VERSION, _TLS_LIBRARY = 4, 5, 7005, 22

# The names in ``tls-version`` (libmariadb, ma_tls_version_options); unknown ones are ignored.
NAMES = {wire: f"TLSv{name}" for name, wire in versions.FLOORS.items()}

# The oldest version of libmysqlclient, MySQL's own library, that speaks 1.2 and 1.3 only (MySQL
# 8.0.28, release notes).
_OLDEST = (8, 0, 28)


def is_new(version: str) -> bool:
    """Return whether a libmysqlclient of this version refuses TLS 1.0 and 1.1 by itself."""
    # 8.0.36-28 is one of Percona's, 8.4.0-commercial one of Oracle's.
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) >= _OLDEST


def has_new_libmysqlclient(module: str) -> bool:
    """Return whether a C module is linked to such a version of MySQL's own library."""
    library = ctypes.CDLL(module)
    if not hasattr(library, "mysql_real_connect_nonblocking"):  # MariaDB's never had it
        return False
    library.mysql_get_client_info.restype = ctypes.c_char_p
    return is_new((library.mysql_get_client_info() or b"").decode(errors="replace"))


class LibMariaDB:
    """The libmariadb that a C module is linked to.

    Raises:
        AttributeError: it is not linked to one, or not to one that can be asked.
        OSError: it is not a C module.
    """

    def __init__(self, module: str) -> None:
        library = ctypes.CDLL(module)  # also finds the functions that the module is linked to
        self._info, self._get = library.mariadb_get_infov, library.mysql_get_optionv
        self._init, self._set = library.mysql_init, library.mysql_options
        self._connect, self._close = library.mysql_real_connect, library.mysql_close
        self._init.restype = self._connect.restype = ctypes.c_void_p

    def problem(self, floor: int) -> str:
        """Return why an option file cannot hold the floor; empty if it can."""
        # Asking starts the library, which knows its TLS library only then.
        twice = self.asked("[client]\ntls-version=TLSv1.2\n[client]\ntls-version=TLSv1.3\n")
        if twice != "TLSv1.3":
            return "libmariadb does not take the last tls-version from an option file"
        return self._lacks(floor)

    def _lacks(self, floor: int) -> str:
        value = ctypes.c_char_p()
        self._info(None, _TLS_LIBRARY, ctypes.byref(value))
        tls = (value.value or b"no TLS").decode(errors="replace")
        found = re.match(r"OpenSSL (\d+)\.(\d+)\.(\d+)", tls)
        if not found:
            return f"tls-version was never tested with {tls}"
        # An unknown version alone would set no limit at all (libmariadb, ma_tls_version_options).
        if floor > versions.TLS1_2 and [int(part) for part in found.groups()] < [1, 1, 1]:
            return f"{tls} does not speak {versions.name(floor)}"
        return ""

    def asked(self, options: str, group: Any = None, version: Any = None) -> str:
        """Return the ``tls-version`` that a connection with these would have; empty if none."""
        handle = ctypes.c_void_p(self._init(None))
        # It reads the options, and then refuses a protocol that it does not know, before it makes
        # any connection (libmariadb, mthd_my_real_connect).
        with MemoryFile(f"{options}[client]\nprotocol=9\n") as path:
            if version is not None:
                self._set(handle, _TLS_VERSION, os.fsencode(version))
            self._set(handle, _READ_DEFAULT_FILE, os.fsencode(path))
            if group is not None:
                self._set(handle, _READ_DEFAULT_GROUP, os.fsencode(group))
            nowhere = (b"localhost", b"", b"", None, 1, b"/dev/null", ctypes.c_ulong(0))
            connected = self._connect(handle, *nowhere)
        value = ctypes.c_char_p()
        self._get(handle, _TLS_VERSION, ctypes.byref(value))
        found = (value.value or b"").decode(errors="replace")
        self._close(handle)
        if connected:
            raise GuardError("libmariadb connected when it was only asked for its options")
        return found

    def floored(
        self, floor: int, file: Any, group: Any, host: Any = None, version: Any = None
    ) -> str:
        """Return an option file that includes the one asked for, and ends with the floor.

        It is empty if libmariadb would not hold the floor after reading it. A list of versions that
        is stricter than the floor is kept.
        """
        if self._lacks(floor):
            return ""
        # An include without a name includes the usual files, which are also read for a group alone.
        include = "" if file is None and group is None else f"!include {file or ''}\n"
        string = f"[client]\nconnection={host}\n" if set("=;") & set(host or "") else ""
        asked = self.asked(string + include, group, version)
        # As libmariadb does: a name may stand anywhere in the text.
        names = [name for wire, name in NAMES.items() if wire >= floor]
        kept = [name for name in names if name in asked] or names
        if any(name in asked for name in NAMES.values() if name not in names):
            current.counts["clamped"] += 1
        elif kept == names:
            current.counts["raised"] += 1
        wanted = ",".join(kept)
        options = f"{include}[client]\ntls-version={wanted}\n"
        return options if self.asked(options, group, version) == wanted else ""


class MemoryFile:
    """A file in memory, for one reader of its name."""

    _file: int

    def __init__(self, text: str) -> None:
        self._text = os.fsencode(text)

    def __enter__(self) -> str:
        if sys.platform == "win32":  # where no C module exports the functions of libmariadb
            raise NotImplementedError
        if hasattr(os, "memfd_create"):
            self._file = os.memfd_create("tlsfloor")
            os.write(self._file, self._text)
            return f"/dev/fd/{self._file}"
        # Elsewhere a pipe: it must not block, and its writing end must be closed before a fork.
        self._file, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            if os.write(writer, self._text) < len(self._text):
                raise BlockingIOError("these options are longer than a pipe")
        finally:
            os.close(writer)
        return f"/dev/fd/{self._file}"

    def __exit__(self, *exc: object) -> None:
        os.close(self._file)
