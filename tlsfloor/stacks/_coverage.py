"""The stack of each row of the table, its users, and its coverage at each floor.

``tlsfloor stacks``, ``status()`` and the documentation show this table. A test compares the
coverage that a row states with what its guard returns.
"""

from __future__ import annotations

import os
import sys

from tlsfloor.errors import PolicyError
from tlsfloor.policy import POLICIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# The modules that bring a stack into a process, the rows of the table -> the stack, who uses it.
_GUARDED = {
    "ssl": (
        "ssl",
        "urllib3, requests, botocore, redis-py, asyncio, aiohttp, httpx and most others",
    ),
    "OpenSSL.SSL": (
        "pyOpenSSL",
        "Twisted, Scrapy, pymongo, urllib3.contrib.pyopenssl, redis-py's OCSP check, python-tds",
    ),
    "cryptography.hazmat.bindings.openssl.binding": (
        "cryptography's OpenSSL",
        "pyOpenSSL, and programs that call its functions through Binding.lib",
    ),
    "_awscrt awscrt.s3": ("awscrt", "boto3[crt], s3transfer, the AWS IoT SDK"),
    "psycopg": ("libpq through psycopg", "SQLAlchemy, Django"),
    "psycopg2": ("libpq through psycopg2", "SQLAlchemy, Django, aiopg"),
    "MySQLdb._mysql": ("libmariadb through mysqlclient", "Django, SQLAlchemy"),
    "mariadb._mariadb": ("libmariadb through mariadb", "SQLAlchemy"),
    "_mysql_connector": ("mysql-connector's C extension", "mysql-connector-python"),
    "pycurl pycurl._pycurl": ("libcurl", "tornado's CurlAsyncHTTPClient, Celery's SQS transport"),
    "curl_cffi": ("curl_cffi", "curl_cffi.requests"),
    "_ldap bonsai._bonsai": ("libldap", "python-ldap, django-auth-ldap, bonsai"),
    "confluent_kafka.cimpl": ("librdkafka", "confluent-kafka"),
    "cproton": ("Qpid Proton", "python-qpid-proton"),
    "M2Crypto.m2": ("M2Crypto", "osc"),
    "rnet.rnet": ("BoringSSL in rnet", "rnet"),
    "wreq.wreq": ("BoringSSL in wreq", "wreq"),
    "pygit2.ffi": ("libgit2", "pygit2"),
    "pymssql._mssql": ("FreeTDS", "pymssql"),
    "tlslite.handshakesettings": ("tlslite-ng", "tlslite-ng"),
    "hf_transfer.hf_transfer": ("OpenSSL in hf_transfer", "huggingface_hub"),
    "adbc_driver_manager._lib": ("the drivers of ADBC", "adbc-driver-flightsql and others"),
}

# These have no version below 1.2. At 1.3 most of them refuse the calls that begin TLS: _tls_calls.
_INHERENT_AT_1_2 = {
    "granian.server granian.server.common": ("Granian", "its servers"),
    "grpc._cython.cygrpc": ("gRPC's BoringSSL", "grpcio, Google Cloud clients"),
    "obstore._obstore": ("rustls in obstore", "obstore"),
    "deltalake._internal": ("rustls in deltalake", "deltalake"),
    "pyarrow._azurefs pyarrow._fs pyarrow._gcsfs pyarrow._s3fs pyarrow._substrait": (
        "libcurl in Arrow",
        "pyarrow",
    ),
    "pyarrow._flight": ("gRPC in Arrow Flight", "pyarrow"),
    "impit.impit": ("rustls in impit", "impit, Crawlee"),
    "primp.primp": ("rustls in primp", "primp, ddgs"),
    "pyqwest._pyqwest": ("rustls in pyqwest", "pyqwest"),
    "temporalio.bridge.temporal_sdk_bridge": ("rustls in Temporal's SDK", "temporalio"),
    "_pulsar": ("OpenSSL in Pulsar's client", "pulsar-client"),
    "snowflake.connector._core.sf_core_python": (
        "rustls in Snowflake's core",
        "snowflake-connector-python 5",
    ),
    "opendal._opendal": ("rustls in OpenDAL", "opendal"),
    "_polars_runtime_32._polars_runtime _polars_runtime_64._polars_runtime "
    "_polars_runtime_compat._polars_runtime polars.polars": ("rustls in polars", "polars"),
}

#: Row -> the stack, who uses it, and floor -> coverage. (Nothing depends on the guards of urllib3
#: and of sub-interpreters, so they have no row.)
ABOUT = {
    row: (*about, coverage)
    for rows, coverage in (
        (_GUARDED, {"1.2": "guarded", "1.3": "guarded"}),
        (_INHERENT_AT_1_2, {"1.2": "inherent", "1.3": "guarded"}),
        ({"aioquic.tls": ("aioquic", "aioquic")}, {"1.2": "inherent", "1.3": "inherent"}),
    )
    for modules, about in rows.items()
    for row in modules.split()
}

