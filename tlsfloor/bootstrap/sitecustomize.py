# tlsfloor's start-up file. A folder on PYTHONPATH holds it, and `tlsfloor install` writes a copy of it, under
# another name, into site-packages. It runs in every Python process, so an idle process loads nothing else: the
# hooks that it inserts beneath the import (tlsfloor/hooks.py explains them) load tlsfloor with the first TLS stack.
# It must parse on Python 2.7. Other tools may run it again (ddtrace does), so its state is in sys._tlsfloor.
import os
import sys
import time

# `tlsfloor install` writes values for these into its copy: the floor, what happens if it cannot be held
# (TLSFLOOR_ON_ERROR), the folder of the package, the name of the package's copy next to this file, and the hint of the
# error that is printed if the package cannot be loaded.
FLOOR = OUTCOME = PACKAGE = PACKAGE_COPY = None
REMEDY = "; hint: a part of the package is missing or damaged: mount all that `tlsfloor bundle DIR` writes"
MODERN = sys.version_info >= (3, 8)
VARIABLES = (
    "TLSFLOOR TLS_MIN_VERSION TLSFLOOR_ON_ERROR TLSFLOOR_MODE TLSFLOOR_UNCOVERED TLSFLOOR_STACKS "
    "TLSFLOOR_UNKNOWN TLSFLOOR_EVENTS TLSFLOOR_EXEMPTIONS TLSFLOOR_LABELS"
)
# What needs no check. With any other value of a variable tlsfloor is loaded before the program runs.
FLOORS, OUTCOMES = {"1.2", "1.3", "VersionTLS12", "VersionTLS13", None}, {"block", None}
PLAIN = {"TLSFLOOR": FLOORS, "TLS_MIN_VERSION": FLOORS}
PLAIN.update(dict.fromkeys(("TLSFLOOR_ON_ERROR", "TLSFLOOR_UNCOVERED", "TLSFLOOR_UNKNOWN"), OUTCOMES))
# The names of tlsfloor.stacks.TABLE.
STACKS = set(
    "M2Crypto.m2 MySQLdb._mysql OpenSSL.SSL _awscrt _cffi_ssl._stdssl _interpreters _ldap "
    "_mysql_connector _polars_runtime_32._polars_runtime _polars_runtime_64._polars_runtime "
    "_polars_runtime_compat._polars_runtime _pulsar _ssl _xxsubinterpreters adbc_driver_manager._lib "
    "aioquic.tls awscrt.s3 bonsai._bonsai botocore.httpsession confluent_kafka.cimpl cproton "
    "cryptography.hazmat.bindings.openssl.binding curl_cffi deltalake._internal granian.server "
    "granian.server.common grpc._cython.cygrpc hf_transfer.hf_transfer impit.impit mariadb._mariadb "
    "obstore._obstore opendal._opendal polars.polars primp.primp psycopg psycopg2 pyarrow._azurefs "
    "pyarrow._flight pyarrow._fs pyarrow._gcsfs pyarrow._s3fs pyarrow._substrait pycurl pycurl._pycurl "
    "pygit2.ffi pymssql._mssql pyqwest._pyqwest rnet.rnet snowflake.connector._core.sf_core_python ssl "
    "temporalio.bridge.temporal_sdk_bridge tlslite.handshakesettings urllib3.util.ssl_ wreq.wreq".split()
)


def arm():
    pass  # a .start file calls it (PEP 829), after the import of this file has armed the process


def arm_process(state):
    # Arm this process: with the first TLS stack if nothing can fail before that, else now.
    if "environment" not in state:  # read once, because programs change it
        given = state["environment"] = {}
        code = getattr(os.environ, "encodekey", str)  # not decoded: a cluster sets hundreds of variables
        names = code("=") + code("=").join(getattr(os.environ, "_data", os.environ))
        if code("=TLS") in names:
            given.update({name: os.environ[name] for name in VARIABLES.split() if name in os.environ})
            if names.count(code("=TLSFLOOR")) + ("TLS_MIN_VERSION" in given) > len(given):
                given["?"] = "?"  # a misspelt one, which tlsfloor.startup.failure names
            given.pop("TLSFLOOR_LABELS", None)  # it is for reports, and changes nothing in this process
    state.setdefault("pending", []).append((__file__, FLOOR, OUTCOME, time.time()))
    plain = FLOOR in FLOORS and OUTCOME in OUTCOMES
    for name, value in state["environment"].items():
        plain = plain and value in PLAIN.get(name, ())
    path = "" if FLOOR else os.environ.get("PYTHONPATH", "")
    if path[:1] != os.sep or os.pathsep in path:
        plain = plain and all(os.path.isabs(entry) or not entry for entry in path.split(os.pathsep))
    if MODERN and "beneath" not in state:
        state["beneath"] = True
        try:
            insert_hooks()
        except AttributeError:  # an interpreter that lacks a function: tlsfloor.hooks has a fallback
            plain = False
    # Now, if an installed file has loaded tlsfloor already, or a TLS stack was imported earlier.
    if "files" in state or not (MODERN and plain and STACKS.isdisjoint(sys.modules)):
        load_tlsfloor()


