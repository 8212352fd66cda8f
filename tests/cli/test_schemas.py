"""Each command's JSON has a published schema that is exact: no key is missing or undescribed."""

from __future__ import annotations

import json
import os
import venv
from typing import TYPE_CHECKING, Any

import pytest
from parts import need

import outputs
from programs import armed_environment, python
from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.verifier import sarif
from tlsfloor.versions import TLS1_2

need("jsonschema", "rich", "tlslite", "urllib3")

import jsonschema  # noqa: E402 - only where it is there

if TYPE_CHECKING:
    from collections.abc import Iterator


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield each object with keys that a schema describes."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and "additionalProperties" in schema:
            yield schema
        for each in schema.values():
            yield from objects(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from objects(each)


@pytest.mark.parametrize("name", outputs.NAMES)
def test_a_schema_is_valid_closed_and_described(name: str) -> None:
    schema = outputs.schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    number = schema["properties"]["schema"]["const"]
    assert schema["$id"] == f"{sarif.ADDRESS}/schemas/{name}-{number}.json"
    open_ones = [key for key, part in schema["$defs"].items() if "additionalProperties" not in part]
    # The facts of an interpreter are its own words.
    assert set(open_ones) <= {"verdict", "facts"}
    for each in objects(schema):
        assert each["additionalProperties"] is False
        assert set(each["required"]) <= set(each["properties"])
        for key, value in each["properties"].items():
            assert value.get("description") or "$ref" in value, key


def test_the_folder_has_no_other_file() -> None:
    assert {each.name for each in outputs.SCHEMAS.iterdir()} == {
        f"{name}.json" for name in outputs.NAMES
    }


def test_what_schemas_share_is_the_same_in_each() -> None:
    shared: dict[str, Any] = {}
    for name in outputs.NAMES:
        for key, part in outputs.schema(name)["$defs"].items():
            assert shared.setdefault(key, part) == part, f"{name}: {key}"
    assert {"tool", "run", "library"} <= set(shared)


#: A program that connects below the floor that it has.
CONNECT = """
import socket, ssl, sys
context = ssl._create_unverified_context()
context.minimum_version = ssl.TLSVersion.TLSv1
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
    context.wrap_socket(plain, server_hostname="localhost").close()
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each command prints, and a line of events, in an environment with all that there is."""
    folder = tmp_path_factory.mktemp("real")
    exemptions, events = folder / "exemptions.toml", folder / "events.jsonl"
    exemptions.write_text(
        '[[exemption]]\nhost = "erp.example"\nminimum = "1.0"\nreason = "r"\nexpires = 2099-01-01\n'
    )
    env = armed_environment(TLSFLOOR_EXEMPTIONS=str(exemptions), TLSFLOOR_EVENTS=str(events))
    # An environment without packages: the one of the tests has hundreds of files to search.
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    found: dict[str, Any] = {}
    with ServerPeer(TLS1_2, "ecdhe") as peer:
        done = python("-c", CONNECT, str(peer.port), env=env)
        assert done.returncode == 0, done.stderr
        calls = {
            "status": ["status"],
            "stacks": ["stacks", os.path.join(os.path.dirname(os.__file__), "lib-dynload")],
            "check": ["check", f"127.0.0.1:{peer.port}", "127.0.0.1:1"],
            "report": ["report", str(events), str(folder / "missing.jsonl")],
            "verify": ["verify", "--hello", "--role", "client", str(environment)],
        }
        for name, call in calls.items():
            done = python("-m", "tlsfloor", *call, "--json", env=env)
            found[name] = json.loads(done.stdout)
    found["event"] = json.loads(events.read_text().splitlines()[-1])
    done = python("-m", "tlsfloor", "report", "--condense", "-", str(events), env=env)
    found["condensed"] = json.loads(done.stdout.splitlines()[0])
    return found


@pytest.mark.parametrize("name", outputs.NAMES)
def test_what_a_command_prints_is_valid(name: str, real: dict[str, Any]) -> None:
    assert outputs.validate(json.dumps(real[name])) == name


@pytest.mark.parametrize("name", outputs.NAMES)
def test_a_key_more_or_less_is_not_valid(name: str, real: dict[str, Any]) -> None:
    """A control, in each object of ours: a schema that takes everything proves nothing."""

    def is_valid() -> bool:
        return validator.is_valid(found)

    validator = jsonschema.Draft202012Validator(outputs.schema(name))
    found = shortened(real[name])
    tried = 0
    for owner in dictionaries(found):
        owner["unheard of"] = None  # no schema of ours has a value null for each key
        tried += not is_valid()
        del owner["unheard of"]
    assert is_valid()
    for key in outputs.schema(name)["required"]:
        value = found.pop(key)
        assert not is_valid(), key
        found[key] = value
    # All but the facts of an interpreter, which are its own words.
    facts = [
        launch["facts"] for each in found.get("interpreters", ()) for launch in each["launches"]
    ]
    own_words = [each for part in facts for each in dictionaries(part)]
    assert tried == len(list(dictionaries(found))) - len(own_words)
    assert tried


def shortened(found: Any) -> Any:
    """Return a copy that has at most two of each kind: each of a hundred cases is like the next."""
    if isinstance(found, dict):
        return {key: shortened(value) for key, value in found.items()}
    return [shortened(each) for each in found[:2]] if isinstance(found, list) else found


def dictionaries(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        yield found
    for each in found.values() if isinstance(found, dict) else found:
        if isinstance(each, (dict, list)):
            yield from dictionaries(each)


def test_real_outputs_have_all_that_an_auditor_asks_for(real: dict[str, Any]) -> None:
    kinds = {name: real[name]["evidence"] for name in outputs.NAMES if "run" in real[name]}
    assert kinds == {
        "status": "process",
        "stacks": "files",
        "check": "connections",
        "report": "events",
        "verify": "hello",
    }
    assert {real[name]["floor"] for name in kinds} == {"1.2"}
    [exemption] = real["status"]["exemptions"]
    assert exemption["host"] == "erp.example"
    assert real["check"]["endpoints"][0]["attempts"]
    assert real["report"]["files"]["unreadable"]
