"""Exemptions: the operator's data that lets one connection of a client go below the floor.

``TLSFLOOR_EXEMPTIONS`` names a file in TOML. Each entry says for whom, down to which version, why
and until when; one that does not, or is expired, does not apply, and that is said. An exemption
undoes what the floor did to a connection and nothing else: a program that asks for more by itself
gets more.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import time

from tlsfloor import _paths, versions
from tlsfloor.errors import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYS = ("host", "port", "minimum", "reason", "expires")

#: What is exempted, as the file has it.
known: list[Exemption] = []

#: What does not apply, and why: a line each.
problems: list[str] = []


class Exemption:
    """For whom (``port`` is None for any), down to which version, why, and until which day.

    The day, in UTC, is the last one on which it applies.

    .. versionadded:: 0.1
    """

    __slots__ = ("expires", "host", "minimum", "port", "reason")

    def __init__(
        self, host: str, port: int | None, minimum: int, reason: str, expires: str
    ) -> None:
        self.host = host
        self.port = port
        self.minimum = minimum
        self.reason = reason
        self.expires = expires

    def days_left(self) -> int:
        """Return how many days it applies after today; below zero when it is expired."""
        import datetime as dt

        today = dt.datetime.fromtimestamp(time.time(), dt.timezone.utc).date()
        return (dt.date.fromisoformat(self.expires) - today).days

    def is_for(self, name: str, address: str, port: int | None) -> bool:
        """Tell whether it is about a server of this name, or at this address, and port."""
        if self.port is not None and self.port != port:
            return False
        if self.host.startswith("*."):
            return name.endswith(self.host[1:]) and len(name) > len(self.host) - 1
        return self.host in (name, address)

    def as_dict(self) -> dict[str, Any]:
        """Return what it says as JSON types, and how many days are left."""
        left = self.days_left()
        minimum = versions.floor_name(self.minimum)
        facts = {"host": self.host, "port": self.port, "minimum": minimum, "reason": self.reason}
        return {**facts, "expires": self.expires, "days_left": left, "applies": left >= 0}


def load(path: str, *, installed: bool) -> None:
    """Read the file, once for this process; say on stderr what of it does not apply.

    Nothing of it does where a floor is ``installed``: no variable lowers that one.

    .. versionadded:: 0.1
    """
    known[:], problems[:] = _read(path)
    if known:
        _is_address("")  # loads what a program can load no more that has another root by then
    if installed:
        known[:], problems[:] = (
            [],
            [f"no exemption of {path} applies: an installed floor has none"],
        )
    problems.extend(
        f"the exemption of {each.host} does not apply: it expired on {each.expires}"
        for each in known
        if each.days_left() < 0
    )
    for problem in problems:
        say(f"tlsfloor: error: {problem}")


def find(name: object, address: object, port: int | None) -> Exemption | None:
    """Return the exemption of a server, expired or not; of several the one that lasts longest.

    .. versionadded:: 0.1
    """
    host = _plain(name)
    here = [each for each in known if each.is_for(host, _plain(address), port)]
    return max(here, key=lambda each: each.expires, default=None)


def _plain(host: object) -> str:
    """Return a name or an address as it is compared."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    text = text.lower().rstrip(".")
    if ":" in text or text[-1:].isdigit():
        import ipaddress

        try:
            # Without its zone, which only an address of IPv6 has (RFC 4007, section 11).
            found = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
        except ValueError:
            return text
        return str(getattr(found, "ipv4_mapped", None) or found)
    return text


def _read(path: str) -> tuple[list[Exemption], list[str]]:
    try:
        entries = _toml().loads(_text(path))
    except (OSError, ImportError, ValueError) as error:  # a TOMLDecodeError is one of the last
        why = getattr(error, "strerror", None) or error  # which would name the path again
        return [], [f"no exemption can be read from {path}: {why}"]
    except RecursionError:
        return [], [f"no exemption can be read from {path}: it is nested too deeply"]
    found, wrong = [], []
    rest = [name for name in entries if name != "exemption"]
    listed = entries.get("exemption", [])
    if rest or not isinstance(listed, list):
        has = f"it has {', '.join(rest) or 'one exemption'}, where [[exemption]] is meant"
        return [], [f"no exemption of {path} applies: {has}"]
    for number, entry in enumerate(listed, 1):
        made = _made(entry)
        if isinstance(made, Exemption):
            found.append(made)
        else:
            wrong.append(f"exemption {number} of {path} does not apply: {made}")
    return found, wrong


def _text(path: str) -> str:
    """Return what is in the file; ValueError where that may be anybody's."""
    descriptor = _paths.open_now(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is not a regular file")
        if _paths.everyone_may_write(descriptor):
            raise ValueError(f"everyone may write it; hint: chmod o-w {path}")
        place, owner = os.path.realpath(path), facts.st_uid
        while place != os.path.dirname(place):  # who may replace a folder may replace what is in it
            folder = os.path.dirname(place)
            if _paths.everyone_may_replace(folder, owner):
                sticky = os.stat(folder).st_mode & stat.S_ISVTX
                hint = f"move it out of {folder}" if sticky else f"chmod o-w {folder}"
                raise ValueError(f"everyone may replace it; hint: {hint}")
            place, owner = folder, os.stat(folder).st_uid
        with open(descriptor, "rb", closefd=False) as file:
            return file.read().decode()
    finally:
        os.close(descriptor)


def _made(entry: object) -> Exemption | ValueError:
    try:
        return _exemption(entry)
    except ValueError as error:
        return error


def _toml() -> Any:
    from importlib import import_module

    return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


def _exemption(entry: object) -> Exemption:
    """Return an entry of the file as an exemption; ValueError for whatever is not right with it."""
    if not isinstance(entry, dict):
        raise ValueError("it is not a table")  # noqa: TRY004 - one error for all that is wrong
    for key in entry:
        if key not in _KEYS:
            import difflib

            near = difflib.get_close_matches(key, _KEYS, 1)
            raise ValueError(f"unknown key {key!r}" + (f"; did you mean {near[0]}" if near else ""))
    for key in ("host", "minimum", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ValueError(f"it has no {key}")
    host, port = _host(entry["host"].strip()), entry.get("port")
    if port is not None and (type(port) is not int or not 0 < port < 2**16):
        raise ValueError(f"{port!r} is not a port")
    minimum = versions.parse(entry["minimum"])
    return Exemption(host, port, minimum, entry["reason"].strip(), _day(entry.get("expires")))


def _host(written: str) -> str:
    """Return a host as it is compared: an address, a name, or a suffix of names."""
    host = _plain(written)
    if "*" in host and (not host.startswith("*.") or "*" in host[1:] or host.count(".") < 2):
        raise ValueError(f"{host!r} is too wide: write a host, or *.suffix of two parts or more")
    if not host.isascii():  # a connection has what is on the wire (RFC 5891, section 4.4)
        with contextlib.suppress(UnicodeError):
            host = host.encode("idna").decode("ascii")
    labels = host.split(".")[host.startswith("*.") :]
    is_name = all(re.fullmatch("[a-z0-9_-]+", each) for each in labels) and not labels[-1].isdigit()
    if not is_name and not _is_address(host):
        raise ValueError(f"{written!r} is not a host: write a name or an address, and no port")
    return host


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _day(value: object) -> str:
    """Return a day as ISO 8601 has it."""
    import datetime as dt

    if value is None:
        raise ValueError("it has no expires")
    try:
        return dt.date.fromisoformat(str(value)).isoformat()  # a time of day is no day either
    except ValueError:
        raise ValueError(f"{value} is not a day: write expires = 2027-03-31") from None
