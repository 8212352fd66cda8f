"""TLS versions: the number on the wire, and the names people give it.

All of tlsfloor compares wire numbers (RFC 8446 section 4.1.2 and its predecessors: 0x0301 is
TLS 1.0, 0x0304 is TLS 1.3). Do not rely on the names of constants: ``ssl.PROTOCOL_TLSv1`` does not
exist with some OpenSSLs, and ``ssl.HAS_TLSv1`` describes the library that Python was built with,
not the one that was loaded.
"""

from __future__ import annotations

SSL2 = 0x0200
SSL3 = 0x0300
TLS1_0 = 0x0301
TLS1_1 = 0x0302
TLS1_2 = 0x0303
TLS1_3 = 0x0304

#: Every floor, as tlsfloor writes it -> its wire number.
FLOORS = {"1.0": TLS1_0, "1.1": TLS1_1, "1.2": TLS1_2, "1.3": TLS1_3}

#: What ``SSLSocket.version()`` returns, the names of OpenSSL's ``SSL_get_version`` -> wire number.
OPENSSL_NAMES = {
    "SSLv2": SSL2,
    "SSLv3": SSL3,
    "TLSv1": TLS1_0,
    "TLSv1.1": TLS1_1,
    "TLSv1.2": TLS1_2,
    "TLSv1.3": TLS1_3,
}

_NAMES = {SSL2: "SSLv2", SSL3: "SSLv3", **{wire: f"TLS {floor}" for floor, wire in FLOORS.items()}}

# Every spelling that parse() accepts, in lower case. "VersionTLS12" is the name in Go, Kubernetes
# and OpenShift; "TLSv1.2" is OpenSSL's; "TLSv1_2" is the name of a member of ssl.TLSVersion.
_SPELLINGS = {
    spelling.format(floor, floor.replace(".", ""), floor.replace(".", "_")): wire
    for floor, wire in FLOORS.items()
    for spelling in ("{0}", "tlsv{0}", "tls {0}", "tls{0}", "tlsv{2}", "versiontls{1}")
}
_SPELLINGS["tlsv1"] = TLS1_0


def name(wire: int) -> str:
    """Return a wire number as a person reads it: ``"TLS 1.2"``; an unknown one as ``"0x7a7a"``."""
    return _NAMES.get(wire, f"0x{wire:04x}")


def bound_name(bound: int) -> str:
    """Return a minimum of ``ssl``, which may be MINIMUM_SUPPORTED, as a person reads it."""
    return "any version" if bound < 0 else name(bound)


def floor_name(wire: int) -> str:
    """Return a floor as a policy writes it: ``"1.2"`` for 0x0303."""
    return name(wire).replace("TLS ", "")


def protocol(name: str) -> tuple[str, str]:
    """Return what OpenTelemetry calls the name and version: ``("tls", "1.2")`` for "TLS 1.2"."""
    family, number = name[:3].lower(), name[3:].lstrip(" v")
    return (family, number) if family in ("tls", "ssl") else ("_OTHER", "_OTHER")


def parse(value: object) -> int:
    """Return the wire number of a TLS version from 1.0 to 1.3.

    Accepts ``"1.2"``, ``"TLSv1.2"``, ``"TLS 1.2"`` and ``"VersionTLS12"`` in any case, and
    ``ssl.TLSVersion.TLSv1_2``, which is an int and the wire number itself.

    Raises:
        ValueError: the value is no such version; the text of the error contains it.
    """
    if isinstance(value, str):
        wire = _SPELLINGS.get(value.strip().lower())
    elif isinstance(value, int):
        wire = int(value) if value in _SPELLINGS.values() else None
    else:
        raise ValueError(  # noqa: TRY004 - one error for all that is no version
            f"{value!r} is of type {type(value).__name__}, not a TLS version"
        )
    if wire is None:
        raise ValueError(f"{value!r} is not a TLS version" if value != "" else "it is empty")
    return wire
