"""The guard of Temporal's SDK, whose core is Rust and speaks TLS by rustls.

The SDK looks up the functions of its core at each call, so the checks stand there. TLS begins in
three places: a client with TLS options or an https URL, the export of metrics to an https URL, and
the download of a development server.
"""

from __future__ import annotations

from tlsfloor.stacks import _addresses
from tlsfloor.stacks._tls_calls import Call, TLSCalls

_calls = TLSCalls("client of Temporal", hint="connect without TLS, to a proxy that holds TLS 1.3")
guard, below, _gates = _calls.guard, _calls.below, _calls.gates


@_calls.check("connect_client")
def _check_client(call: Call) -> None:
    for config in call.values:
        has_tls = getattr(config, "tls_config", None) is not None
        if has_tls or _addresses.scheme_of(getattr(config, "target_url", "")) == "https":
            call.refuse("a client")


@_calls.check("init_runtime")
def _check_metrics(call: Call) -> None:
    for options in call.values:
        telemetry = getattr(options, "telemetry", options)
        exporter = getattr(getattr(telemetry, "metrics", None), "opentelemetry", None)
        if _addresses.scheme_of(getattr(exporter, "url", "")) == "https":
            call.refuse("the export of metrics")


@_calls.check("start_dev_server", "start_test_server")
def _check_download(call: Call) -> None:
    for config in call.values:
        if hasattr(config, "existing_path") and not config.existing_path:
            call.refuse("the download of a server")
