"""A TLS library in a report has what identifies its files: SHA-256, version, build date."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import ssl
import sys
from pathlib import Path

import pytest

from parts import need_name
from programs import clean_environment, python
from tlsfloor.inventory import identity, libraries
from tlsfloor.peers.base import CA_FILE, PEER_FILE
from tlsfloor.stacks import _coverage
from tlsfloor.verifier import launch

#: The first argument of OpenSSL_version() (include/openssl/crypto.h).
OPENSSL_BUILT_ON = 2

OPENSSL = b"\0OpenSSL 3.0.22 25 Aug 2026\0"
BUILT = b"\0built on: Wed Oct 21 09:54:24 2026 UTC\0"


def library(path: Path, implementation: str = "OpenSSL 3.0.22", *parts: Path) -> dict[str, object]:
    found = {"path": str(path), "implementation": implementation, "stack": "", "coverage": ""}
    return {**found, "parts": [{"path": str(part)} for part in parts]}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the mapped files")
def test_the_openssl_of_this_process_is_identified_as_it_says_itself() -> None:
    """Ask OpenSSL's own function, in this process, and read its file without it."""
    found = identity.with_identity(map(libraries.Library.as_json, libraries.loaded()))
    [ours] = [each for each in found if each["version"] == ssl.OPENSSL_VERSION]
    paths = [each["path"] for each in (ours, *ours["parts"])]
    crypto = next((path for path in paths if "libcrypto" in path), None)
    program = ctypes.CDLL(crypto)  # None is this program: a Python that contains its OpenSSL
    need_name(program, "OpenSSL_version")
    program.OpenSSL_version.restype = ctypes.c_char_p
    assert f"built on: {ours['built']}".encode() == program.OpenSSL_version(OPENSSL_BUILT_ON)
    for each in (ours, *ours["parts"]):
        assert each["sha256"] == hashlib.sha256(Path(each["path"]).read_bytes()).hexdigest()


def test_texts_are_found_wherever_they_are(tmp_path: Path) -> None:
    """Also between two chunks of what is read, and in another file of the library."""
    file, part = tmp_path / "libssl.so", tmp_path / "libcrypto.so"
    file.write_bytes(b"library" * 500_000)
    for place in (0, identity._CHUNK - 20, 2 * identity._CHUNK - 40):
        part.write_bytes(b"x" * place + OPENSSL + BUILT + b"x" * identity._CHUNK)
        [found] = identity.with_identity([library(file, "libssl.so, OpenSSL 3.0.22", part)])
        assert found["version"] == "OpenSSL 3.0.22 25 Aug 2026"
        assert found["built"] == "Wed Oct 21 09:54:24 2026 UTC"
        assert found["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        assert found["parts"] == [{"path": str(part), "sha256": digest}]


def test_what_a_library_does_not_say_is_null(tmp_path: Path) -> None:
    """BoringSSL and its relatives have no date, and a file that is linked has no version."""
    file = tmp_path / "_ssl.so"
    file.write_bytes(b"built on: n/a\0" + OPENSSL)
    implementations = ("libssl.so.3", "OpenSSL", "rustls 0.23.46")
    found = identity.with_identity(library(file, each) for each in implementations)
    assert [each["version"] for each in found] == [None, None, "rustls 0.23.46"]
    assert [each["built"] for each in found] == [None] * 3


def test_what_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    """A pipe and a device would never end, and an interpreter can report any path."""
    paths = [tmp_path, tmp_path / "gone", Path("a null\0byte"), Path(os.devnull)]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        paths.append(tmp_path / "pipe")
    for path in paths:
        [found] = identity.with_identity([library(path, "OpenSSL")])
        assert (found["sha256"], found["version"], found["built"]) == ("", None, None), path


@pytest.mark.parametrize("how", ["removed", "cut short", "longer", "written again"])
def test_a_file_that_changes_while_it_is_read_has_no_wrong_digest(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the digest of what it was, if it was removed, and otherwise none."""
    file = tmp_path / "libcrypto.so"
    content = OPENSSL + b"x" * (3 * identity._CHUNK)
    file.write_bytes(content)
    before = identity.facts_of(str(file))
    assert before.sha256 == hashlib.sha256(content).hexdigest()
    os.utime(file, (1, 1))

    class Digest:
        """Change the file when its first chunk has been read."""

        def __init__(self) -> None:
            self.real = hashlib.sha256()

        def update(self, chunk: bytes) -> None:
            self.real.update(chunk)
            if how == "removed" and file.exists():
                file.unlink()
            elif how == "cut short":
                os.truncate(file, identity._CHUNK)
            elif how == "longer":
                os.truncate(file, 5 * identity._CHUNK)
            elif how == "written again":
                os.utime(file, (2, 2))

        def hexdigest(self) -> str:
            return self.real.hexdigest()

    monkeypatch.setattr(identity, "hashlib", type("module", (), {"sha256": Digest}))
    found = identity.facts_of(str(file))
    assert found.sha256 == (before.sha256 if how == "removed" else "")


def test_a_library_that_an_interpreter_reports_is_added_once(tmp_path: Path) -> None:
    known = libraries.Library(str(tmp_path / "libssl.so.3"), {"libssl.so.3": ""})
    known.parts.append(str(tmp_path / "libcrypto.so.3"))
    for name in ("libssl.so.3", "libcrypto.so.3", "libssl.so.1.1", "program"):
        (tmp_path / name).write_bytes(b"\0libssl.so.3\0" + OPENSSL)
    reported = [str(tmp_path / name) for name in (*os.listdir(tmp_path), "gone.so")]
    found = libraries.named([*reported, os.devnull, "a null\0byte.so"], [known])
    assert [Path(each.path).name for each in found] == ["libssl.so.1.1"]


def test_a_python_that_contains_its_openssl_is_the_library_of_its_ssl(tmp_path: Path) -> None:
    """As those of python-build-standalone, which uv installs. Its libpython has a row already."""
    names = ("python3.12", "libpython3.12.so.1.0", "program")
    for name in names:
        (tmp_path / name).write_bytes(OPENSSL + b"client finished\0server finished" + BUILT)
    found = libraries.named((str(tmp_path / name) for name in names), [])
    described = _coverage.describe(found, _coverage.coverage("1.2"))
    assert [(Path(each["path"]).name, each["stack"], each["coverage"]) for each in described] == [
        ("python3.12", "ssl", "guarded"),
        ("libpython3.12.so.1.0", "ssl", "guarded"),
    ]
    assert [each["version"] for each in identity.with_identity(described)] == [
        "OpenSSL 3.0.22 25 Aug 2026"
    ] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the mapped files")
def test_the_probe_names_the_program_only_if_its_ssl_is_in_it(tmp_path: Path) -> None:
    """Every Python maps its program; the names of files do not tell which has OpenSSL in it."""
    job = {"ca": CA_FILE, "identity": PEER_FILE, "timeout": 1, "cases": []}
    file = tmp_path / "probe"
    file.write_bytes(launch.probe_for(job))
    pretend = "import sys; sys.builtin_module_names += ('_ssl',); "
    program = os.path.realpath(sys.executable)
    found = {}
    for name, before in {"separate": "", "whole": pretend}.items():
        code = f"{before}exec(compile(open({str(file)!r}).read(), 'probe', 'exec'))"
        done = python("-c", code, env=clean_environment())
        facts = json.loads(done.stdout.partition("<tlsfloor-facts>")[2].partition("</")[0])["facts"]
        found[name] = facts["loaded_libraries"]
    assert (program in found["separate"]) == ("_ssl" in sys.builtin_module_names)
    assert program in found["whole"]
