"""The guard of HTTP clients in Rust over rustls that have no minimum: primp, impit and pyqwest.

A program gives a URL with each request, and a request by ``https`` is refused.
"""

from __future__ import annotations

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._tls_calls import Call, TLSCalls

_VERBS = ("delete", "get", "head", "options", "patch", "post", "put", "request", "stream", "trace")

# Parameters whose text is sent, even if it is a URL.
_BODIES = {"body", "content", "data"}

_calls = TLSCalls(
    "client", hint="use a client that speaks TLS by Python's ssl, such as httpx or requests"
)
guard, _gates = _calls.guard, _calls.gates


@_calls.check(
    "impit.impit:delete",
    "primp.primp:delete",
    "pyqwest._pyqwest:Client.execute",
    *(
        f"{row}:?{holder}{verb}"
        for row in ("impit.impit", "primp.primp")
        for holder in ("", "Client.", "AsyncClient.")
        for verb in _VERBS
    ),
    *(
        f"pyqwest._pyqwest:?{holder}.{verb}"
        for holder in ("Client", "SyncClient", "HTTPTransport", "SyncHTTPTransport")
        for verb in (*_VERBS, "execute", "execute_sync")
    ),
)
def _check_urls(call: Call) -> None:
    given = [*call.args, *(value for name, value in call.kwargs.items() if name not in _BODIES)]
    texts = [text for value in given for text in (value, getattr(value, "url", None))]  # a request
    urls = [text for text in texts if isinstance(text, str) and _addresses.scheme_of(text)]
    if urls and all(_addresses.kind_of(url) == _addresses.PLAIN for url in urls):
        call.plain()
    else:
        call.refuse("a request by https")
