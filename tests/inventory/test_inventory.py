"""The TLS libraries of a process or an environment, and what covers them."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import parts
from compiled import compiled, libpython
from programs import BOOTSTRAP, armed_environment, clean_environment, python
from parts import leave_out, need
from tlsfloor.stacks import COVERED, TABLE, _coverage, _unknown
from tlsfloor.inventory import libraries

if TYPE_CHECKING:
    from collections.abc import Callable

#: What an implementation of TLS 1.0 to 1.2 contains.
LABELS = b"\0client finished\0server finished\0"

LIBCRYPTO = b"\x7fELF\0OpenSSL 3.0.19 27 Jan 2026\0"
OPENSSL = LIBCRYPTO + LABELS

STATUS = "import ssl, json, tlsfloor; print(json.dumps(tlsfloor.status().as_dict()))"


def stacks(*args: str, **more: Any) -> tuple[int, dict[str, Any]]:
    done = python("-m", "tlsfloor", "stacks", "--json", *args, **more)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (OPENSSL, {"OpenSSL": "3.0.19"}),
        (
            LABELS + b"about OpenSSL 3 \0 \0OpenSSL 1.1.1w  11 Sep 2023\0",
            {"OpenSSL": "1.1.1w"},
        ),
        (b"\0needs OpenSSL 3.0.0 or newer\0", {}),
        (b"..LibreSSL 3.8.2\0", {"LibreSSL": "3.8.2"}),
        (b"/registry/rustls-0.23.46/src/lib.rs", {"rustls": "0.23.46"}),
        (b"s2n_connection_new aws_lc_0_1_AES", {"AWS-LC": "", "s2n": ""}),
        (b"\0AWS-LC 5.5.0\0aws-lc/crypto/x.c", {"AWS-LC": "5.5.0"}),
        (b"\0libldap-2.5.so.0\0", {"libldap-2.5.so.0": ""}),
        (b"\0libssl-8b66dd34.so.3\0libpq.so.5\0", {"libssl-8b66dd34.so.3": "", "libpq.so.5": ""}),
        (b"\0libssl says nothing\0", {}),
        (OPENSSL + b"libssl.so.3\0", {"OpenSSL": "3.0.19", "libssl.so.3": ""}),
        (LIBCRYPTO + b"libssl.so.3\0", {"libssl.so.3": ""}),  # PyPy's: it was built for that one
        (b"Mbed TLS 3.6.3" + LABELS, {"Mbed TLS": "3.6.3"}),
        (b"mbed TLS 2.16.0" + LABELS, {"Mbed TLS": "2.16.0"}),
        (b"stripped" + LABELS, {"an implementation that does not say its name": ""}),
        (b"client finished", {}),
        (b"", {}),
    ],
)
def test_a_library_is_recognised_by_its_bytes(
    tmp_path: Path, data: bytes, expected: object
) -> None:
    write_files(tmp_path, {"a.so": data})
    assert libraries.implementations_in(str(tmp_path / "a.so")) == expected


def test_what_is_left_out_of_the_search_holds_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code, tables and debug information of the files that a Python with ssl has loaded."""
    program = "import ssl; print(*{line.split()[-1] for line in open('/proc/self/maps')})"
    mapped = python("-c", program).stdout.split()
    files = [name for name in mapped if ".so" in name or name == os.path.realpath(sys.executable)]
    by_parts = [libraries.implementations_in(name) for name in files]
    assert any(by_parts)
    libraries._implementations_in.cache_clear()
    monkeypatch.setattr(libraries, "_texts_in", lambda whole: whole[:])
    assert [libraries.implementations_in(name) for name in files] == by_parts


def test_a_shared_library_that_is_cut_off_is_searched_as_a_whole(tmp_path: Path) -> None:
    elf = b"\x7fELF\2\1" + b"\1" * 70  # with a table of sections that is not in the file
    beyond = b"\x7fELF\2\1" + b"\xff" * 70
    write_files(
        tmp_path, {"a.so": elf + OPENSSL, "b.so": elf[:6] + OPENSSL, "c.so": beyond + OPENSSL}
    )
    for name in ("a.so", "b.so", "c.so"):
        assert libraries.implementations_in(str(tmp_path / name)) == {"OpenSSL": "3.0.19"}


