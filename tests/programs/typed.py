"""What programs write, and mistakes, each marked with what it raises when it is executed.

"silent" means: nothing is raised, so only a type checker finds it. tests/test_types.py asserts that
type checkers report the marked lines and no others, and that they raise what the marks say.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, cast

import tlsfloor
import tlsfloor.verifier.in_process
from tlsfloor.verify import cases  # wrong: ModuleNotFoundError
from tlsfloor import Floor, FloorNotHeldError
from tlsfloor import observe  # wrong: ImportError
from tlsfloor.errors import PolicyError, ProtocolRefused
from tlsfloor.errors import PolicyEror  # wrong: ImportError
from tlsfloor.testing.floors import TLSFloor
from tlsfloor.testing.peers import legacy_client, legacy_servers

if TYPE_CHECKING:
    from tlsfloor.testing.peers import LegacyClient, LegacyServers

# --- require() and what it raises


def not_held() -> FloorNotHeldError:
    try:
        tlsfloor.require("1.2")
    except FloorNotHeldError as error:
        return error
    raise AssertionError


refused = not_held()
print(refused.status.held, refused.status.problems, refused.hint, refused.problem)
print(refused.status["problems"])  # wrong: TypeError
print(refused.status.is_held)  # wrong: AttributeError
print(refused.stat)  # wrong: AttributeError
print(refused.findings)  # wrong: AttributeError
same: Optional[FloorNotHeldError] = refused
tlsfloor.require(ssl.TLSVersion(0x0303)) if refused.status else None
tlsfloor.require(ssl.PROTOCOL_TLS_CLIENT)  # wrong: PolicyError
tlsfloor.require()  # wrong: TypeError
print(tlsfloor.require("1.2").held)  # wrong: FloorNotHeldError

# --- enforce()

events: List[Dict[str, Any]] = []
tlsfloor.enforce(1.2)  # wrong: PolicyError
tlsfloor.enforce("1.4")  # wrong: PolicyError
tlsfloor.enforce("tls1.2.3")  # wrong: PolicyError
tlsfloor.enforce(b"1.2")  # wrong: PolicyError
tlsfloor.enforce(None)  # wrong: PolicyError
tlsfloor.enforce(str(1.2))  # wrong: silent
tlsfloor.enforce("1.2", "observe")  # wrong: TypeError
tlsfloor.enforce("1.2", mode="observed")  # wrong: PolicyError
tlsfloor.enforce("1.2", uncovered="allow")  # wrong: PolicyError
tlsfloor.enforce("1.2", unknown="refuse")  # wrong: PolicyError
tlsfloor.enforce("1.2", stacks={"pycurl": "ignore"})  # wrong: PolicyError
tlsfloor.enforce("1.2", stacks=["pycurl"])  # wrong: PolicyError
tlsfloor.enforce("1.2", on_event="events.jsonl")  # wrong: PolicyError
tlsfloor.enforce("1.2", on_event=lambda: None)  # wrong: silent
tlsfloor.enforce("1.2", on_events=events.append)  # wrong: TypeError
tlsfloor.enforec("1.2")  # wrong: AttributeError
tlsfloor.enforce("1.2", mode="observe", on_event=events.append)
tlsfloor.enforce(cast("Floor", "TLSv1.2"), children=False)
status = tlsfloor.enforce("1.2", uncovered="block", unknown=None, stacks={"pycurl": "warn"})

# --- status()

floor: Optional[str] = tlsfloor.status().floor
print(status.held, bool(status), status.floor == "1.2", status.observed is None, status.below)
print(status.floor == "TLSv1.2")  # wrong, not for ty: silent
print(status.hold)  # wrong: AttributeError
print(tlsfloor.status.held)  # wrong: AttributeError
print(status.counts["raise"])  # wrong: KeyError
print(len(status.stacks), status.counts["raised"], status.children.upper(), status.events)
print(status.children.held)  # wrong: AttributeError
for arming in status.armings:
    print(arming["floor"], arming["mode"] == "observe", arming["set_by"].upper())
    print(arming["setby"])  # wrong: KeyError
    print(arming.floor)  # wrong: AttributeError
    print(arming["mode"] == "observed")  # wrong, not for ty: silent
for library in tlsfloor.status().libraries:
    print(library["path"], library["coverage"], [part["path"] for part in library["parts"]])
    print(library["covered"])  # wrong: KeyError
    print(library["parts"][999]["file"])  # wrong: IndexError
for exemption in status.exemptions:
    print(exemption["host"], exemption["days_left"] + 1, exemption["applies"])
as_json: Mapping[str, object] = status.as_dict()
print(status.as_json())  # wrong: AttributeError
number: int = tlsfloor.enforce("1.2")  # wrong: silent

# --- raise_context()

context = ssl.create_default_context()
tlsfloor.raise_context(context, "1.3")
tlsfloor.raise_context(context, ssl.TLSVersion.TLSv1_3)
tlsfloor.raise_context("1.3", context)  # wrong: PolicyError
tlsfloor.raise_context(context)  # wrong: TypeError
tlsfloor.raise_context(ssl, "1.3")  # wrong: TypeError

# --- verify(), which is a function although a package with a similar name was imported

result = tlsfloor.verify("1.2")
print(bool(result), tlsfloor.verify().floor, tlsfloor.verifier.in_process.verify is tlsfloor.verify)
tlsfloor.require(result.floor)
for attempt in (*result.below, *result.doubts, *result.observations):
    print(attempt.role == "client", attempt.outcome == "accepted", attempt.version + 1)
    print(attempt.outcome == "succeeded")  # wrong, not for ty: silent
    print(attempt.outcom)  # wrong: AttributeError
print(tlsfloor.verify.below)  # wrong: AttributeError
print(result.ok)  # wrong: AttributeError
print(tlsfloor.verify(12))  # wrong: PolicyError

# --- errors


def what_failed(error: tlsfloor.TLSFloorError) -> str:
    if isinstance(error, PolicyError):
        return f"{error.source}: {error.value!r}"
    if isinstance(error, tlsfloor.GuardError):
        return ", ".join(error.findings)
    if isinstance(error, ProtocolRefused):
        return f"{error.floor} {error.set_by} {error.reason}"
    return error.problem


print(what_failed(PolicyError("a floor is wrong", hint="write 1.2", value="12", source="APP_TLS")))
print(what_failed(ValueError("a floor is wrong")))  # wrong: AttributeError
print(tlsfloor.errors.PolicyError().hint)
print(PolicyError().sources)  # wrong: AttributeError
print(tlsfloor.GuardError().finding)  # wrong: AttributeError

# --- the floor of a library's user


def connect(minimum: Floor = "1.2") -> None:
    tlsfloor.require(minimum)


async def serve(minimum: Floor) -> None:
    await asyncio.get_running_loop().run_in_executor(None, tlsfloor.require, minimum)


connect()
connect(ssl.TLSVersion.TLSv1_2)
connect("1.5")  # wrong: PolicyError
asyncio.run(serve("1.2"))

# --- the plugin of pytest, in a suite that annotates its fixtures


def use(tls_floor: "TLSFloor", start: "LegacyServers", connect: "LegacyClient") -> None:
    with tls_floor("1.2") as seen:
        print(seen.below, seen.refused, seen.asked)
        print(seen.belw)  # wrong: AttributeError
    tls_floor("1.4").__enter__()  # wrong: PolicyError
    start("9")  # wrong: PolicyError
    start("1.0", "dh")  # wrong: PolicyError
    start("1.0", cipher="x")  # wrong: TypeError
    server = start("1.2", "ecdhe", client_certificate=False)
    print(server.url, server.ca_file, connect(server.port, "1.2", host="127.0.0.1").version)
    print(connect(server.port, "1.2").versions)  # wrong: AttributeError
    print(server.handshakes()[0].error, server.port + 1)
    print(server.handshake())  # wrong: AttributeError


with legacy_servers() as start:
    use(TLSFloor("a test"), start, legacy_client())
