"""The guard of Arrow: of its file systems in clouds, and of Flight.

Arrow brings the AWS SDK, Google's and Azure's, all over libcurl, and Flight, which is gRPC. None
has a minimum that a program could set. Local files, memory and Flight in plain text need none.

The types are Cython's. A subclass takes the place of each that connects. ``FileSystem.from_uri()``,
which makes such a thing in C++ from an address, is gated where it is.
"""

from __future__ import annotations

import os

from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_FILES = "use s3fs, gcsfs or adlfs, which Arrow takes as well and which speak TLS by Python's ssl"
_FLIGHT = "use a location that begins with grpc+tcp: or grpc+unix:"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Refuse what would begin TLS.

    Raises:
        GuardError: this Arrow has other types.
    """
    row = _tls_calls.row_of(module)
    found = _tls_calls.state(module, _STACKS[row], versions.TLS1_2)
    if found == "guarded":
        _GUARDS[row](module)
    return found


def below() -> list[str]:
    """Say that there may be file systems and clients older than the floor: nothing lists them."""
    what = "remote file system or Flight client of Arrow"
    return sorted({each for row in _GUARDS for each in _tls_calls.older(row, what)})


def _files(module: ModuleType) -> None:
    kind = getattr(*_tls_calls.find(module, "FileSystem"))
    _tls_calls.gate_method(_gates, kind, "from_uri", _judge_uri, _tls_calls.row_of(module))
    if hasattr(kind, "_native_from_uri"):
        _tls_calls.gate_method(
            _gates, kind, "_native_from_uri", _judge_uri, _tls_calls.row_of(module)
        )


def _s3(module: ModuleType) -> None:
    _tls_calls.gate_constructor(_gates, module, "S3FileSystem", _judge_s3)
    _tls_calls.gate(_gates, module, "resolve_s3_region", _judge_other)


def _gcs(module: ModuleType) -> None:
    _tls_calls.gate_constructor(_gates, module, "GcsFileSystem", _judge_gcs)


def _azure(module: ModuleType) -> None:
    _tls_calls.gate_constructor(_gates, module, "AzureFileSystem", _judge_azure)


def _flight(module: ModuleType) -> None:
    for name in ("FlightClient", "FlightServerBase"):
        _tls_calls.gate_constructor(_gates, module, name, _judge_flight)
    _tls_calls.gate(_gates, module, "connect", _judge_flight)
    client = getattr(*_tls_calls.find(module, "FlightClient"))
    if not _gates.stands(client, "connect") and hasattr(client, "connect"):

        def connect(cls: Any, location: Any, *args: Any, **kwargs: Any) -> Any:
            if args:  # as the method of old that this is
                names = ("tls_root_certs", "cert_chain", "private_key", "override_hostname")
                kwargs.update(zip(names, args))
            return cls(location, **kwargs)

        _gates.put(client, "connect", classmethod(connect))


def _substrait(module: ModuleType) -> None:
    _tls_calls.gate(_gates, module, "run_query", _judge_plan)


_GUARDS = {
    "pyarrow._azurefs": _azure,
    "pyarrow._flight": _flight,
    "pyarrow._fs": _files,
    "pyarrow._gcsfs": _gcs,
    "pyarrow._s3fs": _s3,
    "pyarrow._substrait": _substrait,
}
_STACKS = dict.fromkeys(_GUARDS, "Arrow's libcurl") | {"pyarrow._flight": "Arrow's gRPC"}


def _judge_uri(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    address = args[0] if args else kwargs.get("uri")
    scheme = _addresses.scheme_of(address)
    # Those of fsspec are Python's; hdfs and viewfs are Java's.
    if scheme in {"", "file", "mock", "hdfs", "viewfs", "hf"} or scheme.startswith("fsspec+"):
        return
    query = str(address).partition("?")[2]
    if scheme == "s3" and "scheme=http" in query.split("&"):
        _judge_s3(row, (), {"scheme": "http", "access_key": "@" in str(address)})
    else:
        _refuse(row, f"the file system of {address!r}")


def _judge_s3(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args
    proxy = kwargs.get("proxy_options") or ""
    proxied = str(proxy.get("scheme") if isinstance(proxy, dict) else proxy).startswith("https")
    # Else a role is assumed, or a token fetched, by TLS.
    keys = (
        kwargs.get("access_key") or kwargs.get("anonymous") or os.environ.get("AWS_ACCESS_KEY_ID")
    )
    if kwargs.get("scheme") == "http" and keys and not proxied and not _addresses.proxied_by_tls():
        _tls_calls.plain(row, _STACKS[row])
    else:
        _refuse(row, "S3FileSystem")


def _judge_gcs(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args
    known = kwargs.get("anonymous") or kwargs.get("access_token")
    impersonated = kwargs.get("target_service_account")
    if kwargs.get("scheme") == "http" and known and not impersonated:
        _tls_calls.plain(row, _STACKS[row])
    else:
        _refuse(row, "GcsFileSystem")


def _judge_azure(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args
    schemes = [kwargs.get(f"{each}_storage_scheme") for each in ("blob", "dfs")]
    if schemes == ["http", "http"] and (kwargs.get("account_key") or kwargs.get("sas_token")):
        _tls_calls.plain(row, _STACKS[row])
    else:
        _refuse(row, "AzureFileSystem")


def _judge_other(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    del args, kwargs
    _refuse(row, "resolve_s3_region()")


def _judge_plan(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    plan = args[0] if args else kwargs.get("plan", b"")
    if _addresses.mentions(plan if isinstance(plan, (str, bytes)) else bytes(plan)):
        _refuse(row, "what a plan names")


def _judge_flight(row: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    location = args[0] if args else kwargs.get("location")
    if isinstance(location, (tuple, type(None))):
        asked = ("tls_root_certs", "tls_certificates")
        tls = any(kwargs.get(name) for name in asked)
        tls = tls or kwargs.get("disable_server_verification") is not None
    else:
        address = getattr(location, "uri", location)
        scheme = _addresses.scheme_of(address)
        tls = scheme not in {"grpc", "grpc+tcp", "grpc+unix"} or bool(
            kwargs.get("tls_certificates")
        )
    if tls:
        _tls_calls.refuse(
            row,
            "Flight speaks TLS 1.2, and gRPC has no setting that forbids it",
            _FLIGHT,
        )


def _refuse(row: str, what: str) -> None:
    _tls_calls.refuse(
        row, f"{what} of Arrow speaks TLS 1.2, and has no setting that forbids it", _FILES
    )