def test_a_file_cannot_ask_for_more_memory_than_it_has(tmp_path: Path) -> None:
    """Its 60,000 sections are one, which is the whole file."""
    header = b"\x7fELF\2\1" + bytes(34) + struct.pack("<Q10xHHH", 64, 0, 60_000, 0)
    text = b"\0" + OPENSSL + bytes(100_000)
    section = struct.pack("<IIQQQQ", 0, 3, 0, 0, 0, 64 + 48 + len(text))
    write_files(tmp_path, {"a.so": header + section + text})
    tracemalloc.start()
    try:
        assert libraries.implementations_in(str(tmp_path / "a.so")) == {"OpenSSL": "3.0.19"}
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_libssl_and_libcrypto_are_reported_as_one_library(tmp_path: Path) -> None:
    write_files(tmp_path, {"libcrypto-1.so.3": LIBCRYPTO, "libssl-2.so.3": b"\0libssl.so.3\0"})
    write_files(tmp_path, {"alone/libcrypto.so.3": LIBCRYPTO, "_hashes.so": LIBCRYPTO})
    found, unread = libraries.search_folder(str(tmp_path))
    assert [str(library) for library in found] == ["libssl.so.3, OpenSSL 3.0.19"]
    assert [library.parts for library in found] == [[str(tmp_path / "libcrypto-1.so.3")]]
    assert unread == {}


def test_an_extension_of_duckdb_is_searched(tmp_path: Path) -> None:
    """DuckDB opens it itself, and its httpfs accepts TLS 1.0."""
    write_files(tmp_path, {"v1.4.4/httpfs.duckdb_extension": OPENSSL, "httpfs.info": OPENSSL})
    found, _ = libraries.search_folder(str(tmp_path))
    assert [str(library) for library in found] == ["OpenSSL 3.0.19"]


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (
            "windows",
            {
                "_mysql": {"Schannel"},
                "_psycopg": {"libpq"},
                "libpq": {"libpq", "libssl"},
                "libssl": {"libssl", "OpenSSL"},
            },
        ),
        (
            "macos",
            {
                "_psycopg": {"libpq", "libssl"},
                "libldap": {"libldap", "libssl"},
                "libpq": {"libldap", "libpq", "libssl"},
                "libssl": {"libssl", "OpenSSL"},
            },
        ),
    ],
)
def test_the_libraries_in_wheels_of_other_systems_are_recognised(
    system: str, expected: dict[str, set[str]], fetched: Callable[[str], str]
) -> None:
    def stem(name: str) -> str:
        return re.split(r"[-.]", name)[0]

    found, unread = libraries.search_folder(fetched(system))
    assert {
        stem(Path(library.path).name): set(map(stem, library.names)) for library in found
    } == expected
    [libssl] = [library for library in found if "OpenSSL" in library.names]
    assert [stem(Path(part).name) for part in libssl.parts] == ["libcrypto"]
    assert re.fullmatch(r"3\.\d+\.\d+", libssl.names["OpenSSL"])
    assert unread == {}
    extensions = [library.path for library in found if Path(library.path).name.startswith("_")]
    assert extensions
    assert all(map(_unknown.find_tls, extensions))


def test_installed_libraries_are_listed_with_what_covers_them() -> None:
    need("cryptography", "tlslite")
    status, facts = stacks()
    found = {library["implementation"]: library for library in facts["libraries"]}
    covered = all(set(library["coverage"].split(", ")) <= {*COVERED} for library in found.values())
    assert (status == 0) == covered
    assert found["tlslite (pure Python)"]["coverage"] == "guarded"
    bundled = next(library for library in found.values() if "cryptography" in library["path"])
    assert bundled["implementation"].startswith("OpenSSL ")
    assert "ssl" in {library["stack"] for library in facts["libraries"]}


