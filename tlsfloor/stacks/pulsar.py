"""The guard of Pulsar's client, in C++ over an OpenSSL of its own: TLS 1.2 and 1.3.

An address says whether a client uses TLS, and one that gets tokens (OAuth 2.0, Athenz) asks for
them by https.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "Pulsar's OpenSSL"
_HINT = "use a service URL that begins with pulsar:, to a proxy that holds TLS 1.3"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse clients that use TLS.

    Raises:
        GuardError: this Pulsar has no client.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found == "guarded":
        _tls_calls.gate(_gates, module, "Client.__init__", _judge)
        for name in ("ServiceInfo.__init__", *map("{}.create".format, _tokens(module))):
            if hasattr(module, name.partition(".")[0]):  # not in every version
                _tls_calls.gate(_gates, module, name, _judge)
    return found


def below() -> list[str]:
    """Say that there may be clients older than the floor: nothing lists them."""
    return _tls_calls.older("_pulsar", "client of Pulsar")


def _tokens(module: ModuleType) -> list[str]:
    names = ("AuthenticationOauth2", "AuthenticationAthenz")
    return [name for name in names if hasattr(getattr(module, name, None), "create")]


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given = [*args, *kwargs.values()]
    for text in [each for each in given if isinstance(each, str)]:
        schemes = {_addresses.scheme_of(each) for each in text.split(",")}
        if schemes & {"pulsar+ssl", "https"} or _addresses.mentions(text):
            _tls_calls.refuse(
                row, "Pulsar speaks TLS 1.2, and has no setting that forbids it", _HINT
            )
        elif "http" in schemes:
            _tls_calls.plain(row, STACK)
