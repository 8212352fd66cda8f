"""Where guards are called: beneath the import, so that no importer can pass them.

Theory of operation. A finder on ``sys.meta_path`` is one importer among others: another finder may
answer first, a tool may ask a loader directly, and programs wrap, sort and replace finders. But
however a module is asked for, CPython has one way in for each kind:

* **Extension modules**: every loader calls ``_imp.create_dynamic(spec)`` and then
  ``_imp.exec_dynamic(module)``; built-in ones ``create_builtin`` and ``exec_builtin``. They are
  looked up in ``_imp`` at each call (CPython, Lib/importlib/_bootstrap_external.py,
  ``ExtensionFileLoader``; Lib/importlib/_bootstrap.py, ``BuiltinImporter``). A module of one phase
  (PEP 489; ``_ssl`` before 3.10) is executed by the first of the two calls already.
* **Modules in Python**: every ``import``, whichever finder answered, ends in
  ``_load_unlocked(spec)`` of ``importlib._bootstrap``, and every ``reload()`` in
  ``_exec(spec, module)``. Both are looked up among the globals of that module (the same file,
  ``_find_and_load_unlocked``, and ``reload`` of Lib/importlib/__init__.py). A program that executes
  the code of a Python module itself is not seen here, which is why a guard belongs at the extension
  module where there is one.

So functions are put there. An idle process pays for putting them, and an import for one look-up.

Their code objects have the file name of importlib's own. CPython removes frames of that file from
the traceback of a failed import (Python/import.c, ``remove_importlib_frames``), so a traceback
reads as without tlsfloor. What an extension warns of while it is loaded is blamed on the function
that called ``_imp`` (Python/_warnings.c, ``setup_context``): those that stand there have the
globals of importlib, so that a filter for its module matches, and reach ours by their closure.

Modules of tlsfloor that somebody drops from ``sys.modules`` come back as they were: they know what
is armed and what they guard. ddtrace drops all that its own start has loaded. For the same reason
none is reloaded: IPython's autoreload does so with what was upgraded, and empties it first, which
it undoes where the reload fails. And they are loaded as they are, whatever loader another tool has
for them.
"""

import _frozen_importlib as _importlib
import _frozen_importlib_external as _files
import _imp
import sys

from tlsfloor.stacks import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable  # noqa: F401 - these are named in type comments
    from types import ModuleType  # noqa: F401
    from typing import Any  # noqa: F401

# Types are comments in this file: tools that check annotations as a program runs (typeguard,
# beartype) may come first, and would look for names that only type checkers import.

# What is called for a module of the table, before and after it is executed; and before the file of
# any other extension module is loaded. Until somebody watches, nothing is.
_before = _executed = _other = None  # type: Callable[[Any], object] | None

# The names that are looked up at each import: those of the table, and tlsfloor's own modules once
# they are loaded.
_watched = dict.fromkeys(TABLE)  # type: dict[str, Any]

# The extension module whose guard was called last, so that it is called once for each import.
_last = None  # type: Any

# What was put where: (module, name) -> the function that stands there.
_put = {}  # type: dict[tuple[Any, str], Any]


# The functions that this interpreter lacks.
_missing = set()  # type: set[str]


def _load_unlocked(load):
    # type: (Any) -> Any
    def _load_unlocked(spec):
        # type: (Any) -> Any
        name = spec.name
        if name not in _watched:
            if name[:9] == "tlsfloor.":
                _load_plainly(spec)
            elif "tlsfloor" not in sys.modules:
                _bring_back()
            return load(spec)
        if _watched[name] is not None:
            sys.modules[name] = _watched[name]
            return _watched[name]
        _call(_before, name)
        module = load(spec)
        if module is _last:
            return module  # whose guard was called when it was executed
        if type(module).__name__ == "_LazyModule":  # a look at it would execute it
            from tlsfloor.stacks import _finder

            _finder.listen(object.__getattribute__(module, "__spec__").loader, _guard)
            return module
        try:
            _call(_executed, module)
        except BaseException:
            sys.modules.pop(name, None)  # as importlib does when the module itself fails
            raise
        return module

    return _load_unlocked


def _exec(execute):
    # type: (Any) -> Any
    def _exec(spec, module):
        # type: (Any, Any) -> Any
        if _watched.get(spec.name) is module:
            text = "it holds the floor of this process; hint: restart the process"
            raise ImportError(f"{spec.name} cannot be reloaded: {text}", name=spec.name)
        result = execute(spec, module)
        if spec.name in TABLE:
            _call(_executed, result)
        return result

    return _exec


def _create(create, prepare, created):
    # type: (Any, Any, Any) -> Any
    def _call_with_frames_removed(spec, *rest):
        # type: (Any, *Any) -> Any
        name = prepare(spec)
        module = create(spec, *rest)
        if name:
            created(module)
        return module

    return _call_with_frames_removed


def _prepare(spec):
    # type: (Any) -> str | None
    """Return the name of a module of the table, before its file is loaded."""
    name = _row_of(spec.name)
    if name in TABLE:
        _call(_before, name)
        return name
    origin = getattr(spec, "origin", None)  # which nobody needs for a built-in module
    if isinstance(origin, str) and origin.endswith(SUFFIXES) and "lib-dynload" not in origin:
        _call(_other, spec)
    return None