# A folder or file that contains the library of a row under another name -> the row.
_CARRIERS = {
    "adbc_driver_bigquery": "adbc_driver_manager._lib",
    "adbc_driver_flightsql": "adbc_driver_manager._lib",
    "adbc_driver_postgresql": "adbc_driver_manager._lib",
    "adbc_driver_snowflake": "adbc_driver_manager._lib",
    "awscrt": "_awscrt",
    "cproton_ffi": "cproton",
    "mysql": "_mysql_connector",
    "psycopg2_binary": "psycopg2",
    "psycopg_binary": "psycopg",
    "psycopg_c": "psycopg",
    "cryptography": "cryptography.hazmat.bindings.openssl.binding",
    "pulsar_client": "_pulsar",
    "pyarrow": "pyarrow._fs",
    "_ssl": "ssl",
    "_pypy_openssl": "ssl",
    "libpython3": "ssl",  # a CPython with all of its extensions linked into it
}


def row_of_library(path: str) -> str:
    """Return the row of a library, by its name and the folders above it; empty if it has none."""
    rows = {**{row.split(".")[0]: row for row in ABOUT}, **_CARRIERS}
    # From the file upwards: the package is nearest. "pycurl.libs" belongs to "pycurl".
    for part in reversed(path.split(os.sep)):
        row = rows.get(part.split(".")[0])
        if row is not None:
            return row
    # A CPython that is one file contains the OpenSSL of its ssl.
    whole = "_ssl" in sys.builtin_module_names and os.path.basename(path).startswith("python")
    return "ssl" if whole else ""


def stack_of(row: str) -> str:
    """Return the name of the stack that a row belongs to."""
    return ABOUT[row][0]


def coverage(floor: str | None) -> dict[str, str]:
    """Return the coverage of each row at a floor."""
    return {row: facts[2].get(floor or "", "uncovered") for row, facts in ABOUT.items()}


def is_linked(library: str, names: Iterable[str]) -> bool:
    """Tell whether one of these names is that of a library: "libpq.so.5" is "libpq.so.5.15"."""
    file = os.path.basename(library)
    return any(file == name or file.startswith(f"{name}.") for name in names)


def describe(found: Iterable[Any], coverage: dict[str, str]) -> list[Any]:
    """Return each library of the inventory with its rows and their coverage, as JSON types.

    A library of the system belongs to the rows of all libraries that are linked to it. It is also
    ``"unknown"`` if one of those has no row, such as the program that embeds this Python.
    """
    libraries = list(found)

    def rows_of(library: Any, *users: Any) -> set[str]:
        """Return its own row, or the rows of the libraries linked to it; "" for no row."""
        row = row_of_library(library.path) or library.row
        linked = [
            user
            for user in libraries
            if user is not library and is_linked(library.path, user.names)
        ]
        if row or not linked:
            # psycopg without its C extension opens the libpq of the system by ctypes.
            opened = "psycopg.pq._pq_ctypes" in sys.modules and is_linked(
                library.path, ["libpq.so"]
            )
            return {row or ("psycopg" if opened else "")}
        others = [user for user in linked if user not in users]  # some are linked to each other
        return {row for user in others for row in rows_of(user, library, *users)}

    described = []
    for library in libraries:
        rows = rows_of(library) or {""}
        states = {coverage[row] if row else "unknown" for row in rows}
        named = ", ".join(sorted(rows - {""}))
        described.append(library.as_json(named, ", ".join(sorted(states))))
    return described


def _names(row: str) -> tuple[str, ...]:
    """Return the names of a row in a policy, the most exact first: the packages come last."""
    stack = stack_of(row)
    return row, stack, *sorted(other.split(".")[0] for other in ABOUT if stack_of(other) == stack)


def check_names(named: Iterable[str], source: str) -> None:
    """Check that each name is that of a stack, or of a module that brings one.

    Raises:
        PolicyError: one is not; the hint is the most similar name.
    """
    known = {name for row in ABOUT for name in _names(row)}
    for name in named:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            raise PolicyError(
                f"unknown stack in {source}: {name!r}",
                hint=f"did you mean {near[0]}?" if near else "tlsfloor stacks",
                value=name,
                source=source,
            )


def policy_for(row: str, policies: Iterable[tuple[str | None, dict[str, str]]]) -> str | None:
    """Return the strictest policy for a stack that is not covered; None if no source has one.

    Each of ``policies`` is that of one source: for any stack, and for some stacks by name.
    """
    names = _names(row)
    asked = {
        next((by_name[name] for name in names if name in by_name), general)
        for general, by_name in policies
    }
    return next((policy for policy in reversed(POLICIES) if policy in asked), None)
