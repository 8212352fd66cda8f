"""Libraries that carry TLS and have no row in the table: seen in their files, and told of."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from programs import BOOTSTRAP, IMPORT_PATH, armed_environment, clean_environment, python
from parts import need, need_program
from tlsfloor.stacks import _unknown

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
LABELS = "client finished", "server finished"
RUSTLS = "rustls 0.23.4: no TLS below 1.2"
MODULE = """
#include <Python.h>
%s
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "%s", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_%s(void) { puts("executed"); fflush(stdout); return PyModule_Create(&def); }
"""


def compiled(path: Path, source: str, *options: str) -> str:
    """Build a shared object; return where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    headers = sysconfig.get_paths()["include"]
    command = [need_program("gcc"), "-shared", "-fPIC", f"-I{headers}", "-x", "c", "-"]
    command += ["-x", "none", "-o", str(path), "-Wl,--no-as-needed", *options]
    subprocess.run(command, input=source, check=True, text=True)
    return str(path)


def extension(folder: Path, name: str, constants: str = "", *options: str) -> str:
    """Build an extension module."""
    source = MODULE % (constants, name, name)
    return compiled(folder / f"{name}{SUFFIX}", source, *options)


def constants(*words: str, size: int = 300_000) -> str:
    """Return C for these strings in the read-only data of a file, among others."""
    lines = [f'const char word{number}[] = "{word}";' for number, word in enumerate(words)]
    return "\n".join([f"const char many[{size}] = {{1}};", *lines])


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), ""),
        (LABELS[:1], ""),
        (LABELS[1:], ""),
        (("OpenSSL 3.0.1 14 Dec 2021",), ""),
        (("key expansion", "master secret", "TLS_AES_128_GCM_SHA256"), ""),
        (("c hs traffic",), ""),
        (LABELS, "an implementation that does not say its name"),
        ((*LABELS, "OpenSSL 3.0.1 14 Dec 2021"), "OpenSSL 3.0.1"),
        ((*LABELS, "OpenSSL 1.1.1w  11 Sep 2023"), "OpenSSL 1.1.1w"),
        ((*LABELS, "OpenSSL or so", "OpenSSL 3.5.0 8 Apr 2025"), "OpenSSL 3.5.0"),
        ((*LABELS, "OpenSSL 1.1.1 (compatible; BoringSSL)"), "BoringSSL"),
        ((*LABELS, "/src/rustls-0.23.4/src/lib.rs", "aws-lc/crypto/x.c"), f"AWS-LC, {RUSTLS}"),
        ((*LABELS, "/src/rustls-0.23.4/src/lib.rs"), RUSTLS),
        ((*LABELS, "/src/rustls-0.23.4/src/lib.rs", "ssl/ssl_lib.cc"), "rustls 0.23.4"),
        ((*LABELS, "/src/rustls-0.23.4/src", "OpenSSL 3.5.0"), "OpenSSL 3.5.0, rustls 0.23.4"),
        ((*LABELS, "crypto/tls: short"), "Go crypto/tls"),
    ],
)
def test_what_is_linked_into_a_file_is_told_by_the_words_of_the_protocol(
    words: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    path = extension(tmp_path, "_it", constants(*words))
    assert _unknown.find_tls(path) == what


def test_a_small_file_is_not_searched(tmp_path: Path) -> None:
    path = extension(tmp_path, "_it", constants(*LABELS, size=1000))
    assert os.path.getsize(path) < _unknown.MIN_SIZE
    assert _unknown.find_tls(path) == ""


def test_a_file_without_sections_is_searched(tmp_path: Path) -> None:
    path = Path(extension(tmp_path, "_it", constants(*LABELS)))
    data = bytearray(path.read_bytes())
    data[40:48], data[58:64] = bytes(8), bytes(6)  # e_shoff; e_shentsize, e_shnum, e_shstrndx
    path.write_bytes(data)
    assert _unknown.find_tls(str(path)) == "an implementation that does not say its name"


def test_a_library_of_the_system_is_told_by_its_name(tmp_path: Path) -> None:
    path = extension(tmp_path, "_it", "", "-l:libssl.so.3")
    assert _unknown.find_tls(path) == "libssl.so.3"
    path = extension(tmp_path, "_other", "", "-l:libcrypto.so.3", "-lm", "-lpthread", "-ldl")
    assert _unknown.find_tls(path) == ""


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("libssl-1a2b3c.so.1.1", "libssl-1a2b3c.so.1.1"),
        ("libcurl-gnutls-1a.so.4", "libcurl-gnutls-1a.so.4"),
        ("libldap_r-2.4.so.2", "libldap_r-2.4.so.2"),
        ("libgit2.so.1.9", "libgit2.so.1.9"),
        ("libQt6Network.so.6", "libQt6Network.so.6"),
        ("libsslope.so", ""),
        ("libcurly-1a.so", ""),
        ("libz.so.1", ""),
    ],
)
def test_a_bundled_library_is_told_by_its_name(name: str, what: str, tmp_path: Path) -> None:
    library = compiled(tmp_path / "acme.libs" / name, "int it;", f"-Wl,-soname,{name}")
    path = extension(tmp_path / "acme", "_it", "", library, "-Wl,-rpath,$ORIGIN/../acme.libs")
    assert _unknown.find_tls(path) == what


