"""The guard of ADBC: of the drivers that its manager loads, each a library of its own.

A driver says its name, and mostly an address, when a database is made. The drivers of Flight SQL,
Snowflake and BigQuery are Go, whose TLS begins at 1.2. That of PostgreSQL is libpq, which takes a
minimum in its address. Those of SQLite and DuckDB need no network. Any other is not known here.
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

_LOCAL = ("sqlite", "duckdb")
_GO = ("flightsql", "snowflake", "bigquery")

# Addresses of Flight SQL that mean plain text; gRPC follows no redirect.
_PLAIN = {"grpc", "grpc+tcp", "grpc+unix", "http"}

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse databases that are reached by TLS below the floor.

    Raises:
        GuardError: this manager has no databases.
    """
    found = _tls_calls.state(module, "a driver of ADBC", versions.TLS1_0)
    if found == "guarded":
        _tls_calls.gate_constructor(_gates, module, "AdbcDatabase", _judge)
    return found


def below() -> list[str]:
    """Say that there may be databases older than the floor: nothing lists them."""
    return _tls_calls.older("adbc_driver_manager._lib", "database of ADBC")


def _judge(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args  # it takes none
    address = os.fsdecode(kwargs.get("uri") or "") if _is_text(kwargs.get("uri")) else ""
    given = kwargs.get("driver") or _addresses.scheme_of(address)
    driver = os.path.basename(os.fsdecode(given)).lower() if given else ""
    if any(each in driver for each in _LOCAL):
        return
    if any(each in driver for each in _GO):
        if current.held <= versions.TLS1_2:
            return
        more = [str(value) for name, value in kwargs.items() if name != "uri"]
        tokens = any(each.lower().startswith("https:") for each in more)
        if "flightsql" in driver and _addresses.scheme_of(address) in _PLAIN and not tokens:
            return
        _refuse(row, driver, "speaks TLS 1.2", "an address that begins with grpc+tcp:")
    if "postgres" in driver:
        wanted = f"ssl_min_protocol_version=TLSv{versions.floor_name(current.held)}"
        if wanted not in address and "sslmode=disable" not in address:
            _refuse(row, driver, "has no minimum", f"an address with {wanted}")
        return
    _refuse(row, driver or "this driver", "is not known here", "another driver")


def _is_text(value: object) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))


def _refuse(row: str, driver: str, problem: str, instead: str) -> None:
    _tls_calls.refuse(row, f"{driver} of ADBC {problem}", f"use {instead}")
