"""What the hooks call, when, and what they leave alone: each program in its own interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from programs import IMPORT_PATH, clean_environment, python

#: ``calls`` collects what the hooks call, as they are called before any floor is armed.
PROLOGUE = """
import _frozen_importlib as _b, _frozen_importlib_external as _files, _imp, sys
from types import SimpleNamespace as Object
from tlsfloor import hooks
calls = []
def noting(kind, name):
    def note(what):
        assert "tlsfloor" in sys.modules
        calls.append((kind, what if name is None else getattr(what, name)))
    return note
def watch():
    names = {"executed": "__name__", "before": None, "unlisted": "name"}
    hooks.watch(**{kind: noting(kind, name) for kind, name in names.items()})
"""


def run(program: str, folder: Path | None = None) -> None:
    """Run a program that asserts what must be true, with a folder of modules."""
    folders = [str(folder)] if folder else []
    env = clean_environment(PYTHONPATH=os.pathsep.join([IMPORT_PATH, *folders]))
    done = python("-c", PROLOGUE + program, *folders, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


pytestmark = pytest.mark.skipif(
    sys.implementation.name == "pypy" or sys.version_info < (3, 10),
    reason="its _ssl is of Python, or executed as it is created",
)


def test_modules_of_the_table_are_announced_and_guarded_once_for_each_import(
    tmp_path: Path,
) -> None:
    (tmp_path / "psycopg.py").write_text("value = 1")
    (tmp_path / "plain.py").write_text("value = 1")
    run(
        """
import importlib
hooks.insert()
import plain, psycopg  # nothing is to be called yet
assert not hooks.is_watching()
del sys.modules["psycopg"]
watch()
assert hooks.is_watching()
import psycopg
assert calls == [("before", "psycopg"), ("executed", "psycopg")], calls
calls.clear()
assert importlib.reload(psycopg) is psycopg
assert calls == [("executed", "psycopg")], calls
calls.clear()
assert importlib.reload(plain) is plain
import ssl
alone = [("before", "_ssl"), ("before", "_ssl"), ("executed", "_ssl")]
assert calls == [("before", "ssl"), *alone, ("executed", "ssl")], calls
import opentelemetry.metrics
last = ("before", "opentelemetry.metrics"), ("executed", "opentelemetry.metrics")
assert tuple(calls[5:]) == last, calls
""",
        folder=make_package(tmp_path, "opentelemetry", "metrics"),
    )


def make_package(folder: Path, name: str, module: str) -> Path:
    (folder / name).mkdir()
    for each in ("__init__", module):
        (folder / name / f"{each}.py").touch()
    return folder


def test_an_extension_is_known_in_any_package_and_an_unlisted_one_is_announced(
    tmp_path: Path,
) -> None:
    run(
        """
import shutil, sysconfig
from importlib.machinery import ExtensionFileLoader
from importlib.util import spec_from_file_location
import _ssl
watch()
import _queue, _json, zlib  # of the standard library
assert calls == [], calls
spec = spec_from_file_location("package._ssl", _ssl.__spec__.origin)
hooks.keep_own_modules()
del sys.modules["tlsfloor"]
module = spec.loader.create_module(spec)
assert calls == [("before", "_ssl")], calls
spec.loader.exec_module(module)
assert calls[1][0] == "executed" and len(calls) == 2, calls
assert "package._ssl" not in sys.modules
calls.clear()
place = sys.argv[1] + "/elsewhere" + hooks.SUFFIXES[0]
if _queue.__spec__.origin != "built-in":
    shutil.copy(_queue.__spec__.origin, place)
    spec = spec_from_file_location("_queue", place)
    spec.loader.exec_module(spec.loader.create_module(spec))
    assert calls == [("unlisted", "_queue")], calls
for origin in (place + ".txt", None, "built-in"):
    hooks._before_create(Object(name="x", origin=origin))
hooks._before_create(Object(name="x"))
assert len(calls) <= 1, calls
assert hooks._before_create(Object(name="package._ssl", origin=place)) == "_ssl"
assert hooks._before_create(Object(name="my_ssl", origin=None)) is None
""",
        folder=tmp_path,
    )


def test_the_name_of_a_module_is_that_of_its_importer() -> None:
    run(
        """
name = hooks.imported_name
assert name(Object(__spec__=Object(name="right"), __name__="wrong")) == "right"
assert name(Object(__spec__=None, __name__="own")) == name(Object(__name__="own")) == "own"
assert name(Object(__spec__=Object(name=None), __name__="own")) == "own"
assert name(Object(__name__="package._ssl")) == "_ssl"
assert name(Object(__name__="my_ssl")) == "my_ssl"
"""
    )


def test_a_module_whose_guard_fails_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("value = 1")
    run(
        """
def fail(module):
    raise KeyboardInterrupt
hooks.watch(fail, lambda name: None)
for name in ("psycopg", "_ssl"):
    try:
        __import__(name)
    except KeyboardInterrupt:
        assert name not in sys.modules
    else:
        raise AssertionError(name)
""",
        folder=tmp_path,
    )


def test_modules_of_tlsfloor_that_are_dropped_are_the_same_when_they_come_back(
    tmp_path: Path,
) -> None:
    for name in ("tlsfloorish", "plain", "other"):
        (tmp_path / f"{name}.py").touch()
    run(
        """
