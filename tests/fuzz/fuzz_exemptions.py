"""Fuzz the operator's file: no bytes give an exemption that the file does not say, or an error.

In full: each exemption is that of an entry with a host, a minimum, a reason and a last day, and
each other entry is a problem, of one line. It matches the host that the entry names, and no host
that only begins or ends as it does.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import sys

from tlsfloor import exemptions
from tlsfloor.errors import printable
from tlsfloor.startup.legacy import parse_floor

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def entries_of(data):
    """Return the entries of a file; None if nothing in it can be an exemption."""
    try:
        found = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    entries = found.pop("exemption", [])
    return None if found or not isinstance(entries, list) else entries


def same_host(host, text):
    """Return whether a host is the one of this text."""
    text = text.strip().rstrip(".")
    try:
        return ipaddress.ip_address(host) == address_of(text)
    except ValueError:
        known = text if text.isascii() else text.lower().encode("idna").decode("ascii")
        return host == known.lower()


def address_of(text):
    found = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    return getattr(found, "ipv4_mapped", None) or found


def says(entry, exemption):
    """Return whether an entry of the file says what an exemption says."""
    expires = entry["expires"]
    if not isinstance(expires, dt.date):
        expires = dt.date.fromisoformat(str(expires))
    return (
        {*entry} <= {"host", "port", "minimum", "reason", "expires"}
        and same_host(exemption.host, entry["host"])
        and exemption.port == entry.get("port")
        and exemption.port in (None, *range(1, 65536))
        and exemption.minimum == parse_floor(entry["minimum"], "")
        and exemption.reason == entry["reason"].strip() != ""
        and exemption.expires == expires.isoformat()
    )


def check_matches(exemption):
    """Check that an exemption is for its host and no other."""
    host, port = exemption.host, exemption.port or 443
    assert exemption == exemptions._parse_entry(
        {**exemption._asdict(), "minimum": f"1.{exemption.minimum - 0x301}", "port": port}
    )._replace(port=exemption.port)
    is_suffix = host.startswith("*.")
    name = "a" + host[1:] if is_suffix else host
    exemptions.known[:] = [exemption]
    try:
        assert exemptions.exemption_for(f"{name}.".upper(), "", port) == exemption
        for other in ("", name[1:] or "b", f"{name}x", f"x{name}" * (not is_suffix)):
            if "*" not in other and not other.rstrip(".") == host:
                found = exemptions.exemption_for(other, other, port)
                assert not found or is_suffix and other.endswith(host[1:]), other
        assert not exemptions.exemption_for(host[2:] if is_suffix else f"*.{host}", "", port)
        assert exemption.port is None or not exemptions.exemption_for(name, name, port - 1)
    finally:
        exemptions.known.clear()


def one_input(data):
    """Check the invariant on one file."""
    exemptions._read_safely = lambda _: data.decode()  # a file would make it ten times slower
    found, problems = exemptions._read_file("exemptions.toml")
    for problem in problems:
        assert printable(problem).isprintable(), problem
    entries = entries_of(data)
    if entries is None:
        assert not found
        assert len(problems) == 1
        return
    assert len(found) + len(problems) == len(entries)
    rest = iter(entries)
    for exemption in found:
        assert any(_says(entry, exemption) for entry in rest), exemption
        check_matches(exemption)


def _says(entry, exemption):
    try:
        return says(entry, exemption)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
