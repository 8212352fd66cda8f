"""Beneath the import: no way of loading ``ssl`` gets around the floor, and none is broken by it.

Each way is a process of its own, against a peer of TLS 1.0: without a floor it must connect, and
only then does its refusal with one prove anything.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compiled import compiled, libpython
from import_ways import CALL, WAYS_PROGRAM, assert_no_way_around
from programs import BOOTSTRAP, IMPORT_PATH, clean_environment, python
from parts import pythons
from tlsfloor import policy, stacks
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTES = ("PYTHONPATH", "early", "late", "installed")


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with handshakes.ServerPeer(TLS1_0) as peer:
        yield str(peer.port)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment that contains an installed start-up file and nothing else."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    done = python("-m", "tlsfloor", "install", "--prefix", str(place), cwd=place)
    assert done.returncode == 0, done.stderr
    return str(place / "bin" / "python")


@pytest.mark.parametrize("route", ROUTES)
def test_no_way_gets_around_the_floor(
    route: str, port: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    executable = request.getfixturevalue("installed") if route == "installed" else sys.executable
    assert_no_way_around(port, route, tmp_path, executable, control=sys.executable)


def mutant(tmp_path: Path, *without: str) -> str:
    """Return the bootstrap folder of a copy that lacks some hooks."""
    copy = tmp_path / "mutant" / "tlsfloor"
    shutil.copytree(Path(BOOTSTRAP).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / "hooks.py").read_text()
    for name in without:
        row = next(line for line in text.splitlines(keepends=True) if f'"{name}", _' in line)
        text = text.replace(row, "")
    if "exec_dynamic" in without:  # before 3.10 _ssl is executed as it is created
        text = text.replace('if "_SSLContext" in vars(module)', "if False")
    (copy / "hooks.py").write_text(text)
    return str(copy / "bootstrap")


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="its _ssl is no extension")
def test_without_the_hook_of_extensions_a_way_gets_around(tmp_path: Path, port: str) -> None:
    """This proves that the tests above can fail."""
    for folder, expected in (
        (BOOTSTRAP, "refused: "),
        (mutant(tmp_path, "exec_dynamic", "exec_builtin"), "TLSv1"),
    ):
        env = clean_environment(PYTHONPATH=folder)
        done = python(str(WAYS_PROGRAM), "native_by_file", port, env=env)
        assert done.stdout.startswith(expected), done.stderr


def test_without_the_hook_of_python_modules_a_way_gets_around(tmp_path: Path) -> None:
    (tmp_path / "ssl.py").write_text("class SSLContext: pass\n")
    for folder, expected in (
        (BOOTSTRAP, "ImportError: tlsfloor: error: the floor cannot be held on <module 'ssl'"),
        (mutant(tmp_path, "_load_unlocked"), ""),
    ):
        env = clean_environment(PYTHONPATH=os.pathsep.join([folder, str(tmp_path)]))
        done = python("-c", "import ssl", env=env)
        assert expected in done.stderr
        assert bool(expected) == bool(done.returncode)


def test_an_interpreter_that_lacks_a_function_gets_a_finder(tmp_path: Path, port: str) -> None:
    folder = mutant(tmp_path)
    hooks = Path(folder).parent / "hooks.py"
    for name in ("_load_unlocked", "create_dynamic", "exec_dynamic"):
        hooks.write_text(hooks.read_text().replace(f'"{name}", _', f'"{name}_of_old", _'))
    env = clean_environment(PYTHONPATH=folder)
    assert python(str(WAYS_PROGRAM), "plain", port, env=env).stdout.startswith("refused: ")
    program = "import ssl, tlsfloor; print(tlsfloor.status().held, tlsfloor.status().problems)"
    done = python("-c", program, env=env)
    assert done.stdout.startswith('False ["this interpreter has no ') or done.stdout.startswith(
        "False ['this interpreter has no "
    )
    assert "a finder on sys.meta_path" in done.stdout


def test_the_startup_file_repeats_the_table_and_the_variables() -> None:
    """It imports neither, because every idle process would pay for it."""
    tree = ast.parse(Path(BOOTSTRAP, "sitecustomize.py").read_text())
    found = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    words = {
        name: " ".join(
            each.value
            for each in ast.walk(found[name])
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ).split()
        for name in ("STACKS", "VARIABLES")
    }
    assert words["STACKS"] == sorted(stacks.TABLE)
    assert words["VARIABLES"] == list(policy.VARIABLES)


TRACEBACK = """
import sys, traceback
sys.path.insert(0, sys.argv[1])
for name in ("broken", "syntax", "missing", "package.inner"):
    try:
        __import__(name)
    except Exception:
        traceback.print_exc()