def test_one_uncovered_library_makes_the_exit_status_1(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "site-packages"
    write_files(
        site, {"_ssl.cpython-311-x86_64-linux-gnu.so": b"\0libssl.so.3\0", "note.txt": OPENSSL}
    )
    status, facts = stacks(str(tmp_path), "--floor", "1.3")
    assert (status, facts["floor"], facts["searched"]) == (0, "1.3", [str(tmp_path)])
    assert [library["coverage"] for library in facts["libraries"]] == ["guarded"]
    write_files(site, {"stranger/_tls.so": OPENSSL})
    status, facts = stacks(str(tmp_path))
    assert status == 1
    assert [(library["stack"], library["coverage"]) for library in facts["libraries"]] == [
        ("ssl", "guarded"),
        ("", "unknown"),
    ]


def test_the_libraries_of_the_extra_verify_are_covered(tmp_path: Path) -> None:
    """An environment with the extra `verify` and nothing else has its own tlslite-ng."""
    write_files(tmp_path, {"tlslite/__init__.py": b"", "_ssl.so": b"\0libssl.so.3\0"})
    status, facts = stacks(str(tmp_path))
    assert (status, len(facts["libraries"])) == (0, 2)
    write_files(tmp_path, {"dtls/__init__.py": b""})  # or it would prove nothing
    assert stacks(str(tmp_path))[0] == 1


@pytest.mark.parametrize(
    "name",
    [
        "_ssl.cpython-311-x86_64-linux-gnu.so",
        "_pypy_openssl.pypy311-pp73-x86_64-linux-gnu.so",
        "libpython3.12.so.1.0",
    ],
)
def test_the_library_of_ssl_is_recognised(name: str, tmp_path: Path) -> None:
    """In the extension that is linked to it, or in a Python that contains it."""
    write_files(tmp_path, {name: b"\0libssl.so.3\0", "libssl.so.3": OPENSSL})
    _, facts = stacks(str(tmp_path))
    assert [(library["stack"], library["coverage"]) for library in facts["libraries"]] == [
        ("ssl", "guarded")
    ] * 2


def test_extensions_in_the_standard_library_are_found(tmp_path: Path) -> None:
    """PyPy has them there. Debian has packages below it, which no virtual environment sees."""
    write_files(
        tmp_path, {"pypy/_pypy_openssl.so": b"\0libssl.so.3\0", "pypy/packages/a.so": OPENSSL}
    )
    write_files(tmp_path, {"site/b.so": OPENSSL, "site/below/c.so": OPENSSL})
    own = str(tmp_path / "pypy")
    path = ["", own, str(tmp_path / "site"), str(tmp_path / "site" / "below"), "/no/such/folder"]
    folders, found, unread = libraries.installed(path, own)
    assert (folders, unread) == ([own, str(tmp_path / "site")], {})
    assert [os.path.basename(library.path) for library in found] == [
        "_pypy_openssl.so",
        "b.so",
        "c.so",
    ]
    assert libraries.installed([], str(tmp_path / "python311.zip")) == ([], [], {})


def test_an_environment_without_libraries(tmp_path: Path) -> None:
    done = python("-m", "tlsfloor", "stacks", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"no TLS library in {tmp_path}\n")


def test_the_last_line_does_not_say_that_a_floor_is_set(tmp_path: Path) -> None:
    """The coverage is what a floor would do."""
    write_files(tmp_path, {"_ssl.so": OPENSSL})
    done = python("-m", "tlsfloor", "stacks", str(tmp_path), "--floor", "1.3")
    assert done.stdout.splitlines()[-1] == (
        "with floor 1.3: 1 TLS library: 1 guarded (whether a floor is set here: tlsfloor status)"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_files_that_cannot_be_read_are_listed(tmp_path: Path) -> None:
    write_files(tmp_path, {"cut.so": b""})
    os.mkfifo(tmp_path / "pipe.so")  # opening it would wait for ever
    (tmp_path / "broken.so").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert stacks(str(tmp_path))[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens no folder within a folder")
def test_a_folder_that_cannot_be_read_is_named_and_flagged(tmp_path: Path) -> None:
    """Its path is too long: nobody can read it, not even root."""
    name, inner = "x" * 250, os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # 4096 bytes is the limit of Linux
        os.mkdir(name, dir_fd=inner)
        outer, inner = inner, os.open(name, os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)
    status, facts = stacks(str(tmp_path))
    [unreadable] = facts["unreadable"]
    assert (status, facts["libraries"]) == (1, [])
    done = python("-m", "tlsfloor", "stacks", str(tmp_path))
    assert done.returncode == 1
    said = f"cannot be read: {unreadable}: File name too long"
    assert done.stdout.splitlines() == [said, f"no TLS library in {tmp_path}"]


@pytest.mark.parametrize("path", ["nowhere", ""])
def test_a_path_that_is_not_a_folder_is_a_usage_error(path: str) -> None:
    done = python("-m", "tlsfloor", "stacks", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {path} is not a folder\nhint: tlsfloor stacks .venv\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
@pytest.mark.parametrize("executable", parts.pythons(), ids=os.path.basename)
def test_status_lists_the_loaded_libraries(executable: str) -> None:
    here = str(Path(BOOTSTRAP).parent.parent)
    env = armed_environment(PYTHONPATH=os.pathsep.join([BOOTSTRAP, here]))
    armed = json.loads(python("-c", STATUS, env=env, executable=executable).stdout)
    found = {library["path"]: library for library in armed["libraries"]}
    assert found
    assert {library["coverage"] for library in found.values()} == {"guarded"}
    assert any("OpenSSL " in library["implementation"] for library in found.values())
    env = clean_environment(PYTHONPATH=here)
    without = json.loads(python("-c", STATUS, env=env, executable=executable).stdout)
    assert {library["coverage"] for library in without["libraries"]} == {"uncovered"}


MAPPED = """
import mmap, os, sys
from tlsfloor.inventory import libraries
name = os.path.join(os.fsencode(sys.argv[1]), b"caf\\xe9." + os.fsencode(sys.argv[2]))
with open(name, "wb+") as file:
    file.write(b"\\x7fELF" + b"\\0libssl.so.9\\0" * 400)
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | int(sys.argv[3]))
def found():
    return [str(each) for each in libraries.loaded() if os.fsencode(each.path) == name]
print(found())
os.unlink(name)
print(found())
open(name, "wb").close()
print(found())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
@pytest.mark.parametrize(("ending", "protection"), [("so.9", 0), ("extension", 4)])
def test_a_loaded_library_may_have_any_name_and_be_replaced(
    ending: str, protection: int, tmp_path: Path
) -> None:
    """It is known by its name, or because it can be executed (PROT_EXEC)."""
    done = python("-c", MAPPED, str(tmp_path), ending, str(protection))
    first, removed, replaced = done.stdout.splitlines()
    assert first == removed == replaced == "['libssl.so.9']"
    done = python("-c", MAPPED, str(tmp_path), "txt", "0")
    assert done.stdout.splitlines() == ["[]", "[]", "[]"]


OPENED = """
import ctypes, json, os, sys, tlsfloor
ctypes.CDLL(sys.argv[1])
if os.path.isabs(sys.argv[1]):
    os.remove(sys.argv[1])
status = tlsfloor.status()
try:
    tlsfloor.require("1.2")
except tlsfloor.FloorNotHeldError as error:
    print(error)
print(json.dumps([status.held, status.problems]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
def test_a_library_that_a_program_opens_itself_is_not_held() -> None:
    """libgnutls accepts TLS 1.0, and no import brings it."""
    import ctypes

    try:
        ctypes.CDLL("libgnutls.so.30")
    except OSError as error:
        leave_out("libgnutls.so.30", str(error))
    env = armed_environment()
    *_, facts = python("-c", OPENED, "libm.so.6", env=env).stdout.splitlines()
    assert json.loads(facts) == [True, []]
    error, facts = python("-c", OPENED, "libgnutls.so.30", env=env).stdout.splitlines()
    held, problems = json.loads(facts)
    assert not held
    [problem] = [each for each in problems if each.startswith("libgnutls.so.30")]
    assert "no row of the table covers its TLS: GnuTLS 3" in problem
    assert problem in error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
def test_status_lists_libraries_that_no_guard_knows(tmp_path: Path) -> None:
    need("cryptography")
    write_files(tmp_path, {"oscrypto/__init__.py": b""})
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    program = f"{path}; import cryptography.x509, oscrypto; {STATUS}"
    found = json.loads(python("-c", program, env=armed_environment()).stdout)["libraries"]
    assert "oscrypto (pure Python)" in {
        library["implementation"] for library in found if library["coverage"] not in COVERED
    }
    assert any("cryptography" in library["path"] for library in found)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
@pytest.mark.parametrize(("text", "held"), [("GnuTLS", True), ("gnutls_init", False)])
def test_what_was_removed_since_is_known_by_its_texts(
    text: str, held: bool, tmp_path: Path
) -> None:
    """An application may unpack a library, open it, and remove it."""
    library = compiled(tmp_path, "acme.so", f'const char it[] = "{text}";', "-shared", "-fPIC")
    *_, facts = python("-c", OPENED, str(library), env=armed_environment()).stdout.splitlines()
    assert json.loads(facts)[0] == held


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
def test_code_without_a_file_is_no_library() -> None:
    """libffi's, of each callback of ctypes, on systems with SELinux; and that of .NET."""
    program = """
import mmap, os, tlsfloor
file = os.memfd_create("libffi")
os.write(file, b"client finished, server finished".ljust(4096))
code = mmap.mmap(file, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
status = tlsfloor.status()
print(status.held, status.problems)
"""
    assert python("-c", program, env=armed_environment()).stdout == "True []\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
def test_the_libpq_that_psycopg_opens_is_held() -> None:
    """Without its C extension it opens that of the system by ctypes."""
    need("psycopg")
    from ctypes.util import find_library

    if find_library("pq") is None:
        leave_out("libpq.so.5", "psycopg in Python needs it")
    program = "import psycopg, tlsfloor; print(psycopg.pq.__impl__, tlsfloor.status().problems)"
    done = python("-c", program, env=armed_environment(PSYCOPG_IMPL="python"))
    assert done.stdout == "python []\n"


#: A server that has TLS of its own, and embeds Python: as uWSGI is one.
HOST = """
#include <Python.h>
#include <openssl/ssl.h>
int main(int argc, char **argv) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context) return 9;
    return Py_BytesMain(argc, argv);
}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("host")
    return str(compiled(folder, "host", HOST, *libpython(), "-lssl", "-lcrypto"))


@pytest.mark.parametrize("name", ["host", "host that was replaced"])
def test_a_program_that_embeds_python_is_listed_with_its_own_tls(
    host: str, name: str, tmp_path: Path
) -> None:
    """It is not a stack of Python: no floor holds on it, even if one holds on ``ssl``."""
    path = str(tmp_path / name)
    shutil.copy(host, path)
    replace = f"import os; os.remove({path!r}); " if "replaced" in name else ""
    env = armed_environment(PYTHONHOME=f"{sys.base_prefix}:{sys.base_exec_prefix}")
    for executable in (sys.executable, path):
        program = STATUS if executable != path else replace + STATUS
        done = python("-c", program, env=env, executable=executable)
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        assert facts["stacks"] == {"ssl": "guarded"}
        assert facts["held"], facts["problems"]
        found = {library["path"]: library for library in facts["libraries"]}
        assert (path in found) == (executable == path)
    assert found[path]["coverage"] == "unknown"
    assert "libssl" in found[path]["implementation"]
    [shared] = [each for path, each in found.items() if Path(path).name.startswith("libssl")]
    assert (shared["stack"], shared["coverage"]) == ("ssl", "guarded, unknown")


def test_a_library_belongs_to_every_stack_that_needs_it_indirectly(tmp_path: Path) -> None:
    write_files(tmp_path, {"_ldap.so": b"\0libldap-2.5.so.0\0", "_ssl.so": b"\0libssl.so.3\0"})
    # A mapped file has its whole name, and a file that needs it has its soname.
    write_files(tmp_path, {"libldap-2.5.so.0.1": b"\0libssl.so.3\0libldap-2.5.so.0\0"})
    write_files(tmp_path, {"libssl.so.3": OPENSSL})

    def stacks_and_coverage() -> dict[str, tuple[str, str]]:
        found, _ = libraries.search_folder(str(tmp_path))
        known = _coverage.describe(found, _coverage.coverage("1.2"))
        return {
            Path(library["path"]).name: (library["stack"], library["coverage"]) for library in known
        }

    assert stacks_and_coverage()["libssl.so.3"] == ("_ldap, ssl", "guarded")
    write_files(tmp_path, {"stranger.so": b"\0libldap-2.5.so.0\0"})
    assert stacks_and_coverage()["stranger.so"] == ("", "unknown")
    assert stacks_and_coverage()["libldap-2.5.so.0.1"] == ("_ldap", "guarded, unknown")
    assert stacks_and_coverage()["libssl.so.3"] == ("_ldap, ssl", "guarded, unknown")


def test_every_row_of_the_table_is_described() -> None:
    # Nothing depends on urllib3's guard, sub-interpreters are no stack, and _ssl belongs to ssl.
    without = ("urllib3", "subinterpreters", "stdlib")
    rows = {row for row, guard in TABLE.items() if guard.rpartition(".")[2] not in without}
    rows.add("ssl")
    assert _coverage.ABOUT.keys() == rows


def test_verify_lists_the_other_libraries_of_an_interpreter() -> None:
    need("cryptography", "tlslite")
    quick = ["-m", "tlsfloor", "verify", "--hello", "--role", "client"]
    [facts] = json.loads(python(*quick, "--json").stdout)["interpreters"]
    found = {library["implementation"]: library["coverage"] for library in facts["libraries"]}
    assert found["tlslite (pure Python)"] == "guarded"
    assert any("cryptography" in library["path"] for library in facts["libraries"])
    text = python(*quick).stdout
    guarded = ": guarded if floor 1.2 is set\n"
    assert f"other TLS library: tlslite (pure Python){guarded}" in text
    row = "cryptography.hazmat.bindings.openssl.binding"
    assert re.search(rf"^other TLS library: {row} \(OpenSSL .*\){guarded}", text, re.MULTILINE)