def insert_hooks():
    # Load tlsfloor when a TLS stack, or any extension that carries TLS, is about to be loaded.
    import _frozen_importlib as importlib
    import _imp
    import _frozen_importlib_external as files

    cached = files.cache_from_source
    stacks, looks, load, passing = STACKS, carries_tls, load_tlsfloor, []

    def make(module, name, function):
        def _call_with_frames_removed(spec, *rest):
            row = "_ssl" if spec.name[-5:] == "._ssl" else spec.name  # in any package, as in tlsfloor/hooks.py
            if spec in passing:  # a tool has wrapped this hook, and now wraps what has replaced it
                return function(spec, *rest)
            if row in stacks or (name == "create_dynamic" and looks(spec)):
                load(row)
                if getattr(module, name) is not hook:
                    passing.append(spec)
                    try:
                        return getattr(module, name)(spec, *rest)
                    finally:
                        passing.remove(spec)
            elif spec.name[:9] == "tlsfloor." and str(spec.origin)[-3:] == ".py" and files._path_isfile(spec.origin):
                spec.loader = loader = files.SourceFileLoader(spec.name, spec.origin)  # a tool may have another one
                if files.cache_from_source is not cached:  # or its own bytecode, as in tlsfloor/hooks.py
                    loader.get_code = lambda _: loader.source_to_code(loader.get_data(spec.origin), spec.origin)
            return function(spec, *rest)

        # With importlib's file name and globals, for tracebacks and warnings, as in tlsfloor/hooks.py.
        code = codes.get(make) or _call_with_frames_removed.__code__.replace(co_filename=file)
        codes[make] = code
        hook = type(make)(code, place, code.co_name, None, _call_with_frames_removed.__closure__)
        hook.tlsfloor_wakes = function  # tlsfloor.hooks reads it
        return hook

    codes, place, file = {}, vars(importlib), importlib._load_unlocked.__code__.co_filename
    for module, name in (_imp, "create_dynamic"), (_imp, "create_builtin"), (importlib, "_load_unlocked"):
        setattr(module, name, make(module, name, getattr(module, name)))


def carries_tls(spec):
    # Tell whether tlsfloor has to examine an extension module: most carry no TLS.
    try:
        return "lib-dynload" not in spec.origin and __import__("tlsfloor.stacks._unknown").stacks._unknown.look(spec)
    except Exception:
        return not sys._tlsfloor.get("failure")  # tlsfloor cannot be loaded, which load_tlsfloor() reports once


def load_tlsfloor(name=None):
    # Load tlsfloor and let it arm. If it cannot be loaded, do here what TLSFLOOR_ON_ERROR says. This may be
    # interrupted anywhere, called again, and called by several threads at once: the hooks stay until all is done.
    import os

    state = sys._tlsfloor
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = writes or not MODERN  # 2.7 would write it next to the source
    try:
        if "tlsfloor" not in sys.modules:  # a program has dropped it, or this is Python 2.7 to 3.7
            make_package()
        if MODERN:
            from tlsfloor.arm import start
        else:
            from tlsfloor.startup.legacy import start
        for pending in state["pending"]:
            start(*pending)
    except Exception as error:
        asked = {state["environment"].get("TLSFLOOR_ON_ERROR")}
        asked = asked.union(pending[2] for pending in state["pending"]) - {None}
        installed = any(pending[1] for pending in state["pending"])
        text = state["failure"] = "tlsfloor: error: %s%s" % (error, REMEDY)
        if state["environment"].get("TLSFLOOR_MODE") == "observe" and not installed:
            asked = asked & {"abort"} or {"warn"}  # as in tlsfloor.startup.failure
        if asked == {"warn"}:
            STACKS.clear()
            print_error(text + "; this process runs without the floor")
        elif "abort" in asked or not MODERN:
            print_error(text if "abort" in asked else text + "; ssl is refused, and other TLS stacks are not")
        if "abort" in asked:
            os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run
        for stack in STACKS:
            sys.modules.pop(stack, None)
            if not MODERN:
                sys.modules[stack] = None
        # These bring no TLS of their own, or other things too.
        others = "urllib3.util.ssl_ botocore.httpsession _interpreters _xxsubinterpreters pyarrow._fs"
        if name in STACKS.difference((others + " pyarrow._substrait").split()):
            raise ImportError(text)
    finally:
        sys.dont_write_bytecode = writes


