"""What the verifier tries: role x library x setup of the context x TLS version x key exchange.

All of it is data. The versions that the floor allows are tried as well. They are the positive
controls: a refusal proves nothing unless the same program reached the same kind of peer.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlsfloor import versions
from tlsfloor.versions import FLOORS, SSL3, TLS1_0, TLS1_1, TLS1_2

#: The versions that the peers speak.
VERSIONS = (SSL3, *FLOORS.values())

#: Setups of a program that asks for no version. If one of them connects below the floor, that is a
#: leak. Any other setup shows that the floor can be lowered.
DEFAULT_SETUPS = frozenset(
    {"default", "PROTOCOL_TLS", "PROTOCOL_TLS_CLIENT", "PROTOCOL_TLS_SERVER"}
)

#: Setups for one fixed version, which only a peer of that version can accept.
FIXED_VERSIONS = {
    f"{name}{level}": version
    for name, version in (
        ("PROTOCOL_SSLv3", SSL3),
        ("PROTOCOL_TLSv1", TLS1_0),
        ("PROTOCOL_TLSv1_1", TLS1_1),
        ("PROTOCOL_TLSv1_2", TLS1_2),
    )
    for level in ("", ", @SECLEVEL=0")
}

_SSL = (
    *("default", "PROTOCOL_TLS", "lowered", "MINIMUM_SUPPORTED", "lowered, @SECLEVEL=0"),
    *FIXED_VERSIONS,
)

_LIBRARIES = ("urllib3", "requests", "botocore", "redis", "aiohttp", "httpx", "OpenSSL", "pycurl")

#: The kinds of key exchange that each version below a floor is tried with. OpenSSL at its default
#: security level refuses TLS 1.0 with ECDHE, which needs a SHA-1 signature, and accepts it with
#: static RSA, which needs none.
KEY_EXCHANGES = ("rsa", "ecdhe")

#: The key exchange of a case in which only hellos are exchanged.
ANY = "any"

# Libraries with a protocol of their own. Their peers speak it: see ``tlsfloor.peers.protocols``.
_OTHER_PROTOCOLS = {
    # libpq has no setting for cipher suites.
    **dict.fromkeys(("psycopg", "psycopg2"), ("default", "lowered")),
    # For librdkafka, the suites decide about the version: it has no setting for a minimum.
    **dict.fromkeys(("MySQLdb", "ldap", "confluent_kafka"), ("default", "lowered, @SECLEVEL=0")),
    # A program cannot ask for a version. GRPC_SSL_CIPHER_SUITES is read once in a process.
    "grpc": ("default",),
    # libgit2 has no setting for a minimum either.
    "pygit2": ("default", "lowered, @SECLEVEL=0"),
}

#: (role, library) -> the setups that are tried. A library is the module that a program imports:
#: OpenSSL is pyOpenSSL, MySQLdb is mysqlclient. What comes after httpx does not use the module ssl.
SETUPS = {
    ("client", "ssl"): (*_SSL, "PROTOCOL_TLS_CLIENT"),
    ("server", "ssl"): (*_SSL, "PROTOCOL_TLS_SERVER"),
    **{("client", library): ("default", "lowered, @SECLEVEL=0") for library in _LIBRARIES},
    ("client", "awscrt"): ("default", "lowered"),  # s2n has no security levels
    **{("client", library): setups for library, setups in _OTHER_PROTOCOLS.items()},
}

#: Libraries that are not tried by hellos. After a handshake that fails, s2n waits for up to 30 s.
#: (It calls that blinding.) The others have to speak their protocol first, or try again for ever.
HANDSHAKES_ONLY = frozenset({"awscrt", *_OTHER_PROTOCOLS})


@dataclass(frozen=True)
class Case:
    """One thing to try.

    ``library`` is a key of ``SETUPS``, ``setup`` how the program sets up its context, and
    ``version`` the wire number of the only version that the peer speaks.
    """

    role: str
    library: str
    setup: str
    version: int
    key_exchange: str

    @property
    def id(self) -> str:
        """The name of the case, unique in a run."""
        return f"{self.program} {versions.name(self.version)} {self.key_exchange}"

    @property
    def program(self) -> str:
        """The name of the program that is tried, without the peer."""
        return f"{self.role} {self.library} {self.setup}"


def plan_cases(
    floor: int, roles: tuple[str, ...] = ("client", "server"), *, hello: bool = False
) -> list[Case]:
    """Return every case for a floor: below it with each key exchange, above it with one.

    With ``hello`` there is one case for each version.
    """
    found = []
    for (role, library), setups in SETUPS.items():
        if role not in roles or (hello and library in HANDSHAKES_ONLY):
            continue
        for setup in setups:
            for version in VERSIONS:
                if FIXED_VERSIONS.get(setup, version) != version:
                    continue
                exchanges = KEY_EXCHANGES if version < floor else ("ecdhe",)
                exchanges = (ANY,) if hello else exchanges
                found += [Case(role, library, setup, version, each) for each in exchanges]
    return found