@pytest.mark.parametrize(
    ("name", "what"),
    [("_jpype", "TLS of Java"), ("pyhdbcli", "an OpenSSL that it opens itself"), ("_it", "")],
)
def test_what_no_file_shows_is_told_by_the_name_of_the_module(
    name: str, what: str, tmp_path: Path
) -> None:
    path = extension(tmp_path, name)
    assert _unknown.look(importlib.machinery.ModuleSpec(name, None, origin=path)) == what


@pytest.mark.parametrize("folder", ["acme.libs", "acme/.libs", "acme"])
@pytest.mark.parametrize("found", ["-Wl,-rpath,/nowhere:${ORIGIN}/../{folder}", "-g"])
def test_a_bundled_library_of_any_name_is_looked_at(
    folder: str, found: str, tmp_path: Path
) -> None:
    name = "libother-1a2b3c.so"
    source = constants(*LABELS, "OpenSSL 3.0.1 14 Dec 2021")
    library = compiled(tmp_path / folder / name, source, f"-Wl,-soname,{name}")
    found = found.replace("{folder}", folder)
    path = extension(tmp_path / "acme", "_it", "", library, found)
    assert _unknown.find_tls(path) == f"{name} (OpenSSL 3.0.1)"


def test_libraries_that_need_each_other_are_looked_at_once(tmp_path: Path) -> None:
    rpath = "-Wl,-rpath,$ORIGIN"
    one, two = tmp_path / "libone.so", tmp_path / "libtwo.so"
    compiled(one, "int one;", "-Wl,-soname,libone.so", rpath)
    compiled(two, "int two;", "-Wl,-soname,libtwo.so", rpath, str(one))
    compiled(one, "int one;", "-Wl,-soname,libone.so", rpath, str(two))
    assert _unknown.find_tls(extension(tmp_path, "_it", "", str(one), rpath)) == ""
    compiled(tmp_path / "libssl.so.9", "int ssl;", "-Wl,-soname,libssl.so.9")
    compiled(
        two, "int two;", "-Wl,-soname,libtwo.so", rpath, str(one), str(tmp_path / "libssl.so.9")
    )
    _unknown._files.clear()
    assert _unknown.find_tls(extension(tmp_path, "_it", "", str(one), rpath)) == "libssl.so.9"


def elf_of_32_bits(name: bytes) -> bytes:
    """Return the headers of a shared object of 32 bits that needs a library."""
    order = "<" if sys.byteorder == "little" else ">"
    strings, dynamic = 52 + 2 * 32, 52 + 2 * 32 + 64
    ident = b"\x7fELF" + bytes([1, 1 if order == "<" else 2, 1]) + bytes(9)
    head = struct.pack(order + "2H5I6H", 3, 3, 1, 0, 52, 0, 0, 52, 32, 2, 40, 0, 0)
    loaded = struct.pack(order + "8I", 1, 0, 0x1000, 0x1000, 4096, 4096, 4, 4096)
    dynamics = struct.pack(order + "8I", 2, dynamic, 0, 0, 24, 24, 4, 4)
    entries = struct.pack(order + "6I", 1, 1, 5, 0x1000 + strings, 0, 0)
    return ident + head + loaded + dynamics + (b"\0" + name).ljust(64, b"\0") + entries


