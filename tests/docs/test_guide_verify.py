"""The guide "Verify interpreters", followed as it stands."""

from __future__ import annotations

import contextlib
import ssl
import sys
from pathlib import Path

import guides
import pytest
from follow import Reader
from parts import need, need_program

need("cyclonedx", "jsonschema", "schemastore", "tlslite", "xmlschema")


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    sys.version_info < (3, 10) or ssl.OPENSSL_VERSION_INFO[0] != 3,
    reason="the page shows a Python whose own minimum is TLS 1.2",
)
def test_the_guide_does_what_it_says(tmp_path: Path) -> None:
    need_program("jq")
    # The first command examines the environment of the tests, which has dozens of TLS libraries.
    _, *blocks = guides.blocks("how-to/verify.md")
    with contextlib.closing(Reader(tmp_path)) as reader:
        for block in blocks:
            reader.read(block)
        formats = ["cyclonedx", "cyclonedx", "junit", "sarif", "verify"]
        assert sorted(reader.check_outputs()) == formats
