"""What is tried: role x library x the way a program makes its context x version x key exchange.

All of it is data. The versions that the floor allows are tried too: they are the positive controls,
the same program against the same kind of peer, and without one that succeeds a refusal proves
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlsfloor import versions
from tlsfloor.versions import FLOORS, SSL3, TLS1_0, TLS1_1, TLS1_2

#: The versions that a peer can speak, SSL 3.0 included: its whole ladder.
VERSIONS = (SSL3, *FLOORS.values())

#: What a program does that has never heard of versions. A connection below the floor here is a
#: leak; in any other way it shows that the floor can be lowered.
ASKS_NOTHING = frozenset({"default", "PROTOCOL_TLS", "PROTOCOL_TLS_CLIENT", "PROTOCOL_TLS_SERVER"})

#: A fixed version is asked for by these, and can be met by that version alone.
FIXED = {
    f"{name}{more}": version
    for name, version in (
        ("PROTOCOL_SSLv3", SSL3),
        ("PROTOCOL_TLSv1", TLS1_0),
        ("PROTOCOL_TLSv1_1", TLS1_1),
        ("PROTOCOL_TLSv1_2", TLS1_2),
    )
    for more in ("", ", @SECLEVEL=0")
}

_WAYS = ("default", "PROTOCOL_TLS", "lowered", "MINIMUM_SUPPORTED", "lowered, @SECLEVEL=0", *FIXED)

#: The kinds of key exchange that each version below a floor is tried with.
KEY_EXCHANGES = ("rsa", "ecdhe")

#: What stands in their place where only hellos are exchanged: the version is all that is asked.
ANY = "any"

#: (role, library) -> the ways in which it is tried.
WAYS = {
    ("client", "ssl"): (*_WAYS, "PROTOCOL_TLS_CLIENT"),
    ("server", "ssl"): (*_WAYS, "PROTOCOL_TLS_SERVER"),
    ("client", "urllib3"): ("default", "lowered, @SECLEVEL=0"),
    ("client", "requests"): ("default", "lowered, @SECLEVEL=0"),
    ("client", "botocore"): ("default", "lowered, @SECLEVEL=0"),
    ("client", "redis"): ("default", "lowered, @SECLEVEL=0"),
    ("client", "aiohttp"): ("default", "lowered, @SECLEVEL=0"),
    ("client", "httpx"): ("default", "lowered, @SECLEVEL=0"),
    # Not through ssl: pyOpenSSL, libcurl, and the AWS Common Runtime, which has no security level.
    ("client", "OpenSSL"): ("default", "lowered, @SECLEVEL=0"),
    ("client", "pycurl"): ("default", "lowered, @SECLEVEL=0"),
    ("client", "awscrt"): ("default", "lowered"),
}


#: What is not tried by hellos: s2n waits up to 30 s after a handshake that fails ("blinding").
HANDSHAKES_ONLY = frozenset({"awscrt"})


@dataclass(frozen=True)
class Case:
    """One thing to try; ``version`` is a wire number, ``via`` a library, ``way`` the probe's."""

    role: str
    via: str
    way: str
    version: int
    key_exchange: str

    @property
    def id(self) -> str:
        """A name that is unique in a run, and says everything."""
        return f"{self.subject} {versions.name(self.version)} {self.key_exchange}"

    @property
    def subject(self) -> str:
        """Whose case it is: the same program, whatever the peer."""
        return f"{self.role} {self.via} {self.way}"

    @property
    def asks_nothing(self) -> bool:
        """Whether the program asks for no version at all."""
        return self.way in ASKS_NOTHING


def plan(
    floor: int, roles: tuple[str, ...] = ("client", "server"), *, hello: bool = False
) -> list[Case]:
    """Return every case for a floor (a wire number): below it each key exchange, above it one.

    For ``hello`` evidence there is one for each version.
    """
    found = []
    for (role, via), ways in WAYS.items():
        if hello and via in HANDSHAKES_ONLY:
            continue
        for way in ways if role in roles else ():
            for version in VERSIONS:
                if FIXED.get(way, version) != version:
                    continue
                exchanges = KEY_EXCHANGES if version < floor else ("ecdhe",)
                exchanges = (ANY,) if hello else exchanges
                found += [Case(role, via, way, version, exchange) for exchange in exchanges]
    return found
