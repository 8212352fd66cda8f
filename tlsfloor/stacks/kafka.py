"""The guard of confluent-kafka: of the configuration that its librdkafka gets.

librdkafka has an OpenSSL of its own and no property for versions, but one for cipher suites, and a
version of which every suite is forbidden cannot be spoken. Below TLS 1.2 that takes the suites that
TLS 1.2 shares with older versions from it too. TLS 1.3 has others, which the property does not
reach: a client at that floor offers nothing else but a suite that needs a key shared before. The
HTTPS by which librdkafka gets tokens (OIDC) has no such property; it speaks TLS 1.2 at least.

The clients are C types, which nothing can change. So subclasses stand for them in the modules of
confluent-kafka, and as bases of its classes that derive from them. What took such a type elsewhere
before the floor still has it, and clients that were made before go on.
"""

from __future__ import annotations

import sys

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_CLIENTS = ("Producer", "Consumer", "_AdminClientImpl")
_SUITES = "ssl.cipher.suites"
_TOPIC = "default.topic.config"  # its properties are taken for the client's own as well

# OpenSSL, openssl-ciphers(1): the suites of SSL 3.0 and TLS 1.0, which is all of those of TLS 1.1;
# and a suite of TLS 1.2 that needs a shared key, which librdkafka cannot be given.
_NOT_BELOW_1_2 = ":!SSLv3:!TLSv1"
_ONLY_1_3 = "PSK-AES256-GCM-SHA384"

# The floor of which no client is older, as far as is known.
_covered = 0

_gates = Gates()

# A C type -> the subclass that stands for it.
_stand_ins: dict[type, type] = {}


def guard(module: ModuleType) -> str:
    """Hold the floor on every client that is made from now on.

    Raises:
        GuardError: this confluent-kafka lacks a type.
    """
    global _covered
    if not _stand_ins:
        try:
            clients = [getattr(module, name) for name in _CLIENTS]
        except AttributeError as error:
            raise GuardError(f"this confluent-kafka cannot be held to a floor: {error}") from error
        share = getattr(module, "ShareConsumer", None)  # not in every version
        for client in [*clients, *([share] if share is not None else [])]:
            _stand_ins[client] = _stand_in(client)
        if not hasattr(sys.modules.get("confluent_kafka"), "Producer"):  # it is just imported
            _covered = current.held
    _replace()
    return "guarded"


def below() -> list[str]:
    """Say that there may be clients older than the floor: nothing lists them."""
    older = _covered < current.held
    return ["any client of confluent-kafka that is older than the floor"] if older else []


def _replace() -> None:
    """Put the subclasses in place, each time: copies may have been made meanwhile."""
    for name, holder in list(sys.modules.items()):
        for attribute, value in list(vars(holder).items()) if _is_theirs(name) else ():
            if isinstance(value, type) and value in _stand_ins:
                _gates.put(holder, attribute, _stand_ins[value])
    derived: type
    for client, stand_in in _stand_ins.items():
        for derived in type.__subclasses__(client):
            if derived is not stand_in:
                _swap(derived, client, stand_in)


def _is_theirs(name: str) -> bool:
    return name.partition(".")[0] == "confluent_kafka"


def _swap(derived: type, old: type, new: type) -> None:
    derived.__bases__ = tuple(new if base is old else base for base in derived.__bases__)


def _stand_in(client: Any) -> type:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes a method
        if not args or (len(args) == 1 and isinstance(args[0], dict)):
            # As the client does: what is given by keyword wins.
            args, kwargs = (_held({**(args[0] if args else {}), **kwargs}),), {}
        client.__init__(self, *args, **kwargs)  # whatever else it was given, it refuses

    kind = {"__module__": client.__module__, "__doc__": client.__doc__, "__slots__": ()}
    return type(client.__name__, (client,), {**kind, "__init__": __init__})


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
                # What follows a null character would not reach it.
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
            f"librdkafka's own HTTPS, for which {name} asks, speaks TLS 1.2",
            "get the token in Python, by `oauth_cb`",
        )
