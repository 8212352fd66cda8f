"""The guard of the Rust core that Snowflake's connector has since version 5.

Python calls the core by the name of a method. The method that opens a session is refused, because
sessions are always https. Earlier connectors speak TLS by Python's ``ssl``.
"""

from __future__ import annotations

from tlsfloor.stacks._tls_calls import Call, TLSCalls

_calls = TLSCalls(
    "connection of Snowflake",
    hint="use snowflake-connector-python<5, which speaks TLS by Python's ssl",
)
guard, below, _gates = _calls.guard, _calls.below, _calls.gates


@_calls.check("call_proto", "call_proto_async")
def _check_method(call: Call) -> None:
    if "connection_init" in call.values:
        call.refuse("a session")
