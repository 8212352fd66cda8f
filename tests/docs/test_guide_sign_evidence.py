"""The guide "Sign evidence": a reader follows it, and the statement is one of in-toto."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import guides
import outputs
import parts
from follow import Reader

PAGE = "how-to/sign-evidence.md"

#: What needs a container engine, a registry, or an identity that sigstore accepts.
SKIPPED = {
    "with a container engine",
    "with a registry and an identity",
    "with an identity",
}


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    parts.need("in_toto_attestation", "jsonschema", "securesystemslib", "tlslite", since=(3, 10))
    for program in ("jq", "openssl"):
        parts.need_program(program)
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    blocks = guides.blocks(PAGE)
    assert {block.name for block in blocks} >= SKIPPED
    with contextlib.closing(Reader(tmp_path)) as reader:
        for block in blocks:
            if block.name not in SKIPPED:
                reader.read(block)
        assert reader.check_outputs() == ["verify"]
    text = (tmp_path / "statement.json").read_text()
    message = json_format.Parse(text, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    statement = json.loads(text)
    assert message.predicate_type == outputs.schema("verify")["$id"]
    assert message.subject[0].digest["sha256"] == statement["subject"][0]["digest"]["sha256"]
    assert statement["predicate"] == json.loads((tmp_path / "report.json").read_text())
    outputs.validate_json("verify", statement["predicate"])
