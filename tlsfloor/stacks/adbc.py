"""The guard of ADBC's driver manager: each driver that it loads is a library of its own.

A program names the driver, and usually an address, when it makes a database. The drivers of Flight
SQL, Snowflake and BigQuery are written in Go, whose TLS begins at 1.2. That of PostgreSQL is libpq,
which takes a minimum in its address. Those of SQLite and DuckDB need no network. Any other driver
is refused, because nothing is known about it.
"""

from __future__ import annotations

import os

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks import _addresses, _libpq
from tlsfloor.stacks._tls_calls import Call, TLSCalls

_LOCAL = ("sqlite", "duckdb")
_GO = ("flightsql", "snowflake", "bigquery")

# Addresses of Flight SQL that mean plain text; gRPC follows no redirect.
_PLAIN = {"grpc", "grpc+tcp", "grpc+unix", "http"}

_calls = TLSCalls("database of ADBC", hint="use another driver", lowest=versions.TLS1_0)
guard, below, _gates = _calls.guard, _calls.below, _calls.gates


@_calls.check("AdbcDatabase.__init__")
def _check_driver(call: Call) -> None:
    uri = call.kwargs.get("uri")
    address = os.fsdecode(uri) if isinstance(uri, (str, bytes, os.PathLike)) else ""
    driver = call.kwargs.get("driver") or _addresses.scheme_of(address)
    name = os.path.basename(os.fsdecode(driver)).lower() if driver else "an unknown driver"
    if any(known in name for known in _LOCAL):
        return
    if any(known in name for known in _GO):
        others = [str(value) for option, value in call.kwargs.items() if option != "uri"]
        by_https = any(other.lower().startswith("https:") for other in others)  # tokens
        plain = "flightsql" in name and _addresses.scheme_of(address) in _PLAIN and not by_https
        if current.held > versions.TLS1_2 and not plain:
            call.refuse(name, "use an address that begins with grpc+tcp:")
    elif "postgres" in name:
        wanted = f"{_libpq.MINIMUM}=TLSv{versions.floor_name(current.held)}"
        if wanted not in address and "sslmode=disable" not in address:
            call.refuse(name, f"use an address with {wanted}")
    else:
        call.refuse(name)
