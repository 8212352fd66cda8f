"""What is known of each row of the table: for people, and for the inventory of libraries.

What a row claims here at a floor is what its guard comes to there; a test compares the two.
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

GUARDED = {"1.2": "guarded", "1.3": "guarded"}

#: No version below 1.2 is in it, and what would begin TLS is refused at 1.3 (see ``_tls_calls``).
REFUSED_ABOVE_1_2 = {"1.2": "inherent", "1.3": "guarded"}

#: Row -> the stack, who uses it, and floor -> coverage. (Of ``pins`` nothing depends: no row.)
ABOUT = {
    "ssl": (
        "ssl",
        "urllib3, requests, botocore, redis-py, asyncio, aiohttp, httpx and most others",
        GUARDED,
    ),
    "OpenSSL.SSL": (
        "pyOpenSSL",
        "Twisted, Scrapy, pymongo, urllib3.contrib.pyopenssl, redis-py's OCSP check, python-tds",
        GUARDED,
    ),
    "cryptography.hazmat.bindings.openssl.binding": (
        "cryptography's OpenSSL",
        "pyOpenSSL, and programs that call its functions through Binding.lib",
        GUARDED,
    ),
    "_awscrt": ("awscrt", "boto3[crt], s3transfer, the AWS IoT SDK", GUARDED),
    "awscrt.s3": ("awscrt", "boto3[crt], s3transfer, the AWS IoT SDK", GUARDED),
    "psycopg": ("libpq through psycopg", "SQLAlchemy, Django", GUARDED),
    "psycopg2": ("libpq through psycopg2", "SQLAlchemy, Django, aiopg", GUARDED),
    "MySQLdb._mysql": ("libmariadb through mysqlclient", "Django, SQLAlchemy", GUARDED),
    "mariadb._mariadb": ("libmariadb through mariadb", "SQLAlchemy", GUARDED),
    "_mysql_connector": ("mysql-connector's C extension", "mysql-connector-python", GUARDED),
    "pycurl": ("libcurl", "tornado's CurlAsyncHTTPClient, Celery's SQS transport", GUARDED),
    "pycurl._pycurl": ("libcurl", "tornado's CurlAsyncHTTPClient, Celery's SQS transport", GUARDED),
    "curl_cffi": ("curl_cffi", "curl_cffi.requests", GUARDED),
    "_ldap": ("libldap", "python-ldap, django-auth-ldap, bonsai", GUARDED),
    "bonsai._bonsai": ("libldap", "python-ldap, django-auth-ldap, bonsai", GUARDED),
    "confluent_kafka.cimpl": ("librdkafka", "confluent-kafka", GUARDED),
    "cproton": ("Qpid Proton", "python-qpid-proton", GUARDED),
    "M2Crypto.m2": ("M2Crypto", "osc", GUARDED),
    "rnet.rnet": ("BoringSSL in rnet", "rnet", GUARDED),
    "wreq.wreq": ("BoringSSL in wreq", "wreq", GUARDED),
    "pygit2.ffi": ("libgit2", "pygit2", GUARDED),
    "granian.server": ("Granian", "its servers", {"1.2": "inherent", "1.3": "guarded"}),
    "granian.server.common": ("Granian", "its servers", {"1.2": "inherent", "1.3": "guarded"}),
    "pymssql._mssql": ("FreeTDS", "pymssql", GUARDED),
    "tlslite.handshakesettings": ("tlslite-ng", "tlslite-ng", GUARDED),
    "hf_transfer.hf_transfer": ("OpenSSL in hf_transfer", "huggingface_hub", GUARDED),
    "grpc._cython.cygrpc": ("gRPC's BoringSSL", "grpcio, Google Cloud clients", REFUSED_ABOVE_1_2),
    "obstore._obstore": ("rustls in obstore", "obstore", REFUSED_ABOVE_1_2),
    "deltalake._internal": ("rustls in deltalake", "deltalake", REFUSED_ABOVE_1_2),
    **{
        f"pyarrow.{name}": ("libcurl in Arrow", "pyarrow", REFUSED_ABOVE_1_2)
        for name in ("_azurefs", "_fs", "_gcsfs", "_s3fs", "_substrait")
    },
    "pyarrow._flight": ("gRPC in Arrow Flight", "pyarrow", REFUSED_ABOVE_1_2),
    "impit.impit": ("rustls in impit", "impit, Crawlee", REFUSED_ABOVE_1_2),
    "primp.primp": ("rustls in primp", "primp, ddgs", REFUSED_ABOVE_1_2),
    "pyqwest._pyqwest": ("rustls in pyqwest", "pyqwest", REFUSED_ABOVE_1_2),
    "temporalio.bridge.temporal_sdk_bridge": (
        "rustls in Temporal's SDK",
        "temporalio",
        REFUSED_ABOVE_1_2,
    ),
    "_pulsar": ("OpenSSL in Pulsar's client", "pulsar-client", REFUSED_ABOVE_1_2),
    "adbc_driver_manager._lib": (
        "the drivers of ADBC",
        "adbc-driver-flightsql and others",
        GUARDED,
    ),
    "snowflake.connector._core.sf_core_python": (
        "rustls in Snowflake's core",
        "snowflake-connector-python 5",
        REFUSED_ABOVE_1_2,
    ),
    "opendal._opendal": ("rustls in OpenDAL", "opendal", REFUSED_ABOVE_1_2),
    **{
        f"_polars_runtime_{kind}._polars_runtime": ("rustls in polars", "polars", REFUSED_ABOVE_1_2)
        for kind in ("32", "64", "compat")
    },
    "polars.polars": ("rustls in polars", "polars", REFUSED_ABOVE_1_2),
    "aioquic.tls": ("aioquic", "aioquic", {"1.2": "inherent", "1.3": "inherent"}),
}

# Where a package of another name carries the library of a row: its folder or file -> the row.
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


def row_of(path: str) -> str:
    """Return the row that a library belongs to, by its name and the folders above; else nothing."""
    rows = {**{row.split(".")[0]: row for row in ABOUT}, **_CARRIERS}
    # From the file upwards: the package is nearest. "pycurl.libs" is of "pycurl".
    for part in reversed(path.split(os.sep)):
        row = rows.get(part.split(".")[0])
        if row is not None:
            return row
    # A CPython that is one file has the OpenSSL of its ssl in it.
    whole = "_ssl" in sys.builtin_module_names and os.path.basename(path).startswith("python")
    return "ssl" if whole else ""


def stack_of(row: str) -> str:
    """Return the name of the stack that a row belongs to."""
    return ABOUT[row][0]


def coverage(floor: str | None) -> dict[str, str]:
    """Return what each row comes to at a floor; one that it does not name is not covered."""
    return {row: facts[2].get(floor or "", "uncovered") for row, facts in ABOUT.items()}


def describe(found: Iterable[Any], coverage: dict[str, str]) -> list[dict[str, str]]:
    """Return each library (of ``verify``) with its rows and what they come to, as JSON types.

    One of the system belongs to all that are linked to it: it is of every row of theirs, and also
    ``"unknown"`` where one of them is of no row, as the program that embeds this Python may be.

    .. versionadded:: 0.1
    """
    libraries = list(found)

    def rows_of(library: Any, *users: Any) -> set[str]:
        """Return its rows, or those of what is linked to it; an empty one for what has none."""
        name, row = os.path.basename(library.path), row_of(library.path)
        linked = [each for each in libraries if name in each.names and each is not library]
        if row or not linked:
            return {row}
        others = [each for each in linked if each not in users]  # some need one another
        return {row for each in others for row in rows_of(each, library, *users)}

    described = []
    for each in libraries:
        rows = rows_of(each) or {""}
        states = {coverage[row] if row else "unknown" for row in rows}
        described.append(
            {
                "path": each.path,
                "implementation": str(each),
                "stack": ", ".join(sorted(rows - {""})),
                "coverage": ", ".join(sorted(states)),
            }
        )
    return described


def _names(row: str) -> tuple[str, ...]:
    """Return what a policy may call a row, the most exact first: the packages come last."""
    stack = ABOUT[row][0]
    return row, stack, *sorted(each.split(".")[0] for each in ABOUT if ABOUT[each][0] == stack)


def check_names(named: Iterable[str], source: str) -> None:
    """Look for a stack, or a module that brings one, of each name.

    Raises:
        PolicyError: there is none; the nearest name is its hint.

    .. versionadded:: 0.1
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


def strength(row: str, wanted: Iterable[tuple[str | None, dict[str, str]]]) -> str | None:
    """Return what is wanted of a stack that is not covered: the strictest, None if nobody cares.

    Each of ``wanted`` says what its source wants of any stack, and of some by name.

    .. versionadded:: 0.1
    """
    names = _names(row)
    asked = {
        next((named[name] for name in names if name in named), general) for general, named in wanted
    }
    return next((each for each in reversed(POLICIES) if each in asked), None)
