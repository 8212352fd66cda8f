"""TLS hellos, records and alerts as bytes: parse what any peer sends, write what no peer should.

Sans-IO: bytes in, structures out, or "need more data". Nothing here opens a connection, holds a
key or judges a version; whoever uses it moves the bytes::

    >>> from tlsfloor.wire import Alert, Messages
    >>> stream = Messages()
    >>> stream.feed(bytes.fromhex("15 0301 0002"))
    >>> stream.read() is None  # need more data
    True
    >>> stream.feed(bytes.fromhex("02 46"))
    >>> Alert.parse(stream.read().fragment).name
    'protocol_version'

- ``codec``: the bounded reader, the writer, and ``WireError``, the only error that bytes can cause
- ``records``: the record layer
- ``messages``: handshake messages over records
- ``client_hello``, ``server_hello``, and what both have in ``hello``
- ``extensions``: the few extensions that matter here, and GREASE
- ``sslv2``: the ClientHello in SSL 2.0's clothes
- ``alerts``: alerts and their names

Numbers stay raw integers, so that an unknown one survives; ``tlsfloor.versions`` has the names.
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
