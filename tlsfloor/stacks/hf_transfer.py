"""The guard of hf_transfer, which downloads and uploads files over an OpenSSL of its own.

A program gives the URLs with each call, and an https URL is refused if the OpenSSL can negotiate
less than the floor: TLS 1.2, or TLS 1.0 if a configuration file of OpenSSL allows it. Such a file
may come with the environment later, so the calls are checked at every floor.
"""

from __future__ import annotations

import os

from tlsfloor import versions
from tlsfloor.stacks import _addresses
from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Where its OpenSSL looks for a configuration (OPENSSLDIR of its build).
_CONFIGURATION = "/usr/local/ssl/openssl.cnf"


def _lowest() -> int:
    configured = os.environ.get("OPENSSL_CONF") or os.path.exists(_CONFIGURATION)
    return versions.TLS1_0 if configured else versions.TLS1_2


_calls = TLSCalls(
    "transfer",
    hint="use a client that speaks TLS by Python's ssl, such as httpx or requests",
    lowest=_lowest,
)
guard, _gates = _calls.guard, _calls.gates


@_calls.check("download", "multipart_upload")
def _check_urls(call: Call) -> None:
    # The URLs of the parts of a file are a list. Headers may name a URL, too.
    given = [text for value in call.values for text in _as_list(value) if isinstance(text, str)]
    urls = [text for text in given if _addresses.scheme_of(text)]
    if not urls or any(_addresses.kind_of(url) != _addresses.PLAIN for url in urls):
        call.refuse("a transfer by https")
    else:
        call.plain()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
