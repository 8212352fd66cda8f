"""The guard of HTTP clients in Rust that have no minimum: primp, impit, pyqwest, hf_transfer.

They name an address with each request, and what is asked by ``https`` is refused where the library
can be made to speak less than the floor. That is TLS 1.2 for those over rustls. hf_transfer has an
OpenSSL, which refuses TLS 1.1 unless a configuration of OpenSSL tells it otherwise.
"""

from __future__ import annotations

import os

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_HINT = "use a client that speaks TLS by Python's ssl, such as httpx or requests"

_VERBS = ("delete", "get", "head", "options", "patch", "post", "put", "request", "stream", "trace")

#: Row -> what it is called, its classes, and the methods and functions that are given an address.
_STACKS = {
    "hf_transfer.hf_transfer": ("hf_transfer", (), ("download", "multipart_upload")),
    "impit.impit": ("impit", ("Client", "AsyncClient"), _VERBS),
    "primp.primp": ("primp", ("Client", "AsyncClient"), _VERBS),
    "pyqwest._pyqwest": (
        "pyqwest",
        ("Client", "SyncClient", "HTTPTransport", "SyncHTTPTransport"),
        (*_VERBS, "execute", "execute_sync"),
    ),
}

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse requests by https.

    Raises:
        GuardError: none of its methods is known.
    """
    row = _tls_calls.row_of(module)
    name, classes, methods = _STACKS[row]
    found = _tls_calls.state(module, name, _lowest(row))
    if found.startswith("uncovered") or (found == "inherent" and row != _OPENSSL):
        return found
    _tls_calls.find(module, f"{classes[0]}.execute" if "pyqwest" in row else methods[0])
    for kind in ("", *classes):
        owner: Any = getattr(module, kind, None) if kind else module
        for method in methods:
            if callable(getattr(owner, method, None)):
                _tls_calls.gate(_gates, module, f"{kind}.{method}".lstrip("."), _judge)
    # A configuration can come with the environment later.
    return "guarded"


_OPENSSL = "hf_transfer.hf_transfer"

# Where its OpenSSL looks for a configuration (OPENSSLDIR of its build).
_CONFIGURATION = "/usr/local/ssl/openssl.cnf"


def _lowest(row: str) -> int:
    if row == _OPENSSL and (os.environ.get("OPENSSL_CONF") or os.path.exists(_CONFIGURATION)):
        return versions.TLS1_0
    return versions.TLS1_2


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    lowest = _lowest(row)
    if lowest >= current.held:
        return
    name = _STACKS[row][0]
    addresses = list(_addresses_in([*args, *kwargs.values()]))
    if addresses and all(_addresses.kind_of(each) == _addresses.PLAIN for each in addresses):
        _tls_calls.plain(row, name)
        return
    _tls_calls.refuse(
        row,
        f"{name} speaks {versions.name(lowest)} by https, and has no setting that forbids it",
        _HINT,
    )


def _addresses_in(given: list[Any]) -> list[str]:
    """Return the addresses among arguments: as text, in a list, or of a request."""
    found = []
    for each in given:
        for text in (each, getattr(each, "url", None)):
            if isinstance(text, str) and _addresses.scheme_of(text):
                found.append(text)
            elif isinstance(text, list):
                found += [one for one in text if isinstance(one, str) and _addresses.scheme_of(one)]
    return found
