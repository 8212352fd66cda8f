"""Exemptions: the operator's data that lets single connections of a client go below the floor.

``TLSFLOOR_EXEMPTIONS`` names a TOML file. Each entry has a host, the lowest version, a reason and a
last day. An entry that lacks one of these, or is expired, does not apply, and tlsfloor reports it.
An exemption cancels what the floor did to a connection and changes nothing else: if the program
itself asks for a higher version, it gets that.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import time
from collections import namedtuple

from tlsfloor import _safe_open, versions
from tlsfloor.errors import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The exemptions of the file.
known: list[Exemption] = []

#: What in the file does not apply, and why: a line each.
problems: list[str] = []


class Exemption(  # typing is expensive to import
    namedtuple("Exemption", "host port minimum reason expires")  # noqa: PYI024
):
    """An entry of the file: the host and port (None for any), lowest version, reason, last day.

    The last day on which it applies is a day in UTC.
    """

    __slots__ = ()

    def days_left(self) -> int:
        """Return how many days it applies after today; below zero if it is expired."""
        import datetime as dt

        today = dt.datetime.fromtimestamp(time.time(), dt.timezone.utc).date()
        return (dt.date.fromisoformat(self.expires) - today).days

    def matches(self, name: str, address: str, port: int | None) -> bool:
        """Tell whether it is for a server of this name, or at this address, and port."""
        if self.port is not None and self.port != port:
            return False
        if self.host.startswith("*."):
            return name.endswith(self.host[1:]) and len(name) > len(self.host) - 1
        return self.host in (name, address)

    def why(self) -> str:
        """Return the reason, and until when it applies."""
        return f"{self.reason}; until {self.expires}"

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as JSON types, and how many days are left."""
        left = self.days_left()
        minimum = versions.floor_name(self.minimum)
        return {**self._asdict(), "minimum": minimum, "days_left": left, "applies": left >= 0}


def load(path: str, *, installed: bool) -> None:
    """Read the file, once for this process; print on stderr what in it does not apply.

    Nothing in it applies if a floor is ``installed``: no variable lowers that one.
    """
    known[:], problems[:] = _read_file(path)
    if known:
        _is_address("")  # imports what the program may be unable to import after a chroot()
    if installed:
        known.clear()
        problems[:] = [f"no exemption of {path} applies: an installed floor has none"]
    problems.extend(
        f"the exemption of {exemption.host} does not apply: it expired on {exemption.expires}"
        for exemption in known
        if exemption.days_left() < 0
    )
    for problem in problems:
        say(f"tlsfloor: error: {problem}")


def exemption_for(name: object, address: object, port: int | None) -> Exemption | None:
    """Return the exemption of a server, expired or not; of several the one that lasts longest."""
    host = _normalized(name)
    found = [
        exemption for exemption in known if exemption.matches(host, _normalized(address), port)
    ]
    return max(found, key=lambda exemption: exemption.expires, default=None)


def _normalized(host: object) -> str:
    """Return a name or an address in the form in which hosts are compared."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    text = text.lower().rstrip(".")
    if ":" in text:  # only an IPv6 address has several forms, and a zone (RFC 4007, section 11)
        import ipaddress

        try:
            found = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return text
        return str(getattr(found, "ipv4_mapped", None) or found)
    return text


def _read_file(path: str) -> tuple[list[Exemption], list[str]]:
    """Return the exemptions of a file, and what in it does not apply."""
    try:
        data = _parse_toml(_read_safely(path))
    except (OSError, ImportError, ValueError) as error:  # a TOMLDecodeError is a ValueError
        why = getattr(error, "strerror", None) or error  # its text would name the path again
        return [], [f"no exemption can be read from {path}: {why}"]
    except RecursionError:
        return [], [f"no exemption can be read from {path}: it is nested too deeply"]
    others = [name for name in data if name != "exemption"]
    entries = data.get("exemption", [])
    if others or not isinstance(entries, list):
        has = f"it has {', '.join(others) or 'one exemption'}, where [[exemption]] is meant"
        return [], [f"no exemption of {path} applies: {has}"]
    found, wrong = [], []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(_parse_entry(entry))
        except ValueError as error:  # noqa: PERF203 - a file has few of them
            wrong.append(f"exemption {number} of {path} does not apply: {error}")
    return found, wrong


def _read_safely(path: str) -> str:
    """Return the text of a file; raise ValueError if other users can change it."""
    descriptor = _safe_open.open_nonblocking(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is not a regular file")
        if _safe_open.everyone_may_write(descriptor):
            raise ValueError(f"everyone may write it; hint: chmod o-w {path}")
        place, owner = os.path.realpath(path), facts.st_uid
        # A user who may replace a folder may also replace what is in it.
        while place != os.path.dirname(place):
            folder = os.path.dirname(place)
            if _safe_open.everyone_may_replace(folder, owner):
                sticky = os.stat(folder).st_mode & stat.S_ISVTX
                hint = f"move it out of {folder}" if sticky else f"chmod o-w {folder}"
                raise ValueError(f"everyone may replace it; hint: {hint}")
            place, owner = folder, os.stat(folder).st_uid
        with open(descriptor, "rb", closefd=False) as file:
            return file.read().decode()
    finally:
        os.close(descriptor)


def _parse_toml(text: str) -> Any:
    from importlib import import_module

    return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)


def _parse_entry(entry: object) -> Exemption:
    """Return an entry of the file as an exemption; raise ValueError for each kind of error."""
    if not isinstance(entry, dict):
        raise ValueError("it is not a table")  # noqa: TRY004 - one error for all that is wrong
    for key in entry:
        if key not in Exemption._fields:
            import difflib

            near = difflib.get_close_matches(key, Exemption._fields)
            raise ValueError(f"unknown key {key!r}" + (f"; did you mean {near[0]}" if near else ""))
    for key in ("host", "minimum", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ValueError(f"it has no {key}")
    host, port = _parse_host(entry["host"].strip()), entry.get("port")
    if port is not None and (type(port) is not int or not 0 < port < 2**16):
        raise ValueError(f"{port!r} is not a port")
    minimum = versions.parse(entry["minimum"])
    return Exemption(host, port, minimum, entry["reason"].strip(), _parse_day(entry.get("expires")))


def _parse_host(text: str) -> str:
    """Return an address, a name or a suffix of names in the form in which hosts are compared."""
    host = _normalized(text)
    if "*" in host and (not host.startswith("*.") or host.count("*") > 1 or host.count(".") < 2):
        raise ValueError(f"{host!r} is too wide: write a host, or *.suffix of two parts or more")
    if not host.isascii():  # a connection has the form on the wire (RFC 5891, section 4.4)
        with contextlib.suppress(UnicodeError):
            host = host.encode("idna").decode("ascii")
    labels = host.split(".")[host.startswith("*.") :]
    is_name = all(re.fullmatch("[a-z0-9_-]+", label) for label in labels)
    if not (is_name and not labels[-1].isdigit()) and not _is_address(host):
        raise ValueError(f"{text!r} is not a host: write a name or an address, and no port")
    return host


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _parse_day(value: object) -> str:
    """Return a day in the format of ISO 8601."""
    import datetime as dt

    if value is None:
        raise ValueError("it has no expires")
    try:
        return dt.date.fromisoformat(str(value)).isoformat()  # this refuses a time of day, too
    except ValueError:
        raise ValueError(f"{value} is not a day: write expires = 2027-03-31") from None