def print_error(text):
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed


def make_package():
    # Make the package importable from this file's own folder. Nothing of it is read until it is used.
    package = sys.modules["tlsfloor"] = type(sys)("tlsfloor", "PYTEST_DONT_REWRITE")  # as in its own text

    def complete(name):
        import os

        # A link leads to a bundle, and later to another one. This process keeps the first.
        folder = PACKAGE and os.path.realpath(PACKAGE)
        folder = folder or os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        file = os.path.join(folder, "__init__.py")
        if PACKAGE_COPY and not os.access(file, os.F_OK):  # for example, pip has removed it
            folder = os.path.join(os.path.dirname(__file__), PACKAGE_COPY, "tlsfloor")
            file = os.path.join(folder, "__init__.py")
        if not os.access(file, os.F_OK):  # this folder was copied alone: the package may be installed
            sys.modules.pop("tlsfloor", None)
            vars(package).update(vars(__import__("tlsfloor")))
            return getattr(package, name)
        package.__path__, package.__file__ = [folder], file
        if MODERN:  # else it does not parse, and only the modules that are imported here are used
            from _frozen_importlib import ModuleSpec
            from _frozen_importlib_external import SourceFileLoader

            loader = package.__loader__ = SourceFileLoader("tlsfloor", file)
            package.__spec__ = ModuleSpec("tlsfloor", loader, origin=file)
            package.__spec__.submodule_search_locations = package.__path__
            package.__spec__.has_location = True

            def execute(name):
                loader.exec_module(package)  # which has its own __getattr__
                return getattr(package, name)

            package.__getattr__ = execute
        return getattr(package, name)

    if MODERN:
        del package.__spec__
        package.__getattr__ = complete
    else:  # no module has a __getattr__ there
        package.__getattr__ = None
        complete("__path__")
        # What runpy looks at for `python -m tlsfloor`: on 2.7 at the loader, then at the spec.
        package.__loader__ = type("Loader", (), {"is_package": lambda self, name: True})()
        if sys.version_info >= (3,):
            from _frozen_importlib import ModuleSpec

            package.__spec__ = ModuleSpec("tlsfloor", package.__loader__, is_package=True)


def find_sitecustomize(entry):
    # Return a function that runs the sitecustomize of an entry of the path, and its file; or None.
    if not MODERN and sys.version_info < (3,):
        import imp

        try:
            found = imp.find_module("sitecustomize", [entry])
        except ImportError:
            return None
        return lambda: imp.load_module("sitecustomize", *found), found[1]

    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec("sitecustomize", [entry])
    if spec is None or not spec.has_location:
        return None

    def run():
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)

    return run, spec.origin


def may_hold(entry):
    # Tell if an entry of the path can hold a sitecustomize. (Its importer would list the whole folder.)
    start = entry + os.sep + "sitecustomize"
    for end in ("", ".py", ".pyc"):
        if os.access(start + end, os.F_OK):
            return True
    return os.access(entry, os.F_OK) and not os.access(entry + os.sep + ".", os.F_OK)  # a zip file


def run_next(ran):
    # Run the next sitecustomize after this folder, under its own name, unless it ran already.
    here = os.path.dirname(__file__)
    for entry in sys.path[sys.path.index(here) + 1 if here in sys.path else 0 :]:
        found = find_sitecustomize(entry) if may_hold(entry) else None
        if found and os.path.realpath(found[1]) not in map(os.path.realpath, ran):
            ran.append(found[1])
            path = os.environ.get("PYTHONPATH", "")
            found[0]()
            if os.environ.get("PYTHONPATH", "") != path:
                import tlsfloor.startup.opentelemetry

                tlsfloor.startup.opentelemetry.stay_in_front(path, here)
            return


if not hasattr(sys, "_tlsfloor"):
    sys._tlsfloor = {"ran": []}
if FLOOR is not None or os.environ.get("TLSFLOOR", "").strip().lower() != "off":
    if MODERN and "tlsfloor" not in sys.modules:
        make_package()
    arm_process(sys._tlsfloor)
if FLOOR is None:
    sys._tlsfloor["ran"].append(__file__)
    run_next(sys._tlsfloor["ran"])
# The hooks would keep them alive as Python ends, which costs an idle process more than half of what this file does.
del os, time
