# tlsfloor's start-up file. A folder on PYTHONPATH holds it, and `tlsfloor install` writes a copy of it, under
# another name, into site-packages. It runs in every Python process of a company, so an idle one loads nothing
# else: what is put beneath the import here (tlsfloor/hooks.py says how) loads tlsfloor with the first TLS stack.
# It must parse on Python 2.7. Others may run it again (ddtrace does): what must last is in sys._tlsfloor.
import os
import sys
import time

# A copy of this file that is installed has these written here.
FLOOR = OUTCOME = PACKAGE = SPARE = None
REMEDY = "; hint: a part of the package is missing or damaged: mount all that `tlsfloor bundle DIR` writes"
MODERN = sys.version_info >= (3, 8)
VARIABLES = (
    "TLSFLOOR TLS_MIN_VERSION TLSFLOOR_ON_ERROR TLSFLOOR_MODE TLSFLOOR_UNCOVERED TLSFLOOR_STACKS "
    "TLSFLOOR_UNKNOWN TLSFLOOR_EVENTS TLSFLOOR_EXEMPTIONS"
)
# What cannot be wrong; with any other value tlsfloor is loaded before the program runs.
PLAIN = {"1.2", "1.3", "VersionTLS12", "VersionTLS13", "block", None}
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
    pass  # what a .start file calls (PEP 829): it was done when this file was imported


def arm_process(state):
    # Arm this process: with the first TLS stack where nothing can go wrong before, else now.
    if "environment" not in state:  # read once, and by name: programs change it, a cluster sets hundreds
        given = state["environment"] = {}
        code = getattr(os.environ, "encodekey", str)  # all names at once, and not decoded, which costs
        names = code("=") + code("=").join(getattr(os.environ, "_data", os.environ))
        if code("=TLS") in names:
            given.update({name: os.environ[name] for name in VARIABLES.split() if name in os.environ})
            if names.count(code("=TLSFLOOR")) + ("TLS_MIN_VERSION" in given) > len(given):
                given["?"] = "?"  # a misspelt one: tlsfloor.outcome names it
    state.setdefault("pending", []).append((__file__, FLOOR, OUTCOME, time.time()))
    plain = PLAIN.issuperset(state["environment"].values()) and PLAIN.issuperset((FLOOR, OUTCOME))
    path = "" if FLOOR else os.environ.get("PYTHONPATH", "")
    if path[:1] != os.sep or os.pathsep in path:
        plain = plain and all(os.path.isabs(each) or not each for each in path.split(os.pathsep))
    if MODERN and "beneath" not in state:
        state["beneath"] = True
        try:
            put_beneath()
        except AttributeError:  # an interpreter that lacks one: tlsfloor.hooks knows what to do
            plain = False
    # Not later where it was loaded already, by an installed file or by a stack that came first.
    if "files" in state or not (MODERN and plain and STACKS.isdisjoint(sys.modules)):
        wake()


def put_beneath():
    # Wake tlsfloor once a TLS stack, or any extension that carries TLS, is about to be loaded.
    import _frozen_importlib as importlib
    import _imp
    import _frozen_importlib_external as files

    cached = files.cache_from_source
    stacks, looks, wakes, passing = STACKS, carries_tls, wake, []

    def make(module, name, function):
        def _call_with_frames_removed(spec, *rest):
            row = "_ssl" if spec.name[-5:] == "._ssl" else spec.name  # a copy, as in tlsfloor/hooks.py
            if spec in passing:  # a tool has wrapped this, and is beneath what has taken its place
                return function(spec, *rest)
            if row in stacks or (name == "create_dynamic" and looks(spec)):
                wakes(row)
                if getattr(module, name) is not hook:
                    passing.append(spec)
                    try:
                        return getattr(module, name)(spec, *rest)
                    finally:
                        passing.remove(spec)
            elif spec.name[:9] == "tlsfloor." and str(spec.origin)[-3:] == ".py" and files._path_isfile(spec.origin):
                spec.loader = loader = files.SourceFileLoader(spec.name, spec.origin)  # whatever tool has another
                if files.cache_from_source is not cached:  # or bytecode of its own, as in tlsfloor/hooks.py
                    loader.get_code = lambda _: loader.source_to_code(loader.get_data(spec.origin), spec.origin)
            return function(spec, *rest)

        # With importlib's file name and globals, for tracebacks and warnings: tlsfloor/hooks.py says why.
        code = codes.get(make) or _call_with_frames_removed.__code__.replace(co_filename=file)
        codes[make] = code
        hook = type(make)(code, place, code.co_name, None, _call_with_frames_removed.__closure__)
        hook.tlsfloor_wakes = function
        return hook

    codes, place, file = {}, vars(importlib), importlib._load_unlocked.__code__.co_filename
    for module, name in (_imp, "create_dynamic"), (_imp, "create_builtin"), (importlib, "_load_unlocked"):
        setattr(module, name, make(module, name, getattr(module, name)))


