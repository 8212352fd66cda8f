"""Where guards are called: beneath the import, so that no importer can bypass them.

Theory of operation. A finder on ``sys.meta_path`` is one importer among others: another finder may
answer first, a tool may ask a loader directly, and programs wrap, sort and replace finders. But
however a module is imported, CPython has one way in for each kind:

* **Extension modules**: every loader calls ``_imp.create_dynamic(spec)`` and then
  ``_imp.exec_dynamic(module)``; for built-in modules ``create_builtin`` and ``exec_builtin``. These
  are looked up in ``_imp`` at each call (CPython, Lib/importlib/_bootstrap_external.py,
  ``ExtensionFileLoader``; Lib/importlib/_bootstrap.py, ``BuiltinImporter``). The first of the two
  calls already executes a module with single-phase initialization (PEP 489; ``_ssl`` before 3.10).
* **Python modules**: every ``import``, whichever finder answered, ends in ``_load_unlocked(spec)``
  of ``importlib._bootstrap``, and every ``reload()`` in ``_exec(spec, module)``. Both are looked up
  among the globals of that module (the same file, ``_find_and_load_unlocked``, and ``reload`` of
  Lib/importlib/__init__.py). A program that executes the code of a Python module itself is not seen
  here. That is why a guard belongs at the extension module where there is one.

So the hooks replace these functions. An idle process pays for replacing them, and an import for one
look-up. (What was decided otherwise, and why: ``docs/explanation/design.md#decisions``.)

The code objects of the hooks have the file name of importlib's own. CPython removes frames of that
file from the traceback of a failed import (Python/import.c, ``remove_importlib_frames()``), so a
traceback reads as without tlsfloor. For errors other than ImportError it removes only frames that
end in a function named ``_call_with_frames_removed``. So the hooks in ``_imp`` have that name: when
an extension module fails, they are the last of these frames.

A warning that an extension raises while it is loaded is attributed to the function that called
``_imp`` (Python/_warnings.c, ``setup_context``). So the hooks in ``_imp`` have the globals of
importlib, which a filter for its module matches, and refer to this module by their closure.

A program may drop modules of tlsfloor from ``sys.modules``. (ddtrace drops all that its own start
has loaded.) The next import returns the same module objects, because they hold the state. For the
same reason none is reloaded. (IPython's autoreload reloads what was upgraded. It empties the module
first, and undoes that if the reload fails.) They are loaded by importlib's own loader, whatever
loader another tool has for them.
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

# Types are comments in this file. Tools that check annotations as a program runs (typeguard,
# beartype) may be loaded first, and would look for names that only type checkers import.

# What is called for a module of the table, before and after it is executed, and before the file of
# any other extension module is loaded. Nothing is called before watch().
_on_before = _on_executed = _on_unlisted = None  # type: Callable[[Any], object] | None

#: The module of OpenTelemetry's API that ``executed()`` is also called for.
OPENTELEMETRY = "opentelemetry.metrics"

# The names that are looked up at each import: those of the table, OpenTelemetry's, and tlsfloor's
# own modules once they are loaded.
_watched = dict.fromkeys([*TABLE, OPENTELEMETRY])  # type: dict[str, Any]

# The extension module whose guard was called last, so that it is called once for each import.
_last_guarded = None  # type: Any

# The hooks that were inserted: (module, name) -> hook.
_inserted = {}  # type: dict[tuple[Any, str], Any]

# The functions that this interpreter lacks.
_missing = set()  # type: set[str]


def _make_import_hook(load):
    # type: (Any) -> Any
    def _load_unlocked(spec):
        # type: (Any) -> Any
        name = spec.name
        if name not in _watched:
            if name[:9] == "tlsfloor.":
                _use_plain_loader(spec)
            elif "tlsfloor" not in sys.modules:
                _restore_own_modules()
            return load(spec)
        if _watched[name] is not None:
            sys.modules[name] = _watched[name]
            return _watched[name]
        _call(_on_before, name)
        module = load(spec)
        if module is _last_guarded:
            return module
        if type(module).__name__ == "_LazyModule":  # reading an attribute would execute it
            from tlsfloor.stacks import _finder

            _finder.listen(object.__getattribute__(module, "__spec__").loader, _guard)
            return module
        try:
            _call(_on_executed, module)
        except BaseException:
            sys.modules.pop(name, None)  # as importlib does when the module itself fails
            raise
        return module

    return _load_unlocked


def _make_reload_hook(execute):
    # type: (Any) -> Any
    def _exec(spec, module):
        # type: (Any, Any) -> Any
        if _watched.get(spec.name) is module:
            text = "it holds the floor of this process; hint: restart the process"
            raise ImportError(f"{spec.name} cannot be reloaded: {text}", name=spec.name)
        result = execute(spec, module)
        if spec.name in TABLE:
            _call(_on_executed, result)
        return result

    return _exec


def _make_create_hook(create, before, after):
    # type: (Any, Any, Any) -> Any
    def _call_with_frames_removed(spec, *rest):
        # type: (Any, *Any) -> Any
        name = before(spec)
        module = create(spec, *rest)
        if name:
            after(module)
        return module

    return _call_with_frames_removed


def _before_create(spec):
    # type: (Any) -> str | None
    """Return the name of a module of the table, before its file is loaded."""
    name = _table_name(spec.name)
    if name in TABLE:
        _call(_on_before, name)
        return name
    origin = getattr(spec, "origin", None)  # a built-in module needs none
    if isinstance(origin, str) and origin.endswith(SUFFIXES) and "lib-dynload" not in origin:
        _call(_on_unlisted, spec)
    return None


def _after_create(module):
    # type: (Any) -> None
    # A module with single-phase initialization has been executed by now.
    if "_SSLContext" in vars(module):
        _call(_on_executed, module)


def _make_exec_hook(execute, after):
    # type: (Any, Any) -> Any
    def _call_with_frames_removed(module):
        # type: (Any) -> Any
        result = execute(module)
        after(module)
        return result

    return _call_with_frames_removed


def _after_exec(module):
    # type: (Any) -> None
    global _last_guarded
    if imported_name(module) in TABLE:
        _call(_on_executed, module)
        _last_guarded = module


def _guard(module):
    # type: (Any) -> None
    _call(_on_executed, module)


def _call(function, what):
    # type: (Callable[[Any], object] | None, Any) -> None
    if function is not None:
        if "tlsfloor" not in sys.modules:
            _restore_own_modules()
        function(what)


def _restore_own_modules():
    # type: () -> None
    for name, module in _watched.items():
        if module is not None:
            sys.modules.setdefault(name, module)


def _use_plain_loader(spec):
    # type: (Any) -> None
    """Let a module of tlsfloor be loaded as it is: a tool that instruments it would break it.

    Such tools derive a loader from importlib's own (typeguard), have one that is not derived from
    it (pytest), or wrap it (Mercurial's demandimport, ddtrace).
    """
    file = spec.origin
    is_file = vars(_files)["_path_isfile"]
    # Neither in a zip file nor frozen.
    if isinstance(file, str) and file[-3:] == ".py" and is_file(file):
        loader = _files.SourceFileLoader(spec.name, file)  # type: Any
        spec.loader = loader
        cached = getattr(_files.cache_from_source, "__code__", None)
        if cached is None or cached.co_filename != is_file.__code__.co_filename:
            # typeguard redirects the bytecode cache to instrumented code, so compile from the
            # source.
            loader.get_code = lambda _: loader.source_to_code(loader.get_data(file), file)


#: How the file of an extension module ends; a built-in module has the origin "built-in".
SUFFIXES = tuple(_imp.extension_suffixes())

_function = type(_make_import_hook)  # type: Any

#: The module and the name of each function that a hook replaces, what makes the hook from that
#: function, and what the hook calls.
HOOKS = (
    (_importlib, "_load_unlocked", _make_import_hook),
    (_importlib, "_exec", _make_reload_hook),
    (_imp, "create_dynamic", _make_create_hook, _before_create, _after_create),
    (_imp, "create_builtin", _make_create_hook, _before_create, _after_create),
    (_imp, "exec_dynamic", _make_exec_hook, _after_exec),
    (_imp, "exec_builtin", _make_exec_hook, _after_exec),
)


def _table_name(name):
    # type: (str) -> str
    # CPython finds the init function of an extension module by the last part of its name, whatever
    # package a copy of _ssl is loaded for (Python/importdl.c, get_encoded_name()).
    return "_ssl" if name.endswith("._ssl") else name


def imported_name(module):
    # type: (ModuleType) -> str
    """Return the name of a module as its importer knows it.

    CPython gives an extension module that two threads import at once a wrong ``__name__``.
    """
    return _table_name(getattr(getattr(module, "__spec__", None), "name", None) or module.__name__)


def watch(executed, before, unlisted=None):
    # type: (Callable[[Any], object], Callable[[Any], object], Callable[[Any], object] | None) -> None
    """Call ``before(name)`` and ``executed(module)`` for each module of the table from now on.

    Also call ``unlisted(spec)`` before an extension module is loaded that is neither in the table
    nor in the standard library. A later call replaces the functions of an earlier one.
    """
    global _on_executed, _on_before, _on_unlisted
    _on_executed, _on_before, _on_unlisted = executed, before, unlisted
    insert()


def is_watching():
    # type: () -> bool
    """Tell whether ``watch()`` was called."""
    return _on_executed is not None


def insert():
    # type: () -> None
    """Insert the hooks that are not in place; several threads may do so at once."""
    file = vars(_importlib)["_load_unlocked"].__code__.co_filename
    codes = {}  # type: dict[Any, Any]
    for module, name, make, *calls in HOOKS:
        function = getattr(module, name, None)
        if function is None:
            _missing.add(f"{module.__name__}.{name}")
            continue
        # The start-up file has put a function of its own there, around this one. Files that are
        # installed set this attribute too, so its name stays.
        original = getattr(function, "tlsfloor_wakes", None)
        if original and _on_executed is None:
            continue  # it waits for the first TLS stack, and nothing is to be called yet
        if original or (module, name) not in _inserted:
            hook = make(original or function, *calls)
            code = codes[make] = codes.get(make) or hook.__code__.replace(co_filename=file)
            if calls and hook.__globals__ is globals():
                hook = _function(code, vars(_importlib), name, None, hook.__closure__)
            else:  # jaxtyping, for example, wraps each of our functions
                hook.__code__ = code
            setattr(module, name, _inserted.setdefault((module, name), hook))
    if _missing and _on_executed is not None:
        from tlsfloor.stacks import _finder

        _finder.insert_finder(_guard)


def keep_own_modules():
    # type: () -> None
    """Keep the modules of tlsfloor, in case that a program drops or reloads them."""
    for name in [name for name in sys.modules.copy() if name[:8] == "tlsfloor"]:
        if name[8:9] in ("", "."):
            _watched[name] = sys.modules[name]


def problem():
    # type: () -> str
    """Return which hook is no longer called, as text; empty if all are in place."""
    if _missing:
        from tlsfloor.stacks import _finder

        return _finder.describe_missing(_missing)
    for (module, name), hook in _inserted.items():
        if getattr(module, name, None) is not hook:
            place = f"{module.__name__}.{name}"
            return f"{place} was replaced: a TLS library that is imported now may not be guarded"
    return "" if _inserted else "no hook is in place"
