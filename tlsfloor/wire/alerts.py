"""Alerts: how a TLS peer refuses a connection or ends it.

The rules: an alert fills its record, with exactly two bytes (RFC 8446 section 5.1; older versions
allow it to be split or to share a record, and no implementation does that). An unknown number is
not an error; it is shown as hex.

The numbers that matter for a refused version:

- ``protocol_version``: the version is recognised and not supported (RFC 8446 section 6.2)
- ``handshake_failure``, ``insufficient_security``: no common parameters; they say nothing about the
  version
- ``inappropriate_fallback``: the server supports a higher version, and the hello says that the
  client lowered its own on purpose (RFC 7507 section 3)
"""

from __future__ import annotations

from tlsfloor.wire.codec import Reader, Struct, Writer

WARNING, FATAL = 1, 2

CLOSE_NOTIFY = 0
HANDSHAKE_FAILURE = 40
ILLEGAL_PARAMETER = 47
DECODE_ERROR = 50
PROTOCOL_VERSION = 70
INSUFFICIENT_SECURITY = 71
INTERNAL_ERROR = 80
INAPPROPRIATE_FALLBACK = 86
MISSING_EXTENSION = 109
UNRECOGNIZED_NAME = 112

#: Alert numbers and names: RFC 8446 section 6 and appendix B.2, which also lists those of SSLv3 and
#: RFC 2246 (without the suffix _RESERVED here); RFC 7507 (86), 6066 (111, 114), 9146 (52), 9849
#: (121).
NAMES = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    52: "too_many_cids_requested",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
    121: "ech_required",
}


# enum { warning(1), fatal(2), (255) } AlertLevel;
#
# struct {
#     AlertLevel level;
#     AlertDescription description;
# } Alert;
#
# RFC 8446 section 6; RFC 5246, 4346 and 2246 section 7.2
class Alert(Struct):
    """An alert: ``level`` and ``description``, one byte each."""

    __slots__ = ("level", "description")

    def __init__(self, level: int, description: int) -> None:
        self.level = level
        self.description = description

    @property
    def name(self) -> str:
        """The name of the number, ``"protocol_version"``; hex if it is unknown, ``"0x7a"``."""
        return NAMES.get(self.description, f"0x{self.description:02x}")

    @classmethod
    def parse(cls, fragment: bytes) -> Alert:
        """Parse the content of an alert record; ``WireError`` if it is not exactly two bytes."""
        reader = Reader(fragment, "alert")
        alert = cls(reader.uint(1, "level"), reader.uint(1, "description"))
        reader.done()
        return alert

    def write(self) -> bytes:
        """Return the content of an alert record; ``WireError`` if a number exceeds a byte."""
        out = Writer("alert")
        out.uint(1, self.level, "level")
        out.uint(1, self.description, "description")
        return bytes(out.data)