def carries_tls(spec):
    # Tell whether an extension module has to be looked at by tlsfloor itself: most carry no TLS.
    try:
        return "lib-dynload" not in spec.origin and __import__("tlsfloor.stacks._unknown").stacks._unknown.look(spec)
    except Exception:
        return not sys._tlsfloor.get("failure")  # tlsfloor cannot be loaded, which wake() says once


def wake(name=None):
    # Load tlsfloor and let it arm; where it cannot be loaded, do here what TLSFLOOR_ON_ERROR says. It may be
    # interrupted anywhere, and called by several threads at once and again: what is put here stays until all is done.
    import os

    state = sys._tlsfloor
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = writes or not MODERN  # 2.7 would write it next to the source
    try:
        if "tlsfloor" not in sys.modules:  # somebody has dropped it; or it is an old Python
            make_package()
        if MODERN:
            from tlsfloor.arm import start
        else:
            from tlsfloor.start import start
        for each in state["pending"]:
            start(*each)
    except Exception as error:
        asked = {state["environment"].get("TLSFLOOR_ON_ERROR")}.union(each[2] for each in state["pending"]) - {None}
        text = state["failure"] = "tlsfloor: error: %s%s" % (error, REMEDY)
        if state["environment"].get("TLSFLOOR_MODE") == "observe" and not any(each[1] for each in state["pending"]):
            asked = asked & {"abort"} or {"warn"}  # as in tlsfloor.outcome
        if asked == {"warn"}:
            STACKS.clear()
            say(text + "; this process runs without the floor")
        elif "abort" in asked or not MODERN:
            say(text + "" if "abort" in asked else text + "; ssl is refused, and other TLS stacks are not")
        if "abort" in asked:
            os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run
        for each in STACKS:
            sys.modules.pop(each, None)
            if not MODERN:
                sys.modules[each] = None
        # These bring no TLS of their own, or also other things.
        others = "urllib3.util.ssl_ botocore.httpsession _interpreters _xxsubinterpreters pyarrow._fs pyarrow._substrait"
        if name in STACKS.difference(others.split()):
            raise ImportError(text)
    finally:
        sys.dont_write_bytecode = writes


def say(text):
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed, so that nobody can be told


def make_package():
    # Make the package importable from this file's own folder; nothing of it is read until it is used.
    package = sys.modules["tlsfloor"] = type(sys)("tlsfloor")

    def complete(name):
        import os

        # A link leads to a bundle, and to another one later: a process stays with one.
        folder = PACKAGE and os.path.realpath(PACKAGE)
        folder = folder or os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        file = os.path.join(folder, "__init__.py")
        if SPARE and not os.access(file, os.F_OK):  # pip has removed it, say
            folder = os.path.join(os.path.dirname(__file__), SPARE, "tlsfloor")
            file = os.path.join(folder, "__init__.py")
        if not os.access(file, os.F_OK):  # this folder was copied alone: the package may be installed
            sys.modules.pop("tlsfloor", None)
            vars(package).update(vars(__import__("tlsfloor")))
            return getattr(package, name)
        package.__path__, package.__file__ = [folder], file
        if MODERN:  # else it does not parse, and nobody uses more than the modules that are imported here
            from _frozen_importlib import ModuleSpec
            from _frozen_importlib_external import SourceFileLoader

            loader = package.__loader__ = SourceFileLoader("tlsfloor", file)
            package.__spec__ = ModuleSpec("tlsfloor", loader, origin=file)
            package.__spec__.submodule_search_locations = package.__path__
            package.__spec__.has_location = True

            def execute(name):
                loader.exec_module(package)  # this brings a __getattr__ of its own
                return getattr(package, name)

            package.__getattr__ = execute
        return getattr(package, name)

    if MODERN:
        del package.__spec__
        package.__getattr__ = complete
    else:  # no module has a __getattr__ there
        package.__getattr__ = None
        complete("__path__")


def find(entry):
    # Return what runs the sitecustomize of an entry of the path, and where it is; None where there is none.
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
    # Tell if an entry of the path can hold a sitecustomize: its importer would list all of a folder.
    start = entry + os.sep + "sitecustomize"
    for end in ("", ".py", ".pyc"):
        if os.access(start + end, os.F_OK):
            return True
    return os.access(entry, os.F_OK) and not os.access(entry + os.sep + ".", os.F_OK)  # a zip file


def run_next(ran):
    # Run the next sitecustomize after this folder, under its own name, unless it ran already.
    here = os.path.dirname(__file__)
    for entry in sys.path[sys.path.index(here) + 1 if here in sys.path else 0 :]:
        found = find(entry) if may_hold(entry) else None
        if found and os.path.realpath(found[1]) not in map(os.path.realpath, ran):
            ran.append(found[1])
            path = os.environ.get("PYTHONPATH", "")
            found[0]()
            if os.environ.get("PYTHONPATH", "") != path:
                import tlsfloor.neighbours

                tlsfloor.neighbours.stay_in_front(path, here)
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
# What stays beneath the import would keep them alive as Python ends, which costs an idle process more
# than half of what this file does.
del os, time