def test_a_file_of_32_bits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "it.so"
    path.write_bytes(elf_of_32_bits(b"libgnutls.so.30"))
    assert _unknown.find_tls(str(path)) == "libgnutls.so.30"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (
            b"\xcf\xfa\xed\xfe\0/usr/lib/libSystem.B.dylib\0\0/usr/lib/libcurl.4.dylib\0",
            "libcurl.4.dylib",
        ),
        (b"\xcf\xfa\xed\xfe\0@loader_path/../.dylibs/libssl.3.dylib\0", "libssl.3.dylib"),
        (b"MZ\x90\0KERNEL32.dll\0libssl-3-x64.dll\0", "libssl-3-x64.dll"),
        (b"MZ\x90\0KERNEL32.dll\0libcrypto-3-x64.dll\0", ""),
        (b"MZ\x90\0KERNEL32.dll\0WINHTTP.dll\0", "WINHTTP.dll"),
        (b"MZ\x90\0Secur32.dll\0", ""),  # it has other uses
        (b"MZ\x90\0Microsoft Unified Security Protocol Provider\0", "Schannel"),
        (b"MZ" + "Microsoft Unified Security Protocol Provider".encode("utf-16-le"), "Schannel"),
        (b"\xcf\xfa\xed\xfe\0_SSLHandshake\0", "Secure Transport"),
        (b"\xcf\xfa\xed\xfe\0my_SSLHandshake\0", ""),
        (b"", ""),
        (b"\x7fELF", ""),
        (b"\x7fELF\2" + b"\xff" * 4091, ""),
        (b"\x7fELF\2" + b"\xff" * 300_000, ""),
        (
            bytes(300_000) + b"client finished\0server finished",
            "an implementation that does not say its name",
        ),
    ],
)
def test_a_file_of_another_format_is_searched_whole(data: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "it.so"
    path.write_bytes(data)
    assert _unknown.find_tls(str(path)) == what


@pytest.mark.parametrize("shift", [-20, -15, -8, -1, 0, 1, 47, 48, 49, 63, 64, 65])
def test_a_word_is_found_wherever_it_lies(shift: int, tmp_path: Path) -> None:
    data = bytearray(300_000)
    for place, word in zip((_unknown._CHUNK, 4 * _unknown._CHUNK - 3 * 64), LABELS):
        data[place + shift : place + shift + len(word)] = word.encode()
    (tmp_path / "it.so").write_bytes(data)
    assert _unknown.find_tls(str(tmp_path / "it.so"))


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _unknown.find_tls(str(tmp_path / "it.so"))
    with pytest.raises(IsADirectoryError):
        _unknown.find_tls(str(tmp_path))


def test_no_module_of_the_standard_library_carries_tls_but_ssl() -> None:
    folder = Path(sysconfig.get_path("platstdlib"), "lib-dynload")
    found = {each.name.split(".")[0]: _unknown.find_tls(str(each)) for each in folder.glob("*.so")}
    assert {name for name, what in found.items() if what} <= {"_ssl"}
    assert len(found) > 20 or "_hashlib" not in found


def natives(package: str) -> dict[str, str]:
    """Return what each extension module of an installed package carries."""
    need(package)
    spec = importlib.util.find_spec(package)
    assert spec is not None
    folders = spec.submodule_search_locations or ()
    files = [str(each) for folder in folders for each in Path(folder).rglob("*.so")]
    files += [spec.origin] if spec.origin and spec.origin.endswith(".so") else []
    assert files
    return {each: _unknown.find_tls(each) for each in files}


@pytest.mark.parametrize(
    "package",
    ["aiohttp", "asyncpg", "gevent", "greenlet", "multidict", "uvloop", "wrapt", "numpy", "orjson"],
)
def test_a_wheel_without_tls_carries_none(package: str) -> None:
    if package in ("numpy", "orjson") and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is installed by hand")
    assert set(natives(package).values()) == {""}


@pytest.mark.parametrize(
    ("package", "what"),
    [
        ("_awscrt", "s2n"),
        ("confluent_kafka", "librdkafka"),
        ("cryptography", "OpenSSL "),
        ("curl_cffi", "BoringSSL"),
        ("grpc", "BoringSSL"),
        ("obstore", "rustls 0."),
        ("psycopg2", "libpq"),
        ("psycopg_binary", "libpq"),
        ("pycurl", "lib"),
        ("pymssql", "lib"),
    ],
)
def test_a_wheel_with_tls_carries_it(package: str, what: str) -> None:
    found = natives(package)
    assert any(what in each for each in found.values()), found


#: A library that no row covers, its second module, one that is like it, and one without TLS.
ACME = ("acme._tls", "acme._more", "other._tls", "acme._plain")


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder to import from; what is imported prints that it was executed."""
    folder = tmp_path_factory.mktemp("acme")
    for name in ACME:
        package, _, module = name.partition(".")
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "__init__.py").touch()
        extension(folder / package, module, "", *() if "plain" in name else ("-l:libssl.so.3",))
    for package in ("granian", "cryptography", "numpy"):  # a row, what carries one, none
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
        extension(folder / package, "_tls", "", "-l:libssl.so.3")
    return str(folder)


def armed(route: str, acme: str, program: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program that imports from that folder, with floor 1.2 armed by a route."""
    if route == "PYTHONPATH":
        env = armed_environment(**{"PYTHONPATH": os.pathsep.join([BOOTSTRAP, acme]), **env})
    else:
        env = clean_environment(PYTHONPATH=os.pathsep.join([acme, IMPORT_PATH]), **env)
        call = "import tlsfloor; tlsfloor.enforce('1.2')"
        program = f"{call}\n{program}" if route == "early" else program.replace("# late", call)
    return python("-u", "-c", program, env=env)


ROUTES = ("PYTHONPATH", "early", "late")
WARNING = "tlsfloor: warning: acme._tls ({}) carries TLS (libssl.so.3), and no row of the table"


@pytest.mark.parametrize("route", ROUTES)
def test_an_unknown_library_is_named_once_and_the_floor_is_not_held(
    route: str, acme: str, tmp_path: Path
) -> None:
    events = tmp_path / "events"
    program = """
import acme._tls, acme._more, other._tls
# late
import sys, tlsfloor
del sys.modules["acme._tls"]
import acme._tls
status = tlsfloor.status()
print(status.held, bool(status), status.floor)
print(*status.problems, sep="\\n")
try:
    tlsfloor.require("1.2")
except tlsfloor.FloorNotHeldError as error:
    print(error)
"""
    done = armed(route, acme, program, TLSFLOOR_EVENTS=str(events))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("executed\n")[-1].splitlines()
    path = os.path.join(acme, "acme", f"_tls{SUFFIX}")
    assert lines[0] == "False False 1.2"
    assert lines[1] == (f"acme._tls: no row of the table covers its TLS: libssl.so.3 in {path}")
    assert lines[2].startswith("other._tls: no row of the table covers its TLS: libssl.so.3 in ")
    assert lines[3].startswith(f"this process does not hold TLS 1.2: {lines[1]}, {lines[2]}; hint:")
    assert lines[3].endswith(
        "; hint: run `tlsfloor stacks`, which lists each TLS library and what covers it"
    )
    said = done.stderr.splitlines()
    assert said[0].startswith(WARNING.format(path))
    assert "hint: set TLSFLOOR_UNKNOWN=block" in said[0]
    assert said[1].startswith("tlsfloor: warning: other._tls (")
    assert len(said) == 2, said
    told = [json.loads(line) for line in events.read_text().splitlines()]
    [first, *_] = [each for each in told if each["kind"] == "unknown"]
    assert first["stack"] == "acme" and first["text"] == f"libssl.so.3 in {path}"
    assert first["floor"] == "1.2" and first["mode"] == "enforce"


def test_what_has_only_newer_versions_is_named_above_them(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    source = constants(*LABELS, "/src/rustls-0.23.4/src/lib.rs")
    extension(tmp_path / "acme", "_rust", source)
    program = """
import acme._rust, tlsfloor
print(tlsfloor.status().problems)
tlsfloor.require("1.2")
tlsfloor.enforce("1.2", mode="observe")
tlsfloor.enforce("1.3", mode="observe", on_event=lambda event: print(event["kind"], event["mode"]))
print(tlsfloor.status().problems)
tlsfloor.enforce("1.3")
print(tlsfloor.status().problems)
"""
    done = armed("PYTHONPATH", str(tmp_path), program)
    executed, first, *told, third = done.stdout.splitlines()
    assert (executed, first) == ("executed", "[]"), done.stderr
    assert [each for each in told if "armed" not in each] == [
        "unknown observe",
        "[]",
        "unknown enforce",
    ]
    assert "acme._rust: no row of the table covers its TLS: " + RUSTLS in third
    assert done.stderr.count("tlsfloor: warning: acme._rust (") == 1


def test_what_needs_another_library_as_well_is_told_by_the_worse(tmp_path: Path) -> None:
    source = constants(*LABELS, "/src/rustls-0.23.4/src/lib.rs")
    assert _unknown.find_tls(extension(tmp_path, "_rust", source, "-l:libssl.so.3")) == (
        "libssl.so.3"
    )


@pytest.mark.parametrize("route", ROUTES)
def test_a_library_without_tls_is_not_named(route: str, acme: str) -> None:
    program = """
import acme._plain, cryptography._tls, granian._tls, numpy._tls
# late
import sys
print("tlsfloor.arm" in sys.modules)
import tlsfloor
print(tlsfloor.status().held)
tlsfloor.require("1.2")
"""
    done = armed(route, acme, program)
    assert done.stderr == ""
    first, held = done.stdout.split("executed\n")[-1].split()
    assert held == "True"
    # One that carries the library of a row has to be looked up there.
    if route == "PYTHONPATH":
        plain = armed(route, acme, program.replace("cryptography._tls, ", ""))
        assert plain.stdout.split("executed\n")[-1].split() == ["False", "True"]


BLOCKED = """
import tlsfloor
for _ in range(2):
    try:
        import acme._tls
    except ImportError as error:
        print(type(error).__name__, error)
import acme._plain
print(tlsfloor.status().held, tlsfloor.status().problems)
"""


@pytest.mark.parametrize("route", ["PYTHONPATH", "early"])
def test_it_can_be_refused_before_it_is_executed(route: str, acme: str) -> None:
    done = armed(route, acme, BLOCKED, TLSFLOOR_UNKNOWN="block")
    one, two, executed, held = done.stdout.splitlines()
    assert one == two
    assert "acme._tls (" in one and "carries TLS (libssl.so.3)" in one
    assert one.endswith("TLSFLOOR_UNKNOWN=warn")
    assert (executed, held, done.stderr) == ("executed", "True []", "")


@pytest.mark.parametrize(
    ("words", "env", "refused"),
    [
        (("warn",), {}, False),
        (("block",), {}, True),
        (("block", "warn"), {}, True),
        (("warn", "block"), {}, True),
        (("warn",), {"TLSFLOOR_UNKNOWN": "block"}, True),
        (("block",), {"TLSFLOOR_UNKNOWN": "warn"}, True),
        ((None,), {"TLSFLOOR_UNKNOWN": "warn"}, False),
    ],
)
def test_of_what_is_wanted_the_strictest_wins(
    words: tuple[str, ...], env: dict[str, str], refused: bool, acme: str
) -> None:
    calls = "".join(f"tlsfloor.enforce('1.2', unknown={each!r})\n" for each in words)
    done = armed("none", acme, f"import tlsfloor\n{calls}{BLOCKED}", **env)
    assert ("GuardError" in done.stdout) == refused, done.stderr
    assert done.stderr.count("tlsfloor: warning: acme._tls") == (not refused)


def test_a_late_call_refuses_what_is_there(acme: str) -> None:
    program = """
import acme._tls, tlsfloor
try:
    tlsfloor.enforce("1.2", unknown="block")
except tlsfloor.GuardError as error:
    print(error)
status = tlsfloor.status()
print(status.floor, status.held, *status.problems)
"""
    done = armed("none", acme, program)
    _, refused, status = done.stdout.splitlines()
    assert refused.startswith("acme._tls (")
    assert status.startswith("1.2 False acme._tls: no row of the table covers its TLS")


def test_on_error_warn_lets_it_run_and_says_so(acme: str) -> None:
    wanted = {"TLSFLOOR_UNKNOWN": "block", "TLSFLOOR_ON_ERROR": "warn"}
    done = armed("PYTHONPATH", acme, BLOCKED, **wanted)
    executed, _, held = done.stdout.splitlines()
    assert executed == "executed"
    assert held.startswith("False ['acme._tls: no row of the table covers its TLS")
    assert done.stderr.startswith("tlsfloor: error: acme._tls (")


def test_observing_names_it_in_an_event_alone(acme: str, tmp_path: Path) -> None:
    events = tmp_path / "events"
    env = {"TLSFLOOR_MODE": "observe", "TLSFLOOR_EVENTS": str(events)}
    done = armed("PYTHONPATH", acme, "import acme._tls", TLSFLOOR_UNKNOWN="block", **env)
    assert (done.stdout, done.stderr) == ("executed\n", "")
    told = [json.loads(line) for line in events.read_text().splitlines()]
    [found] = [each for each in told if each["kind"] == "unknown"]
    assert found["mode"] == "observe" and found["stack"] == "acme"


def test_without_a_floor_nothing_is_said(acme: str) -> None:
    program = "import acme._tls, tlsfloor; print(tlsfloor.status().problems)"
    done = armed("PYTHONPATH", acme, program, TLSFLOOR="off")
    assert (done.stdout, done.stderr) == ("executed\n['TLSFLOOR=off']\n", "")


@pytest.mark.parametrize("value", ["", "off", "1.2"])
def test_a_mistake_in_the_variable_refuses_tls(value: str) -> None:
    program = "import tlsfloor\ntry:\n    import ssl\nexcept ImportError as error: print(error)"
    done = python("-c", program, env=armed_environment(TLSFLOOR_UNKNOWN=value))
    assert f"unknown value in TLSFLOOR_UNKNOWN: {value!r}" in done.stdout


def test_a_mistake_in_a_call_arms_nothing() -> None:
    program = """
import tlsfloor
try:
    tlsfloor.enforce("1.2", unknown="wran")
except tlsfloor.PolicyError as error:
    print(error, tlsfloor.status().armings)
"""
    done = python("-c", program, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert done.stdout == (
        "unknown value in enforce(): 'wran'; hint: write one of warn, block []\n"
    )


def test_an_extension_of_another_name_in_a_package_of_the_table_is_unknown(tmp_path: Path) -> None:
    extension(tmp_path / "pyqwest", "pyqwest", constants(*LABELS))
    (tmp_path / "pyqwest" / "__init__.py").write_text("from pyqwest import pyqwest\n")
    code = "import pyqwest, tlsfloor; print(tlsfloor.status().held)"
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=armed_environment(), capture_output=True, text=True
    )
    assert done.stdout.split() == ["executed", "False"], done.stderr
    assert "pyqwest.pyqwest" in done.stderr


@pytest.mark.parametrize(
    ("words", "refused"), [(("boringssl/",), True), (("/src/rustls-0.23.4/src/lib.rs",), False)]
)
def test_a_row_of_rustls_refuses_a_version_with_another_tls(
    words: tuple[str, ...], refused: bool, tmp_path: Path
) -> None:
    extension(tmp_path / "primp", "primp", constants(*LABELS, *words))
    (tmp_path / "primp" / "__init__.py").write_text("from primp import primp\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import primp"
    done = subprocess.run(
        [sys.executable, "-c", program], env=armed_environment(), capture_output=True, text=True
    )
    assert bool(done.returncode) is refused, done.stderr
    assert ("its TLS is BoringSSL" in done.stderr) is refused
