"""The plain text before TLS (STARTTLS): what a client says until the server is ready for a hello.

How it works: ``PROTOCOLS`` has a row for each protocol, with its steps. In a step the client sends
a command and reads one whole answer: ``Step.end`` finds where that ends, ``Step.good`` says whether
the client may go on. ``talk`` goes through the steps without a socket, ``begin`` does it on one.

The rules:

- The go-ahead is the server's last word in plain text. Bytes that come with it are never read as
  TLS, because an attacker may have injected them (CVE-2011-0411; CVE-2021-23222 against clients;
  "Why TLS Is Better Without STARTTLS", USENIX Security 2021). Such an attempt proves nothing.
- The answer to the command decides, and not whether the server has offered it before. Only XMPP and
  MySQL demand that the client waits for an offer.
- An answer has at most ``_LIMIT`` bytes, and all of them share the deadline of the connection.
- What stops here is no refusal of a version, because no version was offered.
"""

from __future__ import annotations

import html
import re
import socket
from typing import TYPE_CHECKING, NamedTuple

from tlsfloor.peers.base import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tlsfloor.peers.recording import RecordingSocket

#: The protocol without plain text: TLS begins with the first byte.
NONE = "none"

_LIMIT = 2**14  # bytes of one answer; greetings and lists of features have a few hundred
_SHOWN = 80  # bytes of an answer in a message


#: The failures: it gives no go-ahead for TLS, or no answer at all.
NO_STARTTLS, TIMED_OUT = "no STARTTLS", "timed out"


class StarttlsError(Exception):
    """The server is not ready for TLS. The text says why; ``failure`` is one of the above."""

    def __init__(self, reason: str, failure: str = NO_STARTTLS) -> None:
        super().__init__(reason)
        self.failure = failure


class Step(NamedTuple):
    """What the client sends (nothing before a greeting), and what it reads then.

    ``end`` returns the length of the first whole answer, 0 if there is none yet. ``good`` matches
    an answer that lets the client go on, and ``spoken`` any that this protocol can give: then
    ``refusal`` says what it means.
    """

    name: str
    send: bytes
    good: re.Pattern[bytes]
    refusal: str
    end: Callable[[bytes], int]
    spoken: re.Pattern[bytes]


class Preamble(NamedTuple):
    """A protocol: its ports (the first is the default), its URL schemes, and its steps.

    ``last`` is sent after the steps, if the server does not answer it in plain text.
    """

    ports: tuple[int, ...]
    schemes: tuple[str, ...]
    steps: list[Step]
    last: bytes = b""


