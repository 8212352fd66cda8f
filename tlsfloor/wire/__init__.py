"""TLS records, hellos and alerts as bytes: parse what a peer sends, write what a test needs.

How it works: the package is sans-IO. It takes bytes and returns structures, or it returns ``None``
for "need more data". It opens no connection, holds no key and judges no version; the caller moves
the bytes::

    >>> from tlsfloor.wire import Alert, Messages
    >>> stream = Messages()
    >>> stream.feed(bytes.fromhex("15 0301 0002"))
    >>> stream.read() is None  # need more data
    True
    >>> stream.feed(bytes.fromhex("02 46"))
    >>> Alert.parse(stream.read().fragment).name
    'protocol_version'

- ``codec``: the bounded reader, the writer, and ``WireError``, the only error that bytes can cause
- ``records``: the record layer (RFC 8446 section 5)
- ``messages``: handshake messages, collected from records (RFC 8446 section 4)
- ``client_hello`` and ``server_hello``; ``hello`` is what they have in common
- ``extensions``: the extensions that the rest of tlsfloor needs, and GREASE
- ``sslv2``: a ClientHello in the SSL 2.0 format (RFC 5246 appendix E.2)
- ``alerts``: alerts and their names (RFC 8446 section 6)

Numbers stay plain integers, so an unknown one is kept. ``tlsfloor.versions`` has the names of the
versions.
"""

from __future__ import annotations

from tlsfloor.wire.alerts import Alert
from tlsfloor.wire.client_hello import ClientHello
from tlsfloor.wire.codec import WireError
from tlsfloor.wire.messages import Handshake, Messages
from tlsfloor.wire.records import Record, Records
from tlsfloor.wire.server_hello import ServerHello
from tlsfloor.wire.sslv2 import Sslv2Hello

__all__ = [
    "Alert",
    "ClientHello",
    "Handshake",
    "Messages",
    "Record",
    "Records",
    "ServerHello",
    "Sslv2Hello",
    "WireError",
]