def _created(module):
    # type: (Any) -> None
    if "_SSLContext" in vars(module):  # of one phase, and executed by now
        _call(_executed, module)


def _execute(execute, executed):
    # type: (Any, Any) -> Any
    def _call_with_frames_removed(module):
        # type: (Any) -> Any
        result = execute(module)
        executed(module)
        return result

    return _call_with_frames_removed


def _finish(module):
    # type: (Any) -> None
    global _last
    if name_of(module) in TABLE:
        _call(_executed, module)
        _last = module


def _guard(module):
    # type: (Any) -> None
    _call(_executed, module)


def _call(function, what):
    # type: (Callable[[Any], object] | None, Any) -> None
    if function is not None:
        if "tlsfloor" not in sys.modules:
            _bring_back()
        function(what)


def _bring_back():
    # type: () -> None
    for name, module in _watched.items():
        if module is not None:
            sys.modules.setdefault(name, module)


def _load_plainly(spec):
    # type: (Any) -> None
    """Let a module of ours be loaded as it is: what instruments others would break it.

    Tools derive a loader from importlib's own (typeguard), have one that is like none (pytest), or
    put one around it (Mercurial's demandimport, ddtrace). What is the file is no matter of theirs.
    """
    file = spec.origin
    is_file = vars(_files)["_path_isfile"]
    # Not in a zip file, nor frozen.
    if isinstance(file, str) and file[-3:] == ".py" and is_file(file):
        loader = _files.SourceFileLoader(spec.name, file)  # type: Any
        spec.loader = loader
        cached = getattr(_files.cache_from_source, "__code__", None)
        if cached is None or cached.co_filename != is_file.__code__.co_filename:
            # While typeguard executes a module, bytecode is that of instrumented modules.
            loader.get_code = lambda _: loader.source_to_code(loader.get_data(file), file)


#: What an extension module is called; a built-in one has the origin "built-in".
SUFFIXES = tuple(_imp.extension_suffixes())

_function = type(_load_unlocked)  # type: Any

#: Where a hook goes, the name it has there, what makes it from the function that is there, and what
#: else it calls.
HOOKS = (
    (_importlib, "_load_unlocked", _load_unlocked),
    (_importlib, "_exec", _exec),
    (_imp, "create_dynamic", _create, _prepare, _created),
    (_imp, "create_builtin", _create, _prepare, _created),
    (_imp, "exec_dynamic", _execute, _finish),
    (_imp, "exec_builtin", _execute, _finish),
)


def _row_of(name):
    # type: (str) -> str
    # Whatever package a copy of _ssl is loaded for, CPython takes its init function from the last
    # part of the name (Python/importdl.c, get_encoded_name()).
    return "_ssl" if name.endswith("._ssl") else name


def name_of(module):
    # type: (ModuleType) -> str
    """Return the name of a module as its importer knows it.

    CPython gives an extension that two threads import at once a wrong ``__name__``.
    """
    return _row_of(getattr(getattr(module, "__spec__", None), "name", None) or module.__name__)


def watch(executed, before, other=None):
    # type: (Callable[[Any], object], Callable[[Any], object], Callable[[Any], object] | None) -> None
    """Call ``before(name)`` and ``executed(module)`` for each module of the table from now on.

    And ``other(spec)`` before an extension module is loaded that neither the table nor Python
    itself brings. A later call replaces the functions of an earlier one.
    """
    global _executed, _before, _other
    _executed, _before, _other = executed, before, other
    put()


def is_watching():
    # type: () -> bool
    """Tell whether somebody watches."""
    return _executed is not None


def put():
    # type: () -> None
    """Put the hooks in place, unless they are: several threads may do so at once."""
    file = vars(_importlib)["_load_unlocked"].__code__.co_filename
    codes = {}  # type: dict[Any, Any]
    for module, name, make, *calls in HOOKS:
        function = getattr(module, name, None)
        if function is None:
            _missing.add(f"{module.__name__}.{name}")
            continue
        # What the start-up file put there has done its work.
        beneath = getattr(function, "tlsfloor_wakes", None)
        if beneath and _executed is None:
            continue  # it waits for the first TLS stack, and nobody else watches yet
        if beneath or (module, name) not in _put:
            hook = make(beneath or function, *calls)
            code = codes[make] = codes.get(make) or hook.__code__.replace(co_filename=file)
            if calls and hook.__globals__ is globals():
                hook = _function(code, vars(_importlib), name, None, hook.__closure__)
            else:  # jaxtyping, say, has a function of its own around each of ours
                hook.__code__ = code
            setattr(module, name, _put.setdefault((module, name), hook))
    if _missing and _executed is not None:
        from tlsfloor.stacks import _finder

        _finder.put(_guard)


def remember():
    # type: () -> None
    """Keep the modules of tlsfloor, for those who drop or reload them."""
    for name in [name for name in sys.modules.copy() if name[:8] == "tlsfloor"]:
        if name[8:9] in ("", "."):
            _watched[name] = sys.modules[name]


def undone():
    # type: () -> str
    """Return which hook is no longer called, as text; empty when all are in place."""
    if _missing:
        from tlsfloor.stacks import _finder

        return _finder.problem(_missing)
    for (module, name), hook in _put.items():
        if getattr(module, name, None) is not hook:
            return f"{module.__name__}.{name} was replaced: a stack imported next may pass"
    return "" if _put else "no hook is in place"
