"""The guard of Arrow: of its file systems in clouds, and of Flight.

Arrow brings the SDKs of AWS, Google and Azure, all over libcurl, and Flight, which is gRPC. None of
them has a minimum that a program could set. Local files, memory and Flight in plain text need none.

The checks stand before the constructors of the types that connect, and before what makes such an
object in C++: ``FileSystem.from_uri()`` for an address, ``_reconstruct()`` for a pickle.
"""

from __future__ import annotations

import os

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._tls_calls import Call, TLSCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_calls = TLSCalls(
    "remote file system or Flight client of Arrow",
    hint="use s3fs, gcsfs or adlfs, which Arrow takes as well and which speak TLS by Python's ssl",
)
below, _gates = _calls.below, _calls.gates


def guard(module: ModuleType) -> str:
    """Refuse what would begin TLS.

    Raises:
        GuardError: this Arrow has other types.
    """
    state = _calls.guard(module)
    client = getattr(module, "FlightClient", None)
    if state == "guarded" and hasattr(client, "connect") and not _gates.stands(client, "connect"):
        # The original, which is deprecated, makes a client of the C type.
        def connect(cls: Any, location: Any, *args: Any, **kwargs: Any) -> Any:
            names = ("tls_root_certs", "cert_chain", "private_key", "override_hostname")
            return cls(location, **{**kwargs, **dict(zip(names, args))})

        _gates.put(client, "connect", classmethod(connect))
    return state


@_calls.check("pyarrow._fs:FileSystem.from_uri", "pyarrow._fs:?FileSystem._native_from_uri")
def _check_uri(call: Call) -> None:
    uri = call.get(0, "uri")
    scheme = _addresses.scheme_of(uri)
    # Those of fsspec are Python's; hdfs and viewfs are Java's.
    if scheme in {"", "file", "mock", "hdfs", "viewfs", "hf"} or scheme.startswith("fsspec+"):
        return
    query = str(uri).partition("?")[2]
    if scheme == "s3" and "scheme=http" in query.split("&"):
        options = {"scheme": "http", "access_key": "@" in str(uri)}
        _check_s3(Call(_calls, call.row, (), options))
    else:
        call.refuse(f"the file system of {uri!r}")


@_calls.check("pyarrow._s3fs:?S3FileSystem._reconstruct", "pyarrow._s3fs:S3FileSystem.__init__")
def _check_s3(call: Call) -> None:
    options = call.kwargs
    proxy = options.get("proxy_options") or ""
    proxied = str(proxy.get("scheme") if isinstance(proxy, dict) else proxy).startswith("https")
    # Without these a role is assumed, or a token fetched, by TLS.
    known = options.get("access_key") or options.get("anonymous")
    known = known or os.environ.get("AWS_ACCESS_KEY_ID")
    plain = options.get("scheme") == "http" and not proxied and not _addresses.proxied_by_tls()
    _decide(call, plain and known, "S3FileSystem")


@_calls.check("pyarrow._gcsfs:?GcsFileSystem._reconstruct", "pyarrow._gcsfs:GcsFileSystem.__init__")
def _check_gcs(call: Call) -> None:
    options = call.kwargs
    known = options.get("anonymous") or options.get("access_token")
    plain = options.get("scheme") == "http" and not options.get("target_service_account")
    _decide(call, plain and known, "GcsFileSystem")


@_calls.check(
    "pyarrow._azurefs:?AzureFileSystem._reconstruct", "pyarrow._azurefs:AzureFileSystem.__init__"
)
def _check_azure(call: Call) -> None:
    options = call.kwargs
    schemes = [options.get(f"{service}_storage_scheme") for service in ("blob", "dfs")]
    known = options.get("account_key") or options.get("sas_token")
    _decide(call, schemes == ["http", "http"] and known, "AzureFileSystem")


def _decide(call: Call, plain: object, what: str) -> None:
    """Let a file system pass that is plain text, with credentials that are known; refuse others."""
    if plain:
        call.plain()
    else:
        call.refuse(what)


@_calls.check("pyarrow._s3fs:resolve_s3_region")
def _check_region(call: Call) -> None:
    call.refuse("resolve_s3_region()")


@_calls.check("pyarrow._substrait:run_query")
def _check_plan(call: Call) -> None:
    plan = call.get(0, "plan", b"")
    if _addresses.mentions(plan if isinstance(plan, (str, bytes)) else bytes(plan)):
        call.refuse("what a plan names")


@_calls.check(
    "pyarrow._flight:connect",
    "pyarrow._flight:FlightClient.__init__",
    "pyarrow._flight:FlightServerBase.__init__",
)
def _check_flight(call: Call) -> None:
    location = call.get(0, "location")
    tls = bool(call.kwargs.get("tls_certificates"))
    if isinstance(location, (tuple, type(None))):
        tls = tls or bool(call.kwargs.get("tls_root_certs"))
        tls = tls or call.kwargs.get("disable_server_verification") is not None
    else:
        scheme = _addresses.scheme_of(getattr(location, "uri", location))
        tls = tls or scheme not in {"grpc", "grpc+tcp", "grpc+unix"}
    if tls:
        call.refuse("Flight", "use a location that begins with grpc+tcp: or grpc+unix:")