import importlib
import plain, tlsfloor, tlsfloor.floor, tlsfloorish
hooks.insert()
hooks.keep_own_modules()
before = dict(sys.modules)
for name in ("tlsfloor", "tlsfloor.floor", "tlsfloorish"):
    del sys.modules[name]
import other  # any import brings them back
for name in ("tlsfloor", "tlsfloor.floor"):
    assert sys.modules[name] is before[name]
assert "tlsfloorish" not in sys.modules
del sys.modules["tlsfloor.floor"]
assert importlib.import_module("tlsfloor.floor") is before["tlsfloor.floor"]
assert importlib.import_module("tlsfloorish") is not before["tlsfloorish"]
try:
    importlib.reload(tlsfloor.floor)
except ImportError as error:
    assert error.name == "tlsfloor.floor"
    assert str(error) == (
        "tlsfloor.floor cannot be reloaded: it holds the floor of this process; hint: restart the "
        "process"
    )
else:
    raise AssertionError
mine = sys.modules["tlsfloor"] = type(sys)("tlsfloor")  # what a program puts there stays
del sys.modules["other"]
import other
assert sys.modules["tlsfloor"] is mine
""",
        folder=tmp_path,
    )


def test_each_hook_is_inserted_once_and_reads_as_the_function_of_importlib() -> None:
    run(
        """
before = {(module, name): getattr(module, name) for module, name, *_ in hooks.HOOKS}
assert len(before) == 6
assert hooks.problem() == "no hook is in place"
hooks.insert()
assert hooks.problem() == ""
after = {(module, name): getattr(module, name) for module, name in before}
for (module, name), hook in after.items():
    assert hook is not before[module, name]
    assert hook.__code__.co_filename == before[_b, "_exec"].__code__.co_filename
    if module is _imp:
        assert hook.__code__.co_name == "_call_with_frames_removed"
        assert hook.__globals__ is vars(_b)
        assert hook.__name__ == name
    else:
        assert hook.__globals__ is vars(hooks)
finders = list(sys.meta_path)
hooks.insert()
watch()
assert after == {(module, name): getattr(module, name) for module, name in before}
assert sys.meta_path == finders
_imp.create_builtin = before[_imp, "create_builtin"]
assert hooks.problem() == (
    "_imp.create_builtin was replaced: a TLS library that is imported now may not be guarded"
)
del _imp.create_builtin
assert hooks.problem().startswith("_imp.create_builtin was replaced")
"""
    )


def test_without_one_of_the_functions_the_others_have_hooks_and_a_finder_is_added() -> None:
    run(
        """
del _imp.create_dynamic
finders = list(sys.meta_path)
exec_dynamic = _imp.exec_dynamic
hooks.insert()
assert sys.meta_path == finders  # nothing is to be called yet
assert _imp.exec_dynamic is not exec_dynamic
watch()
assert len(sys.meta_path) == len(finders) + 1
assert hooks.problem().startswith("this interpreter has no _imp.create_dynamic: ")
sys.meta_path[0].executed(hooks)
assert calls == [("executed", "tlsfloor.hooks")]
"""
    )


def test_a_function_of_the_startup_file_waits_until_there_is_something_to_call() -> None:
    run(
        """
asked = []
def function_of(name):
    original = getattr(_b, name)
    def waiting(*args):
        asked.append(name)
        return original(*args)
    waiting.tlsfloor_wakes = original
    setattr(_b, name, waiting)
    return waiting
waiting = function_of("_load_unlocked")
hooks.insert()
assert _b._load_unlocked is waiting
assert hooks.problem() == ""
watch()
assert _b._load_unlocked is not waiting
import colorsys
assert asked == []
mine = _b._load_unlocked
function_of("_load_unlocked")  # a second copy of the start-up file
watch()
assert _b._load_unlocked is mine
"""
    )


def test_own_modules_are_loaded_by_the_loader_of_importlib(tmp_path: Path) -> None:
    for name in ("plain.py", "other.txt"):
        (tmp_path / name).write_text("value = 1")
    run(
        """
import os
from importlib.util import spec_from_file_location
hooks.insert()
folder = sys.argv[1]
class Loader(_files.SourceFileLoader):
    pass
def spec_of(name, file):
    path = folder + "/" + file
    spec = spec_from_file_location(name, path, loader=Loader(name, path))
    if file == "plain.py":
        assert _b._load_unlocked(spec).value == 1
    else:
        hooks._use_plain_loader(spec)
    return spec
def is_replaced(name, file):
    return type(spec_of(name, file).loader) is _files.SourceFileLoader
assert is_replaced("tlsfloor.plain", "plain.py")
assert "get_code" not in vars(spec_of("tlsfloor.plain", "plain.py").loader)
assert not is_replaced("tlsfloorish", "plain.py")
assert not is_replaced("tlsfloor.other", "other.txt")
assert not is_replaced("tlsfloor.none", "none.py")
frozen = Object(name="tlsfloor.x", origin=None, loader=None)
hooks._use_plain_loader(frozen)
assert frozen.loader is None
# A tool may redirect the bytecode to that of instrumented code.
class Callable:
    def __call__(self, *args, **kwargs):
        return folder + "/bytecode"
for redirected in (lambda *args, **kwargs: folder + "/bytecode", Callable()):
    _files.cache_from_source = redirected
    assert "get_code" in vars(spec_of("tlsfloor.plain", "plain.py").loader)
    assert not os.path.exists(folder + "/bytecode")
""",
        folder=tmp_path,
    )
