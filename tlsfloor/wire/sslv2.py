"""A ClientHello in the SSL 2.0 format, which old clients send to reach old servers.

The rules: it can only be the first thing in a stream, outside any TLS record, and its length field
has a format of its own. ``Records`` recognises it and returns it as a record of type ``SSLV2``. It
means the same as a ClientHello without extensions, and ``to_client_hello()`` returns that. Its
version is 0x03xx, or 0x0002 if the client really asks for SSL 2.0 (draft-hickman-netscape-ssl-00).
RFC 6176 section 3 forbids a client to send it, and allows a server to accept it.
"""

from __future__ import annotations

from tlsfloor.wire.client_hello import ClientHello
from tlsfloor.wire.codec import Reader, Struct, Writer
from tlsfloor.wire.records import SSLV2, Record

_CLIENT_HELLO = 1


# uint8 V2CipherSpec[3];
#
# struct {
#     uint16 msg_length;              /* the record's, with the high bit set */
#     uint8 msg_type;
#     Version version;
#     uint16 cipher_spec_length;
#     uint16 session_id_length;
#     uint16 challenge_length;
#     V2CipherSpec cipher_specs[V2ClientHello.cipher_spec_length];
#     opaque session_id[V2ClientHello.session_id_length];
#     opaque challenge[V2ClientHello.challenge_length];
# } V2ClientHello;
#
# RFC 5246 appendix E.2; RFC 4346 and 2246 appendix E (E.1)
class Sslv2Hello(Struct):
    """An SSL 2.0 ClientHello. ``cipher_specs`` are 24-bit numbers; TLS suites are below 0x10000."""

    __slots__ = ("version", "cipher_specs", "session_id", "challenge")

    def __init__(
        self, version: int, cipher_specs: list[int], session_id: bytes, challenge: bytes
    ) -> None:
        self.version = version
        self.cipher_specs = cipher_specs
        self.session_id = session_id
        self.challenge = challenge

    @classmethod
    def parse(cls, fragment: bytes) -> Sslv2Hello:
        """Parse the fragment of a record of type ``SSLV2``; ``WireError`` if it is not a hello."""
        reader = Reader(fragment, "sslv2_hello")
        msg_type = reader.uint(1, "msg_type")
        if msg_type != _CLIENT_HELLO:
            raise reader.error(f"is {msg_type}, not 1", "msg_type", 0)
        version = reader.uint(2, "version")
        specs = reader.uint(2, "cipher_spec_length")
        session_id = reader.uint(2, "session_id_length")
        challenge = reader.uint(2, "challenge_length")
        if not specs:
            raise reader.error("is 0, the minimum is 3", "cipher_spec_length", 3)
        if session_id not in (0, 16):
            raise reader.error(f"is {session_id}, not 0 or 16", "session_id_length", 5)
        if not 16 <= challenge <= 32:
            raise reader.error(f"is {challenge}, not 16 to 32", "challenge_length", 7)
        hello = cls(
            version,
            reader.sub(specs, "cipher_specs").numbers(3),
            reader.take(session_id, "session_id"),
            reader.take(challenge, "challenge"),
        )
        reader.done()
        return hello

    def write(self) -> bytes:
        """Return the fragment; ``WireError`` if a value exceeds its field."""
        out = Writer("sslv2_hello")
        out.uint(1, _CLIENT_HELLO, "msg_type")
        out.uint(2, self.version, "version")
        out.uint(2, 3 * len(self.cipher_specs), "cipher_spec_length")
        out.uint(2, len(self.session_id), "session_id_length")
        out.uint(2, len(self.challenge), "challenge_length")
        for spec in self.cipher_specs:
            out.uint(3, spec, "cipher_specs")
        return bytes(out.data + self.session_id + self.challenge)

    def to_records(self) -> bytes:
        """Return the hello with its length; ``WireError`` as ``write``, or if it is too long."""
        return Record(SSLV2, self.version, self.write()).write()

    def to_client_hello(self) -> ClientHello:
        """Return the ClientHello that means the same.

        The challenge becomes the random, padded with zero bytes on the left. Specs of SSL 2.0 only
        have no suite and are left out: RFC 5246 appendix E.2.
        """
        suites = [spec for spec in self.cipher_specs if spec <= 0xFFFF]
        return ClientHello(self.version, self.challenge.rjust(32, b"\0"), self.session_id, suites)
