"""The extensions that matter to a floor: how to parse and how to write them.

The rules: an extension is a pair ``(number, body)``, and the body stays bytes until a caller asks
for its meaning. So an extension that is unknown, malformed, repeated or GREASE is kept unchanged. A
``read_`` function takes a reader of one body, and raises ``WireError`` unless it can parse all of
it. The other functions return a pair for a hello, and raise ``WireError`` only if a value does not
fit its field. The numbers are those of the IANA registry "TLS ExtensionType Values".
"""

from __future__ import annotations

from tlsfloor.wire.codec import WireError, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tlsfloor.wire.codec import Reader

SERVER_NAME = 0  # RFC 6066 section 3
SUPPORTED_GROUPS = 10  # RFC 8446 section 4.2.7, RFC 8422 section 5.1.1
EC_POINT_FORMATS = 11  # RFC 8422 section 5.1.2
SIGNATURE_ALGORITHMS = 13  # RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1
ALPN = 16  # RFC 7301 section 3.1
SUPPORTED_VERSIONS = 43  # RFC 8446 section 4.2.1
KEY_SHARE = 51  # RFC 8446 section 4.2.8
RENEGOTIATION_INFO = 0xFF01  # RFC 5746 section 3.2

_HOST_NAME = 0


def is_grease(number: int) -> bool:
    """Return whether a suite, extension, group or version is 0x0a0a, 0x1a1a, ... or 0xfafa.

    Clients send these reserved numbers so that servers keep accepting unknown ones: RFC 8701
    section 2.
    """
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


# struct {
#     select (Handshake.msg_type) {
#         case client_hello: ProtocolVersion versions<2..254>;
#         case server_hello: ProtocolVersion selected_version;
#     };
# } SupportedVersions;
#
# RFC 8446 section 4.2.1
def read_supported_versions(body: Reader) -> list[int]:
    """Return the versions that a ClientHello offers, in its order; ``WireError`` if malformed."""
    versions = body.vector(1, "versions", 2, 254).numbers(2)
    body.done()
    return versions


def read_selected_version(body: Reader) -> int:
    """Return the version that a ServerHello selects; ``WireError`` if malformed."""
    version = body.uint(2, "selected_version")
    body.done()
    return version


def supported_versions(versions: Iterable[int]) -> tuple[int, bytes]:
    """Return a list of offered versions, preferred first; ``WireError`` if one is too large."""
    out = Writer("supported_versions")
    out.numbers(1, 2, versions, "versions")
    return SUPPORTED_VERSIONS, bytes(out.data)


def selected_version(version: int) -> tuple[int, bytes]:
    """Return the version that a ServerHello selects; ``WireError`` if it is too large."""
    out = Writer("supported_versions")
    out.uint(2, version, "selected_version")
    return SUPPORTED_VERSIONS, bytes(out.data)


# struct {
#     NameType name_type;
#     select (name_type) {
#         case host_name: HostName;
#     } name;
# } ServerName;
#
# enum { host_name(0), (255) } NameType;
# opaque HostName<1..2^16-1>;
# ServerName server_name_list<1..2^16-1>;
#
# RFC 6066 section 3. Every future kind of name begins with a length of 16 bits, so an unknown kind
# can be skipped. A host name is ASCII.
def read_server_name(body: Reader) -> str | None:
    """Return the first host name of a ClientHello; ``None`` if it has other kinds of names only.

    Raises ``WireError`` if the list is malformed or the name is not ASCII.
    """
    names = body.vector(2, "server_name_list", 1)
    body.done()
    host = None
    for _ in names.items():
        kind = names.uint(1, "name_type")
        name = names.opaque(2, "name", 1)
        if kind == _HOST_NAME and host is None:
            try:
                host = name.decode("ascii")
            except UnicodeDecodeError:
                raise names.error("is not ASCII", "name", names.at - len(name)) from None
    return host


def server_name(host: str) -> tuple[int, bytes]:
    """Return the extension that names the host of a ClientHello.

    A name that is not ASCII is written as UTF-8, which the RFC forbids and no peer accepts. Raises
    ``WireError`` if the name is too long or cannot be encoded (a lone surrogate).
    """
    out = Writer("server_name")
    names = out.sub(2, "server_name_list")
    names.uint(1, _HOST_NAME)
    try:
        name = host.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise WireError(f"has no UTF-8: {error.reason}", "server_name.name", error.start) from None
    names.opaque(2, name, "name")
    out.opaque(2, names.data, "server_name_list")
    return SERVER_NAME, bytes(out.data)


# opaque ProtocolName<1..2^8-1>;
#
# struct {
#     ProtocolName protocol_name_list<2..2^16-1>
# } ProtocolNameList;
#
# RFC 7301 section 3.1
def read_alpn(body: Reader) -> list[bytes]:
    """Return the application protocols that a ClientHello offers; ``WireError`` if malformed.

    They are bytes, as GREASE is not text.
    """
    names = body.vector(2, "protocol_name_list", 2)
    body.done()
    return [names.opaque(1, "", 1) for _ in names.items()]


def alpn(protocols: Iterable[bytes]) -> tuple[int, bytes]:
    """Return a list of application protocols, preferred first; ``WireError`` if one is too long."""
    out = Writer("alpn")
    names = out.sub(2, "protocol_name_list")
    for names.item, protocol in enumerate(protocols):
        names.opaque(1, protocol)
    out.opaque(2, names.data, "protocol_name_list")
    return ALPN, bytes(out.data)


# struct {
#     opaque renegotiated_connection<0..255>;
# } RenegotiationInfo;
#
# RFC 5746 section 3.2. In a first handshake the vector is empty. OpenSSL 3 refuses a ServerHello
# of any version without the extension.
def renegotiation_info(renegotiated_connection: bytes = b"") -> tuple[int, bytes]:
    """Return the sign of secure renegotiation; ``WireError`` for more than 255 bytes."""
    out = Writer("renegotiation_info")
    out.opaque(1, renegotiated_connection, "renegotiated_connection")
    return RENEGOTIATION_INFO, bytes(out.data)


# NamedGroup named_group_list<2..2^16-1>;                          RFC 8446 section 4.2.7
# SignatureScheme supported_signature_algorithms<2..2^16-2>;       RFC 8446 section 4.2.3
def numbers(extension: int, values: Iterable[int]) -> tuple[int, bytes]:
    """Return ``SUPPORTED_GROUPS`` or ``SIGNATURE_ALGORITHMS``; ``WireError`` as above."""
    out = Writer(f"extension 0x{extension:04x}")
    out.numbers(2, 2, values, "numbers")
    return extension, bytes(out.data)
