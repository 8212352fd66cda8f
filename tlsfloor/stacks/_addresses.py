"""Decide whether an address, with its options, means TLS.

A file on this machine does not, and an address in plain text (http) does not by itself. Everything
else counts as TLS: an unknown scheme, a cloud's own address, a credential that is fetched first.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

# RFC 3986, section 3.1; two characters at least, or a drive letter of Windows would be one.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://?")

#: Schemes that stay on this machine.
_LOCAL = {"file", "memory", "mem", "mock", "inmemory"}

#: An address that may mean TLS, within a text such as a query or a plan.
_WITHIN = re.compile(
    rb"\b(?:s3|s3a|s3n|gs|gcs|az|adl|azure|abfs|abfss|https|hf|oss|cos)://", re.IGNORECASE
)

# Options of Arrow's object_store that set an endpoint, without the prefix of the cloud, and the
# environment variables that do.
_ENDPOINTS = ("endpoint", "endpoint_url", "s3_endpoint", "endpoint_url_s3")
_PREFIXES = ("aws_", "azure_storage_", "azure_", "google_", "")
_ENDPOINTS_IN_ENVIRONMENT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")

#: Environment variables that name a proxy.
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")

LOCAL, PLAIN, TLS = "local", "plain", "TLS"


def scheme_of(address: object) -> str:
    """Return the scheme of an address in lower case; empty for a path."""
    if isinstance(address, bytes):
        address = os.fsdecode(address)
    found = _SCHEME.match(str(address).lstrip()) if isinstance(address, str) else None
    return found.group(1).lower() if found else ""


def kind_of(address: object, options: Mapping[str, Any] | None = None) -> str:
    """Return what connecting to an address means: LOCAL, PLAIN or TLS."""
    scheme = scheme_of(address)
    if not scheme or scheme in _LOCAL:
        return LOCAL
    if proxied_by_tls(options):
        return TLS
    if scheme == "http":
        return PLAIN
    if scheme in {"s3", "s3a", "s3n"} and _is_plain_s3(_plain_names(options)):
        return PLAIN
    return TLS


def proxied_by_tls(options: Mapping[str, Any] | None = None) -> bool:
    """Return whether clients connect to a proxy by TLS."""
    proxies = [os.environ.get(name) or os.environ.get(name.lower(), "") for name in _PROXIES]
    proxies.append(str((options or {}).get("proxy_url") or ""))
    return any(proxy.lower().startswith("https:") for proxy in proxies)


def mentions(text: object) -> bool:
    """Return whether a text contains an address that means TLS."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogatepass")
    return isinstance(text, (bytes, bytearray, memoryview)) and bool(_WITHIN.search(bytes(text)))


def addresses(values: object, depth: int = 6) -> Iterator[str]:
    """Yield the texts and paths among arguments, also in lists and in objects of Polars.

    Polars wraps a target in such an object if it is written in parts.
    """
    if isinstance(values, str):
        yield values
    elif isinstance(values, os.PathLike):
        yield os.fsdecode(values)
    elif isinstance(values, bytes):
        yield os.fsdecode(values[:4096])
    elif depth and isinstance(values, (list, tuple, set)):
        for value in values:
            yield from addresses(value, depth - 1)
    elif depth and isinstance(values, dict):
        yield from addresses([*values.values()], depth)
    elif depth and type(values).__module__.startswith("polars."):
        yield from addresses([*getattr(values, "__dict__", {}).values()], depth - 1)


def _plain_names(options: Mapping[str, Any] | None) -> dict[str, str]:
    """Return options without the prefix of a cloud in their names, in lower case."""
    found = {}
    for name, value in (options or {}).items():
        key = str(name).lower()
        key = next(key[len(prefix) :] for prefix in _PREFIXES if key.startswith(prefix))
        found[key] = str(value)
    return found


def _is_plain_s3(options: Mapping[str, str]) -> bool:
    """Return whether S3 is reached in plain text, and no credential has to be fetched by TLS."""
    endpoints = [options.get(name) for name in _ENDPOINTS]
    endpoints += [os.environ.get(name) for name in _ENDPOINTS_IN_ENVIRONMENT]
    if scheme_of(next(filter(None, endpoints), "")) != "http":
        return False
    keys = "access_key_id" in options or bool(os.environ.get("AWS_ACCESS_KEY_ID"))
    return keys or options.get("skip_signature", "").lower() in {"true", "1"}