def _regex(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


def _end_of(pattern: bytes) -> Callable[[bytes], int]:
    whole = _regex(pattern)

    def end(data: bytes) -> int:
        found = whole.match(data)
        return found.end() if found else 0

    return end


def _end_of_ldap_message(data: bytes) -> int:
    """RFC 4511 section 5.1: a SEQUENCE in BER, of a definite length."""
    if data[:1] != b"\x30":
        return len(data)
    size, start = int.from_bytes(data[1:2], "big"), 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    return start + size if len(data) >= max(start + size, 3) else 0


def _end_of_mysql_packet(data: bytes) -> int:
    """Return the end of a first packet, which has the number 0: a greeting, or an error."""
    if len(data) >= 5 and (data[3] or data[4] not in (10, 0xFF)):
        return len(data)
    size = 4 + int.from_bytes(data[:3], "little")
    return size if len(data) >= max(size, 5) else 0


def _steps(
    end: Callable[[bytes], int], spoken: bytes, *rows: tuple[str, bytes, bytes, str]
) -> list[Step]:
    """Return steps whose answers have their form in common."""
    return [
        Step(name, send, _regex(good), refusal, end, _regex(spoken))
        for name, send, good, refusal in rows
    ]


def _xmpp(port: int, schemes: tuple[str, ...], namespace: bytes) -> Preamble:
    """RFC 6120 section 5.4. The prefix of the namespace of streams is free."""
    head = (
        b"<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:%b' "
        b"xmlns:stream='http://etherx.jabber.org/streams'>" % namespace
    )
    steps = _steps(
        _end_of(
            rb"\s*[^\s<].*|.*?(</(\w+:)?(features|error|failure|proceed|stream)\s*>"
            rb"|<(\w+:)?(features|failure|proceed)(\s[^<>]*)?/>)"
        ),
        rb"\s*<(\?xml|(\w+:)?(stream|features|failure))\b",
        ("the stream", head, rb".*<(\w+:)?starttls\b", "it does not offer STARTTLS"),
        (
            "STARTTLS",
            b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            rb"\s*<(\w+:)?proceed\b",
            "it refuses STARTTLS",
        ),
    )
    return Preamble((port,), schemes, steps)


_TURNED_AWAY = "it turns clients away"

# RFC 5321 section 4.2: every line of an answer but the last has a hyphen after the code.
_SMTP = _end_of(rb"(\d{3}-[^\n]*\n)*(?!\d{3}-)[^\n]*\n")
# RFC 959 section 4.2: as SMTP, but the lines between the first and the last may have any form.
_FTP = _end_of(rb"(\d{3})-[^\n]*\n((?!\1 )[^\n]*\n)*\1 [^\n]*\n|(?!\d{3}-)[^\n]*\n")
_LINE = _end_of(rb"[^\n]*\n")
# RFC 9051 section 7: untagged answers may come before the tagged one; BYE is the last.
_IMAP = _end_of(rb"(?i)(\* (?!BYE)[^\n]*\n)*(?!\* (?!BYE))[^\n]*\n")
_BER_LENGTH = rb"([\0-\x7f]|\x81.|\x82..|\x83...|\x84....)"
# The capability CLIENT_SSL is 0x0800.
_CLIENT_SSL = b"".join(re.escape(bytes([byte])) for byte in range(256) if byte & 8)

PROTOCOLS = {
    # RFC 3207 section 4, RFC 5321 section 4.3.2
    "smtp": Preamble(
        (25, 587),
        ("smtp",),
        _steps(
            _SMTP,
            rb"\d{3}[ -]",
            ("", b"", rb"220", _TURNED_AWAY),
            ("EHLO", b"EHLO tlsfloor.invalid\r\n", rb"250", "it refuses EHLO"),
            ("STARTTLS", b"STARTTLS\r\n", rb"220", "it refuses STARTTLS"),
        ),
    ),
    # RFC 9051 sections 6.2.1 and 7.1, RFC 2595 section 3
    "imap": Preamble(
        (143,),
        ("imap",),
        [
            *_steps(_LINE, rb"\* ", ("", b"", rb"(?i)\* OK", _TURNED_AWAY)),
            *_steps(
                _IMAP,
                rb"(?i)\* |a1 ",
                (
                    "STARTTLS",
                    b"a1 STARTTLS\r\n",
                    rb"(?i)(\* [^\n]*\n)*a1 OK",
                    "it refuses STARTTLS",
                ),
            ),
        ],
    ),
    # RFC 2595 section 4, RFC 1939 section 3
    "pop3": Preamble(
        (110,),
        ("pop3", "pop"),
        _steps(
            _LINE,
            rb"\+OK|-ERR",
            ("", b"", rb"\+OK", _TURNED_AWAY),
            ("STLS", b"STLS\r\n", rb"\+OK", "it refuses STLS"),
        ),
    ),
    # RFC 4217 section 4
    "ftp": Preamble(
        (21,),
        ("ftp",),
        _steps(
            _FTP,
            rb"\d{3}[ -]",
            ("", b"", rb"220", _TURNED_AWAY),
            ("AUTH TLS", b"AUTH TLS\r\n", rb"234", "it refuses AUTH TLS"),
        ),
    ),
    # RFC 4511 section 4.14: an ExtendedRequest, and an ExtendedResponse with the resultCode 0
    "ldap": Preamble(
        (389, 3268),
        ("ldap",),
        _steps(
            _end_of_ldap_message,
            rb"\x30%b\x02\x01" % _BER_LENGTH,
            (
                "StartTLS",
                b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
                rb"\x30%b\x02\x01\x01\x78%b\x0a\x01\0" % (_BER_LENGTH, _BER_LENGTH),
                "it refuses StartTLS",
            ),
        ),
    ),
    # PostgreSQL's manual, "Message Flow", SSL Session Encryption: one byte answers
    "postgres": Preamble(
        (5432,),
        ("postgresql", "postgres"),
        _steps(
            _end_of(rb"S|[^S].*"),
            rb"[NE]",
            ("SSLRequest", b"\0\0\0\x08\x04\xd2\x16\x2f", rb"S", "it refuses SSLRequest"),
        ),
    ),
    # MySQL's manual, "Connection Phase": HandshakeV10 and SSLRequest, which nothing answers
    "mysql": Preamble(
        (3306,),
        ("mysql", "mariadb"),
        _steps(
            _end_of_mysql_packet,
            rb"...\0[\x0a\xff]",
            ("", b"", rb"....\x0a[^\0]*\0.{14}[%b]" % _CLIENT_SSL, "it does not offer TLS"),
        ),
        # CLIENT_PLUGIN_AUTH, SECURE_CONNECTION, SSL, PROTOCOL_41 and LONG_PASSWORD; packets of
        # 16 MiB; utf8
        b"\x20\0\0\x01\x01\x8a\x08\0\0\0\0\x01\x21" + bytes(23),
    ),
    "xmpp": _xmpp(5222, ("xmpp",), b"client"),
    "xmpp-server": _xmpp(5269, (), b"server"),
}

#: What an endpoint without a protocol speaks, by its port or by the scheme of its URL.
PORTS = {port: name for name, preamble in PROTOCOLS.items() for port in preamble.ports}
SCHEMES = {scheme: name for name, preamble in PROTOCOLS.items() for scheme in preamble.schemes}

#: How a message begins if the server speaks the protocol, and refuses.
REFUSALS = {step.refusal for preamble in PROTOCOLS.values() for step in preamble.steps}


def talk(protocol: str, host: str) -> Generator[bytes, bytes, bytes]:
    """Go through the steps: yield what to send, and be sent what was received next.

    An error of the connection can be thrown in, so that the message can name the step.

    Returns:
        What to send last. After that comes the handshake.

    Raises:
        StarttlsError: the server does not go on.
    """
    preamble = PROTOCOLS[protocol]
    data = b""
    for step in preamble.steps:
        wanted = f"answer to {step.name}" if step.name else "greeting"
        to_send = step.send.replace(b"{host}", html.escape(host).encode())
        size = 0
        while not size:
            try:
                received = yield to_send
            except socket.timeout:
                raise StarttlsError(f"no {wanted} in time", TIMED_OUT) from None
            except OSError as error:
                raise StarttlsError(f"no {wanted}: {reason_of(error)}") from None
            to_send = b""
            data += received
            size = step.end(data)
            if not received or (not size and len(data) > _LIMIT):
                does = f"sends {len(data)} bytes" if received else "closes the connection"
                raise StarttlsError(f"it {does} without any {wanted}{_shown(data)}")
        answer, data = data[:size], data[size:]
        if not step.good.match(answer):
            means = step.refusal if step.spoken.match(answer) else f"it does not speak {protocol}"
            raise StarttlsError(means + _shown(answer))
    if data:
        raise StarttlsError(
            "it sends plain text after its go-ahead for TLS and before the handshake, which an "
            f"attacker may have injected{_shown(data)}"
        )
    return preamble.last


def begin(connection: RecordingSocket, protocol: str, host: str) -> None:
    """Speak plain text on a connection until the server waits for a hello.

    Raises:
        StarttlsError: it does not.
        OSError: the connection broke while the last bytes were sent.
    """
    if protocol == NONE:
        return
    steps = talk(protocol, host)
    to_send = next(steps)
    try:
        while True:
            try:
                connection.sendall(to_send)
                received = connection.recv(4096)
            except OSError as error:  # noqa: PERF203 - the last one: throw() raises
                steps.throw(error)
            else:
                to_send = steps.send(received)
    except StopIteration as end:
        connection.sendall(end.value)


def _shown(data: bytes) -> str:
    return f": {data.strip()[:_SHOWN]!r}" if data else ""
