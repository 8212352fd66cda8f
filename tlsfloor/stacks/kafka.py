"""The guard of confluent-kafka: of the configuration that its librdkafka gets.

librdkafka has an OpenSSL of its own. It has no property for versions, but one for cipher suites,
and a version of which every suite is forbidden cannot be negotiated. Below TLS 1.2 that also
removes the suites which TLS 1.2 shares with older versions. The suites of TLS 1.3 are not in that
property: at floor 1.3 a client is left with one suite of TLS 1.2 that needs a pre-shared key. The
HTTPS by which librdkafka gets tokens (OIDC) has no such property; it speaks TLS 1.2 at least.

The clients are C types, so subclasses take their place, also as bases of confluent-kafka's own
classes. Clients that were made before a late floor stay as they are; ``below()`` reports that.
"""

from __future__ import annotations

import sys

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates
from tlsfloor.stacks._stand_ins import find, rebase, replace, stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_CLIENTS = ("Producer", "Consumer", "_AdminClientImpl")
_SUITES = "ssl.cipher.suites"
_TOPIC = "default.topic.config"  # its properties are taken for the client's own as well

# OpenSSL, openssl-ciphers(1): the suites of SSL 3.0 and TLS 1.0, which is all of those of TLS 1.1;
# and a suite of TLS 1.2 that needs a pre-shared key, which librdkafka cannot be given.
_NOT_BELOW_1_2 = ":!SSLv3:!TLSv1"
_ONLY_1_3 = "PSK-AES256-GCM-SHA384"

# No client is older than this floor, as far as is known.
_covered = current.NO_FLOOR

_gates = Gates()

# A C type -> the subclass that takes its place.
_stand_ins: dict[Any, Any] = {}


def guard(module: ModuleType) -> str:
    """Hold the floor on every client that is made from now on.

    Raises:
        GuardError: this confluent-kafka lacks a type.
    """
    global _covered
    if not _stand_ins:
        clients = [getattr(*find(module, name)) for name in _CLIENTS]
        if hasattr(module, "ShareConsumer"):  # not in every version
            clients.append(module.ShareConsumer)
        _stand_ins.update({client: _stand_in(client) for client in clients})
        if not hasattr(sys.modules.get("confluent_kafka"), "Producer"):  # it is just imported
            _covered = current.held
    for client, made in _stand_ins.items():  # each time: copies may have been made meanwhile
        replace(_gates, "confluent_kafka", client, made)
        rebase(client, made)
    return "guarded"


def below() -> list[str]:
    """Return a line if clients older than the floor may exist: nothing lists them."""
    older = _covered < current.held
    return ["any client of confluent-kafka that is older than the floor"] if older else []


def _stand_in(client: Any) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - a method
        if not args or (len(args) == 1 and isinstance(args[0], dict)):
            # As the client does: an option that is given by keyword wins.
            args, kwargs = (_held({**(args[0] if args else {}), **kwargs}),), {}
        client.__init__(self, *args, **kwargs)  # it refuses any other arguments

    return stand_in(client, {"__init__": __init__})


def _held(asked: dict[Any, Any]) -> dict[Any, Any]:
    """Return a configuration that is held to the floor."""
    config = dict(asked)
    places = [config]
    if isinstance(config.get(_TOPIC), dict):
        config[_TOPIC] = dict(config[_TOPIC])
        places.append(config[_TOPIC])
    suites = ""
    for place in places:
        for key in list(place):
            if str(key) == _SUITES:  # as librdkafka gets it
                # librdkafka does not see what follows a null character.
                suites = str(place.pop(key) or "").partition("\0")[0]
            elif current.held > versions.TLS1_2 and str(key).startswith("sasl.oauthbearer."):
                _check_https(str(key), str(place[key]))
    if current.held > versions.TLS1_2:
        config[_SUITES] = _ONLY_1_3
    elif current.held > versions.TLS1_0:
        config[_SUITES] = (suites or "DEFAULT") + _NOT_BELOW_1_2
    elif suites:
        config[_SUITES] = suites
    current.counts["clamped" if suites else "raised"] += 1
    return config


def _check_https(name: str, value: str) -> None:
    if value.lower().startswith("https:"):
        current.counts["refused"] += 1
        raise refusal(
            f"librdkafka's own HTTPS client, which {name} uses, speaks TLS 1.2",
            "get the token in Python, by `oauth_cb`",
        )
