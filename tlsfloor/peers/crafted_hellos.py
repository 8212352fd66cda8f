"""Crafted hellos: a ClientHello that offers one version, a ServerHello that chooses one.

The rules: the suites are of one kind of key exchange, so an acceptance is of that kind too, except
with ``"any"``. A hello has what the RFC of its version demands, so that a server can go on with the
handshake. Nothing here is sent, and it needs nothing but ``wire``.
"""

from __future__ import annotations

import os

from tlsfloor.versions import SSL3, TLS1_0, TLS1_2, TLS1_3
from tlsfloor.wire import ClientHello, ServerHello, extensions
from tlsfloor.wire.client_hello import TLS_EMPTY_RENEGOTIATION_INFO_SCSV
from tlsfloor.wire.codec import Writer


def _spans(*spans: tuple[int, int]) -> list[int]:
    return [number for low, high in spans for number in range(low, high + 1)]


# For each kind: the suites of every version (RFC 2246 and 5246 appendix A.5, RFC 8422 section 6),
# and those of TLS 1.2 only. "other" is for servers that refuse both usual kinds: Diffie-Hellman in
# finite fields, and anonymous. The lists are short because some middleboxes fail on a hello of more
# than 255 bytes (RFC 7685 section 1). "rare" is for servers that refuse these too: all suites that
# IANA lists, such as those without encryption (0x0001), with pre-shared keys (0x008C) and of CCM.
_SUITES = {
    "rsa": (
        [0x002F, 0x0035, 0x000A, 0x0005, 0x0004, 0x0041, 0x0084, 0x0096, 0x0009],
        [0x009C, 0x009D, 0x003C, 0x003D],
    ),
    "ecdhe": (
        [0xC013, 0xC014, 0xC009, 0xC00A, 0xC012, 0xC008, 0xC011, 0xC007],
        [0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9, 0xC027, 0xC028, 0xC023, 0xC024],
    ),
    "any": ([0x002F, 0x0035, 0xC013, 0xC014], []),
    "other": (
        [0x0033, 0x0039, 0x0016, 0x0032, 0x0038, 0x0013, 0x0045, 0x0088, 0x0034, 0x003A, 0xC018],
        [0x009E, 0x009F, 0xCCAA, 0x0067, 0x006B, 0x00A2, 0x00A3],
    ),
    "rare": (
        _spans((0x0001, 0x003A), (0x0041, 0x0046), (0x0060, 0x0066), (0x0080, 0x009B))
        + _spans((0xC001, 0xC022), (0xC033, 0xC036), (0xC039, 0xC03B)),
        _spans((0x003B, 0x0040), (0x0067, 0x006D), (0x009C, 0x00C5), (0xC023, 0xC032))
        + _spans((0xC037, 0xC038), (0xC03C, 0xC0B3), (0xCC13, 0xCC15), (0xCCA8, 0xCCAE))
        + _spans((0xC100, 0xC106), (0xD001, 0xD005)),
    ),
}
_TLS13_SUITES = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305]

# RFC 8446 section 4.2.7, and X25519MLKEM768; "other" has finite fields, and "rare" brainpool curves
# (RFC 8734) and other numbers of ML-KEM. "any" sends no key share (only x25519 has one here): the
# server asks again, which is an answer that needs no signature.
_X25519 = 0x001D
_GROUPS = [_X25519, 0x0017, 0x0018, 0x0019, 0x001E]
_GROUPS_13 = {
    "ecdhe": [*_GROUPS, 0x11EC],
    "any": [0x0017, 0x0018],
    "other": [0x0100, 0x0101, 0x0102],
    "rare": [0x0103, 0x0104, 0x001F, 0x0020, 0x0021, 0x0200, 0x0201, 0x0202, 0x11EB, 0x11ED],
}
# RFC 8422 section 5.1.1, RFC 4492 section 5.1.1 and RFC 7027 (brainpool).
_GROUPS_12 = {"ecdhe": _GROUPS, "any": _GROUPS, "rare": [*range(0x0001, 0x001F)]}

# RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1: ECDSA, PSS and EdDSA, PKCS #1, SHA-1 and DSA;
# then PSS keys, Ed448, SHA-224, DSA with SHA-2, and brainpool keys (RFC 8734).
_SIGNATURES = [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807]
_SIGNATURES += [0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0202]
_SIGNATURES += [0x0809, 0x080A, 0x080B, 0x0808, 0x0301, 0x0303, 0x0302, 0x0402, 0x0502, 0x0602]
_SIGNATURES += [0x081A, 0x081B, 0x081C]

# RFC 7627 section 5.1: some servers require it.
_EXTENDED_MASTER_SECRET = 23

# RFC 7685: it makes a hello of TLS 1.0 or less with the "rare" suites longer than 511 bytes.
_PADDING = (21, bytes(280))


def client_hello(version: int, key_exchange: str, server_name: str = "") -> bytes:
    """Return the records of a ClientHello that offers one version and one kind of key exchange."""
    suites = suites_of(version, key_exchange)
    more: list[tuple[int, bytes]] = [extensions.server_name(server_name)] if server_name else []
    if version == SSL3:  # it has no extensions; RFC 6101 section 5.6.1.2 permits data to ignore
        suites.append(TLS_EMPTY_RENEGOTIATION_INFO_SCSV)
        more = [*more, _PADDING] if more and key_exchange == "rare" else []
    else:
        more += [extensions.renegotiation_info(), (_EXTENDED_MASTER_SECRET, b"")]
        if version == TLS1_3:
            groups = _GROUPS_13[key_exchange]
            more += [extensions.supported_versions([version]), _key_share(groups)]
            more.append(extensions.numbers(extensions.SUPPORTED_GROUPS, groups))
        elif key_exchange in _GROUPS_12:
            groups = _GROUPS_12[key_exchange]
            more.append(extensions.numbers(extensions.SUPPORTED_GROUPS, groups))
            more.append((extensions.EC_POINT_FORMATS, b"\1\0"))
        if version >= TLS1_2:
            more.append(extensions.numbers(extensions.SIGNATURE_ALGORITHMS, _SIGNATURES))
        elif key_exchange == "rare":
            more.append(_PADDING)
    # Middleboxes expect a session id, as if to resume a session: RFC 8446 appendix D.4.
    session = os.urandom(32) if version == TLS1_3 else b""
    hello = ClientHello(
        min(version, TLS1_2), os.urandom(32), session, suites, extensions=more or None
    )
    return hello.to_records(min(version, TLS1_0))


def server_hello(offered: ClientHello, version: int) -> bytes:
    """Return the records of a ServerHello that chooses a version, offered or not.

    It is enough to make a client check the version, which it does first (RFC 8446 section 4.1.3),
    and never enough for a handshake.
    """
    suites = suites_of(version, "any")
    more: list[tuple[int, bytes]] | None = [extensions.renegotiation_info()]
    if version == TLS1_3:
        more = [extensions.selected_version(version)]
    elif version == SSL3:
        more = None
    hello = ServerHello(
        min(version, TLS1_2),
        os.urandom(32),
        offered.session_id,
        next((suite for suite in suites if suite in offered.cipher_suites), suites[0]),
        extensions=more,
    )
    return hello.to_records(min(version, TLS1_2))


def suites_of(version: int, key_exchange: str) -> list[int]:
    """Return the suites to offer, those of newer versions first."""
    old, new = _SUITES[key_exchange] if version < TLS1_3 else ([], _TLS13_SUITES)
    if version == SSL3 and key_exchange == "rare":  # short, as it may be without padding
        old = [suite for suite in old if suite < 0x0100]
    return [*(new if version >= TLS1_2 else []), *old]


# struct { NamedGroup group; opaque key_exchange<1..2^16-1>; } KeyShareEntry;
# struct { KeyShareEntry client_shares<0..2^16-1>; } KeyShareClientHello;
#
# RFC 8446 section 4.2.8. Any 32 bytes are a key share of x25519. A server that wants another group
# sends a HelloRetryRequest, which is an answer too.
def _key_share(groups: list[int]) -> tuple[int, bytes]:
    out = Writer("key_share")
    shares = out.sub(2, "client_shares")
    if _X25519 in groups:
        shares.uint(2, _X25519)
        shares.opaque(2, os.urandom(32))
    out.opaque(2, shares.data)
    return extensions.KEY_SHARE, bytes(out.data)
