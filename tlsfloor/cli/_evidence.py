"""Describe the run of a command, so that what it prints as JSON is evidence by itself."""

from __future__ import annotations

import os
import sys
import time

import tlsfloor
from tlsfloor import policy
from tlsfloor.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Variables of others that change what Python, its start-up files or a TLS library do. Their values
# may be private, so only the names are evidence.
_OTHERS = (
    *("CURL_CA_BUNDLE", "LD_LIBRARY_PATH", "LD_PRELOAD", "OPENSSL_CONF", "OPENSSL_MODULES"),
    *("PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONUSERBASE", "REQUESTS_CA_BUNDLE"),
    *("SSLKEYLOGFILE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
)

# The attributes of OpenTelemetry that are labels.
_OF_OPENTELEMETRY = {
    "service.namespace": "owner",
    "service.name": "service",
    "container.image.name": "image",
}


def about_run() -> dict[str, Any]:
    """Return which tool ran, when, where, as whom and how, as JSON types.

    ``time`` is UTC in the format of RFC 3339, and ``command`` has no secrets. ``variables`` has the
    values of tlsfloor's own variables, and ``other_variables`` the names of others that can change
    the result.
    """
    system, host, kernel, _, machine = _uname()[:5]
    return {
        "tool": {"name": "tlsfloor", "version": tlsfloor.__version__},
        "run": {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "host": host,
            "system": system,
            "distribution": _distribution(),
            "kernel": kernel,
            "machine": machine,
            "user_id": os.getuid() if hasattr(os, "getuid") else None,
            "command": [sys.executable, *map(without_secrets, sys.argv)],
            "directory": _directory(),
            "variables": {
                name: value
                for name, value in sorted(os.environ.items())
                if name.startswith("TLSFLOOR") or name == "TLS_MIN_VERSION"
            },
            "other_variables": [name for name in _OTHERS if name in os.environ],
            "labels": labels_in(os.environ),
        },
    }


def labels_in(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment says of this machine: its owner and image, for example.

    The attributes of OpenTelemetry's resource that say the same are used as well.
    https://opentelemetry.io/docs/specs/semconv/registry/attributes/service/ says of
    ``service.namespace`` that it may be the team that owns the service.

    Raises:
        PolicyError: ``TLSFLOOR_LABELS`` cannot be understood. OpenTelemetry ignores such a value.
    """
    found = _pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES", "")) or {}
    labels = {label: found[name] for name, label in _OF_OPENTELEMETRY.items() if found.get(name)}
    if environment.get("OTEL_SERVICE_NAME"):  # which counts before the attribute
        labels["service"] = environment["OTEL_SERVICE_NAME"]
    text = environment.get(policy.LABELS)
    given = {} if text is None else _pairs(text)
    if given is None or not all(map(str.isprintable, given)):
        raise PolicyError(
            f"{policy.LABELS} is not a list of names and values: {text!r}",
            hint=f"{policy.LABELS}=owner=payments,image=shop:1.2 (%2C in a value is a comma)",
            value=text,
            source=policy.LABELS,
        )
    return {**labels, **given}


def _pairs(text: str) -> dict[str, str] | None:
    """Return the pairs of ``name=value,name=value``; None if it is of another form.

    This is the form of ``OTEL_RESOURCE_ATTRIBUTES``. Values may be percent-encoded, as in W3C
    Baggage.
    """
    pairs = {}
    for entry in text.split(","):
        name, is_pair, value = (part.strip() for part in entry.partition("="))
        if not (name and is_pair and value):
            return None
        if "%" in value:
            from urllib.parse import unquote  # which takes longer to import than all of this

            value = unquote(value)
        pairs[name] = value
    return pairs


def without_secrets(word: str) -> str:
    """Return a word with ``***`` for the user, the password and the query of the URL in it.

    Evidence and error messages are passed on, and a URL of a database may have its password.
    """
    before, is_url, rest = word.partition("://")
    if not is_url:
        return word
    place, query, _ = rest.partition("?")
    _, user, host = place.rpartition("@")
    return "".join([before, is_url, "***@" * bool(user), host, "?***" * bool(query)])


def _uname() -> tuple[str, ...]:
    if hasattr(os, "uname"):
        return tuple(os.uname())
    import platform  # on Windows

    return tuple(platform.uname())


def _distribution() -> str | None:
    """Return the name of a Linux distribution (os-release(5)), with its version."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            facts = dict(line.strip().partition("=")[::2] for line in file)
    except (OSError, ValueError):  # another system, or not a text
        return None
    return facts.get("PRETTY_NAME", "").strip("\"'") or None


def _directory() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return None
