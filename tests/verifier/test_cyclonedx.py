"""``tlsfloor verify --format cyclonedx``: what an interpreter speaks, as a bill of materials."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

import outputs
from parts import need
from programs import armed_environment, clean_environment, python
from verify_reports import a_report, examined, result
from tlsfloor.versions import SSL3, TLS1_0, TLS1_2, TLS1_3

need("cyclonedx", "jsonschema", "rich", "tlslite")

from tlsfloor.inventory import libraries  # noqa: E402
from tlsfloor.verifier import cyclonedx, find  # noqa: E402 - only where its package is there


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without packages."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    return folder


def bom(environment: Path, **variables: str) -> dict[str, Any]:
    """Verify an environment; return the bill of materials, after it has been validated."""
    file = environment / "bom.json"
    words = ["verify", str(environment), "--role", "client"]
    command = ["-m", "tlsfloor", *words, "--format", "cyclonedx", "--output", str(file)]
    done = python(
        *command, env=armed_environment(**variables) if variables else clean_environment()
    )
    assert done.returncode == (0 if variables else 1), done.stderr
    text = file.read_text()
    assert outputs.validate(text) == "cyclonedx"
    found: dict[str, Any] = json.loads(text)
    return found


def of_type(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in found["components"] if each["type"] == kind]


def properties(component: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in component["properties"]}


@pytest.fixture(scope="module")
def unarmed(environment: Path) -> dict[str, Any]:
    return bom(environment)


def test_the_interpreter_has_a_verdict_and_its_digest(
    unarmed: dict[str, Any], environment: Path
) -> None:
    [interpreter] = of_type(unarmed, "application")
    facts = properties(interpreter)
    path = Path(facts["tlsfloor:path"])
    assert environment in path.parents
    [digest] = interpreter["hashes"]
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == {"alg": "SHA-256", "content": content}
    assert facts["tlsfloor:verdict"] in ("lowerable", "leaks")
    assert facts["tlsfloor:evidence"] == "handshake"
    assert facts["tlsfloor:floor"] == "1.2"
    assert interpreter["version"] == "{}.{}.{}".format(*sys.version_info)
    if sys.implementation.name == "cpython" and sys.version_info.releaselevel == "final":
        assert (
            interpreter["cpe"] == f"cpe:2.3:a:python:python:{interpreter['version']}:*:*:*:*:*:*:*"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the files in use")
def test_its_openssl_is_a_component_with_its_version_and_digests(unarmed: dict[str, Any]) -> None:
    facts = {properties(each).get("tlsfloor:version"): each for each in of_type(unarmed, "library")}
    openssl = facts[ssl.OPENSSL_VERSION]
    assert openssl["name"] == "OpenSSL"
    assert openssl["version"] == ssl.OPENSSL_VERSION.split()[1]
    assert openssl["purl"] == f"pkg:generic/openssl@{openssl['version']}"
    assert f":openssl:openssl:{openssl['version']}:" in openssl["cpe"]
    path = properties(openssl)["tlsfloor:path"]
    assert openssl["hashes"][0]["content"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_each_accepted_version_is_a_protocol_with_its_suites(unarmed: dict[str, Any]) -> None:
    found = {}
    for each in of_type(unarmed, "cryptographic-asset"):
        facts, crypto = properties(each), each["cryptoProperties"]
        protocol = crypto["protocolProperties"]
        assert (crypto["assetType"], protocol["type"]) == ("protocol", "tls")
        assert all(suite["name"].startswith("TLS_") for suite in protocol["cipherSuites"])
        assert protocol["cipherSuites"]
        found[protocol["version"]] = facts["tlsfloor:below_floor"]
    assert {"1.2": "false", "1.3": "false"}.items() <= found.items()
    assert "true" in found.values()  # as the verdict says


def test_the_interpreter_depends_on_its_libraries_and_protocols(unarmed: dict[str, Any]) -> None:
    [interpreter] = of_type(unarmed, "application")
    uses = {each["ref"]: each.get("dependsOn", []) for each in unarmed["dependencies"]}
    others = {each["bom-ref"] for each in unarmed["components"]} - {interpreter["bom-ref"]}
    assert set(uses[interpreter["bom-ref"]]) == others
    assert others


def test_the_metadata_say_when_where_and_by_what(unarmed: dict[str, Any]) -> None:
    metadata = unarmed["metadata"]
    facts = {each["name"]: each["value"] for each in metadata["properties"]}
    assert metadata["timestamp"].endswith(("Z", "+00:00"))
    assert metadata["tools"]["components"][0]["name"] == "tlsfloor"
    assert facts["tlsfloor:exit_status"] == "1"
    if hasattr(os, "uname"):
        assert facts["tlsfloor:host"] == os.uname().nodename


def test_with_a_floor_there_is_no_protocol_below_it(
    unarmed: dict[str, Any], environment: Path
) -> None:
    """The same without the floor has one: see above."""
    armed = bom(environment, TLSFLOOR="1.2")
    [interpreter] = of_type(armed, "application")
    assert properties(interpreter)["tlsfloor:verdict"] == "enforced"
    kept = [properties(each) for each in of_type(armed, "cryptographic-asset")]
    assert {each["tlsfloor:below_floor"] for each in kept} == {"false"}
    assert len(kept) == 2


def test_only_time_and_serial_number_differ() -> None:
    def made(*names: str) -> dict[str, Any]:
        report = a_report(*(examined("leaks", f"/{name}/python") for name in names))
        found: dict[str, Any] = json.loads(cyclonedx.to_cyclonedx(report))
        del found["serialNumber"], found["metadata"]["timestamp"]
        return found

    assert made("a", "b") == made("b", "a")
    first, second = (cyclonedx.to_cyclonedx(a_report(examined("leaks"))) for _ in range(2))
    assert json.loads(first)["serialNumber"] != json.loads(second)["serialNumber"]


def test_ssl_3_is_no_version_of_tls_and_a_failure_is_no_suite() -> None:
    cases = [result("accepted", SSL3), result("accepted", TLS1_0), result("refused", TLS1_2)]
    report = a_report(examined("leaks", results=[*cases, result("inconclusive", TLS1_3)]))
    found = json.loads(cyclonedx.to_cyclonedx(report))
    protocols = {
        each["name"]: each["cryptoProperties"]["protocolProperties"]
        for each in of_type(found, "cryptographic-asset")
    }
    assert protocols == {
        "SSLv3": {"type": "other", "version": "SSLv3"},
        "TLS 1.0": {"type": "tls", "version": "1.0"},
    }


def test_two_interpreters_share_a_library_and_a_file_may_have_two_implementations() -> None:
    file = libraries.Library("/lib/_x.so", {"OpenSSL": "3.5.9", "rustls": "0.23.46", "s2n": ""})
    linked = libraries.Library("/lib/_ssl.so", {"libssl.so.3": ""})
    both = [examined("immune", f"/{name}/python") for name in "ab"]
    for each in both:
        each.libraries = [file, linked]
    made = json.loads(cyclonedx.to_cyclonedx(a_report(*both)))
    found = {each["name"]: each.get("version") for each in of_type(made, "library")}
    assert found == {"_ssl.so": None, "OpenSSL": "3.5.9", "rustls": "0.23.46"}
    uses = {each["ref"]: each.get("dependsOn", []) for each in made["dependencies"]}
    assert uses["interpreter:/a/python"] == uses["interpreter:/b/python"]
    assert len(uses["interpreter:/a/python"]) == 3


def test_an_interpreter_that_was_not_tried_names_the_one_that_was() -> None:
    tried = examined("lowerable", "/a/python", results=[result("accepted", TLS1_0)])
    alike = tried.shared_by(find.Interpreter("/b/python"), "the content is the same")
    made = json.loads(cyclonedx.to_cyclonedx(a_report(tried, alike)))
    facts = {each["bom-ref"]: properties(each) for each in of_type(made, "application")}
    assert facts["interpreter:/b/python"]["tlsfloor:same_as"] == "/a/python"
    assert facts["interpreter:/b/python"]["tlsfloor:verdict"] == "lowerable"
    assert "tlsfloor:same_as" not in facts["interpreter:/a/python"]
    uses = {each["ref"]: each.get("dependsOn") for each in made["dependencies"]}
    assert uses["interpreter:/b/python"] == uses["interpreter:/a/python"]
    assert len(uses["interpreter:/a/python"]) == 1


def test_without_its_package_nothing_is_started(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['cyclonedx'] = None\n"
        "from tlsfloor import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    words = ["verify", str(tmp_path), "--format", "cyclonedx", "--output", str(tmp_path / "x")]
    done = python("-c", program, *words)
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert "a part is missing" in error
    assert "cyclonedx" in error
    assert hint.endswith("pip install 'tlsfloor[cyclonedx]'")
    assert not (tmp_path / "x").exists()
