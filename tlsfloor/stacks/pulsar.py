"""The guard of pulsar-client, a C++ library with an OpenSSL of its own: TLS 1.2 and 1.3.

The URL says whether a client uses TLS. A client that gets tokens (OAuth 2.0, Athenz) requests them
over https.
"""

from __future__ import annotations

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._tls_calls import Call, TLSCalls

_calls = TLSCalls(
    "client of Pulsar",
    hint="use a service URL that begins with pulsar:, to a proxy that holds TLS 1.3",
)
guard, below, _gates = _calls.guard, _calls.below, _calls.gates


@_calls.check(
    "Client.__init__",
    "?ServiceInfo.__init__",
    "?AuthenticationOauth2.create",
    "?AuthenticationAthenz.create",
)
def _check_urls(call: Call) -> None:
    for text in [value for value in call.values if isinstance(value, str)]:
        schemes = {_addresses.scheme_of(url) for url in text.split(",")}
        if schemes & {"pulsar+ssl", "https"} or _addresses.mentions(text):
            call.refuse("a connection to a broker or token server")
        elif "http" in schemes:
            call.plain()
