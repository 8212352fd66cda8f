"""``tlsfloor check`` and ``openssl s_client`` agree, and the page on parity shows its result."""

from __future__ import annotations

import json
from pathlib import Path

import parts
from programs import python

ROOT = Path(__file__).parents[2]

#: Servers that start fast: Python's TLS, OpenSSL with what is rare, a name demanded, STARTTLS.
SERVERS = [
    "tlslite-ng, SSLv3 rsa",
    "OpenSSL, no encryption below 1.3",
    "haproxy, 1.0 to 1.2, strict-sni",
    "dovecot (imap), legacy",
]


def test_check_and_s_client_say_what_the_configuration_of_each_server_says(tmp_path: Path) -> None:
    parts.need("certifi", "rich", "tlslite", "urllib3")
    for program in ("openssl", "haproxy", "dovecot"):
        parts.need_program(program)
    tool = ["--tool", "openssl s_client", "--into", str(tmp_path)]
    done = python("-m", "benchmarks.parity", *SERVERS, *tool, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "parity.json").read_text())
    assert [*report["servers"]] == SERVERS
    assert [*report["tools"]] == ["tlsfloor check", "openssl s_client"]
    for name, result in report["servers"].items():
        assert all(result["proved"].values()), name
        for said in result["said"].values():
            expected = {each: "yes" if each in result["accepts"] else "no" for each in said}
            assert said == expected, name


def test_an_unknown_server_or_a_missing_tool_is_named(tmp_path: Path) -> None:
    into = ["--into", str(tmp_path)]
    unknown = python("-m", "benchmarks.parity", "nosuch", *into, cwd=ROOT)
    missing = python("-m", "benchmarks.parity", "--sslyze", "/nosuch/sslyze", *into, cwd=ROOT)
    assert (unknown.returncode, missing.returncode) == (2, 2)
    assert "no such server: nosuch" in unknown.stderr
    assert "not found: " in missing.stderr
    assert "/nosuch/sslyze" in missing.stderr
    assert not (tmp_path / "parity.json").exists()


def test_the_page_shows_the_result_and_a_reason_for_each_difference() -> None:
    program = "from benchmarks import parity_page as p; print(p.written() == p.PAGE.read_text())"
    done = python("-c", program, cwd=ROOT)
    assert done.stdout == "True\n", done.stderr


def test_check_is_right_in_every_cell() -> None:
    report = json.loads((ROOT / "docs/reference/benchmarks/parity.json").read_text("utf-8"))
    assert len(report["servers"]) >= 20
    for name, result in report["servers"].items():
        assert all(result["proved"].values()), name
        for version, answer in result["said"]["tlsfloor check"].items():
            assert answer == ("yes" if version in result["accepts"] else "no"), (name, version)
