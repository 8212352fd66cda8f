"""The guard of Temporal's SDK, whose core in Rust speaks TLS by rustls.

Its Python looks up the functions of the core at each call. A client has an option for TLS,
metrics are exported to an address, and a server for development may be downloaded first.
"""

from __future__ import annotations

from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

STACK = "Temporal's rustls"
_HINT = "connect without TLS, to a proxy that holds TLS 1.3"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse what would begin TLS.

    Raises:
        GuardError: this core has other functions.
    """
    found = _tls_calls.state(module, STACK, versions.TLS1_2)
    if found == "guarded":
        _tls_calls.gate(_gates, module, "connect_client", _judge_client)
        _tls_calls.gate(_gates, module, "init_runtime", _judge_runtime)
        for name in ("start_dev_server", "start_test_server"):
            _tls_calls.gate(_gates, module, name, _judge_server)
    return found


def below() -> list[str]:
    """Say that there may be clients older than the floor: nothing lists them."""
    return _tls_calls.older("temporalio.bridge.temporal_sdk_bridge", "client of Temporal")


def _judge_client(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for config in (*args, *kwargs.values()):
        secure = getattr(config, "tls_config", None) is not None
        if secure or _addresses.scheme_of(getattr(config, "target_url", "")) == "https":
            _refuse(row, "a client of Temporal")


def _judge_runtime(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for options in (*args, *kwargs.values()):
        telemetry = getattr(options, "telemetry", options)
        metrics = getattr(telemetry, "metrics", None)
        exporter = getattr(metrics, "opentelemetry", None)
        if _addresses.scheme_of(getattr(exporter, "url", "")) == "https":
            _refuse(row, "the export of metrics by Temporal")


def _judge_server(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for config in (*args, *kwargs.values()):
        if hasattr(config, "existing_path") and not config.existing_path:
            _refuse(row, "the download of a server by Temporal")


def _refuse(row: str, what: str) -> None:
    _tls_calls.refuse(row, f"{what} speaks TLS 1.2, and has no setting that forbids it", _HINT)