print("by importlib", file=sys.stderr)
import importlib, whole
open(sys.argv[1] + "/whole.py", "w").write("x = 1 / 0 # longer\\n")
try:
    importlib.reload(whole)
except Exception:
    traceback.print_exc()
try:
    importlib.import_module("broken")
except Exception:
    traceback.print_exc()
"""


def test_a_traceback_of_a_failed_import_reads_as_without_tlsfloor(tmp_path: Path) -> None:
    """The texts are equal: CPython removes frames with the file name of importlib."""
    files = {
        "broken.py": "def f():\n    raise ValueError('of theirs')\nf()\n",
        "syntax.py": "def (\n",
        "missing.py": "import not_there\n",
        "package/__init__.py": "",
        "package/inner.py": "from package import nothing_of_the_kind\n",
        "whole.py": "x = 1\n",
    }
    said = []
    for route in ("none", "armed", "called"):
        place = tmp_path / "it"
        shutil.rmtree(place, ignore_errors=True)
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        env = clean_environment(PYTHONPATH=BOOTSTRAP if route == "armed" else IMPORT_PATH)
        before = "import ssl\n" if route == "armed" else f"{CALL}\n" if route == "called" else "\n"
        done = python("-c", f"{before}{TRACEBACK}", str(place), env=env)
        said.append((done.returncode, done.stderr))
    assert said[0][1].count("Traceback") >= 5
    for status, text in said[1:]:
        assert status == said[0][0]
        statements, functions = text.split("by importlib")
        expected = said[0][1].split("by importlib")
        assert statements == expected[0]
        # Where importlib is called by name, its frames are shown, and ours is one of them.
        assert _without_importlib(functions) == _without_importlib(expected[1])


def _without_importlib(text: str) -> list[str]:
    return [line for line in text.splitlines() if "<frozen importlib." not in line]


EXTENSION = """
#include <Python.h>
static int failing(PyObject *module) {
    PyErr_SetString(PyExc_RuntimeError, "of theirs");
    return -1;
}
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, failing},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "failing", NULL, 0, NULL, slots};
PyMODINIT_FUNC PyInit_failing(void) { return PyModuleDef_Init(&def); }
"""


def test_a_traceback_of_a_failed_extension_reads_as_without_tlsfloor(tmp_path: Path) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    made = compiled(tmp_path, "failing", EXTENSION, "-shared", "-fPIC")
    made.rename(tmp_path / f"failing{suffix}")
    said = []
    for before in ("pass", CALL):
        env = clean_environment(PYTHONPATH=os.pathsep.join([str(tmp_path), IMPORT_PATH]))
        done = python("-c", f"{before}\nimport failing", env=env)
        said.append((done.returncode, done.stderr))
    assert "RuntimeError: of theirs" in said[0][1]
    assert said[1] == said[0]


#: As modules that SWIG made do on CPython 3.12 and newer, before SWIG 4.4.
WARNING = """
#include <Python.h>
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "warning", NULL, -1};
PyMODINIT_FUNC PyInit_warning(void) {
    if (PyErr_WarnEx(PyExc_DeprecationWarning, "of theirs", 1)) return NULL;
    return PyModule_Create(&def);
}
"""


@pytest.mark.parametrize("route", ["none", "idle", "armed", "called"])
def test_a_filter_for_importlib_matches_what_an_extension_warns_of(
    tmp_path: Path, route: str
) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    made = compiled(tmp_path, "warning", WARNING, "-shared", "-fPIC")
    made.rename(tmp_path / f"warning{suffix}")
    before = {"armed": "import ssl", "called": CALL}.get(route, "pass")
    path = [str(tmp_path), BOOTSTRAP if route in ("idle", "armed") else IMPORT_PATH]
    env = clean_environment(PYTHONPATH=os.pathsep.join(path))
    # (The frozen module has this name once the package is imported.)
    ignored = "-Wignore::DeprecationWarning:importlib._bootstrap"
    for options, status in (["-Werror::DeprecationWarning"], 1), ([ignored], 0):
        strict = ["-Werror::DeprecationWarning", *options]
        done = python(*strict, "-c", f"{before}\nimport importlib, warning", env=env)
        assert (done.returncode, "of theirs" in done.stderr) == (status, status == 1), done.stderr


#: A Python with ``_ssl`` built in, as static builds (uv's) have it: the table of built-in modules
#: gets the function of the extension that this Python was built with.
BUILTIN = """
#include <Python.h>
#include <dlfcn.h>
static PyObject *(*init)(void);
PyMODINIT_FUNC PyInit__ssl(void) { return init(); }
int main(int argc, char **argv) {
    void *library = dlopen(SSL, RTLD_NOW | RTLD_GLOBAL);
    if (!library) { fprintf(stderr, "%s\\n", dlerror()); return 9; }
    init = (PyObject *(*)(void)) dlsym(library, "PyInit__ssl");
    PyImport_AppendInittab("_ssl", PyInit__ssl);
    return Py_BytesMain(argc, argv);
}
"""


def static_python(tmp_path: Path) -> str:
    import _ssl

    if not hasattr(_ssl, "__file__"):
        pytest.skip("this Python has no extension _ssl to build in")
    return str(compiled(tmp_path, "python", BUILTIN, *libpython(), f'-DSSL="{_ssl.__file__}"'))


PLACELESS = """
import ssl, _imp, types
from importlib.machinery import BuiltinImporter, ModuleSpec
from importlib.util import module_from_spec
print(module_from_spec(ModuleSpec("itertools", BuiltinImporter)).__name__)
print(_imp.create_builtin(types.SimpleNamespace(name="errno")).__name__)
for origin in (None, b"x.so"):
    try:
        _imp.create_dynamic(ModuleSpec("x", None, origin=origin))
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("executable", pythons())
def test_a_module_needs_no_more_than_python_itself_needs(executable: str) -> None:
    without = python("-c", PLACELESS, executable=executable)
    assert without.stdout.startswith("itertools\nerrno\n"), without.stderr
    env = clean_environment(PYTHONPATH=BOOTSTRAP, PYTHONDONTWRITEBYTECODE="1")
    armed = python("-c", PLACELESS, env=env, executable=executable)
    assert (armed.stdout, armed.stderr) == (without.stdout, without.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="it is linked as Linux does")
def test_a_built_in_ssl_is_held(tmp_path: Path, port: str) -> None:
    executable = static_python(tmp_path)
    home = {"PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}"}
    program = "import _ssl; print(_ssl.__spec__.origin)"
    done = python("-c", program, env=clean_environment(**home), executable=executable)
    assert done.stdout.strip() == "built-in", done.stderr
    for way in ("plain", "copy_by_spec", "finder_in_front", "load_module", "get_code", "dropped"):
        for path, expected in (("", "TLSv1"), (BOOTSTRAP, "refused: ")):
            env = clean_environment(PYTHONPATH=path, **home)
            done = python(str(WAYS_PROGRAM), way, port, env=env, executable=executable)
            assert done.stdout.startswith(expected), (way, done.stdout, done.stderr)


def test_a_new_connection_has_the_tls_object_of_the_c_type(tmp_path: Path) -> None:
    """Some extensions use it before the handshake (sslpsk3, sslkeylog)."""
    program = """
import _ssl, socket, ssl
a, b = socket.socketpair()
kind = getattr(_ssl, "_SSLSocket", None)
sock = ssl.create_default_context().wrap_socket(
    a, server_hostname="localhost", do_handshake_on_connect=False)
memory = ssl.create_default_context().wrap_bio(
    ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
print(type(sock._sslobj).__name__, type(memory._sslobj).__name__)
"""
    said = [
        python("-c", program, env=clean_environment(PYTHONPATH=path)).stdout.split()
        for path in ("", BOOTSTRAP)
    ]
    assert said[0] == said[1]
    assert len(set(said[0])) == 1


LAZY = """
import importlib.util, sys, warnings
from importlib.machinery import PathFinder
warnings.simplefilter("ignore")
class Finder:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path) if name == "ssl" else None
        if spec is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec
sys.meta_path.insert(0, Finder())
import ssl
print(type(ssl).__name__)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = 0x301
print(type(ssl).__name__, int(context.minimum_version))
"""


def test_a_lazy_module_stays_lazy_and_is_held_when_it_is_used() -> None:
    """Mercurial's demandimport creates such modules: reading an attribute executes one."""
    kinds = []
    for path, minimum in (("", 0x301), (BOOTSTRAP, 0x303)):
        done = python("-c", LAZY, env=clean_environment(PYTHONPATH=path))
        kind, used = done.stdout.splitlines()
        assert used == f"module {minimum}", done.stderr
        kinds.append(kind)
    assert kinds[0] == kinds[1]  # PyPy's loader looks at it by itself
