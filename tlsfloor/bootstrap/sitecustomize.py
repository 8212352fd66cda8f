# tlsfloor's start-up file. A folder on PYTHONPATH holds it, and `tlsfloor install` writes a copy of it, under
# another name, into site-packages. It runs in every Python process of a company: it must parse on Python 2.7,
# and imports only what a bare interpreter has loaded, and three modules of tlsfloor. Other start-up files may
# run it again (ddtrace's does) and it yields its name to the next: what must last is in sys._tlsfloor.
import os
import sys

try:
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder, SourceFileLoader, spec_from_file_location
    from _imp import extension_suffixes
except ImportError:  # Python 2.7
    ENDS = ()
else:
    ENDS = ["", ".py", ".pyc"] + extension_suffixes()

FLOOR = OUTCOME = None  # the copy has both written here
FILE = os.path.realpath(__file__)
PACKAGE = os.path.dirname(os.path.dirname(FILE))


def arm():
    """Arm this process; where nothing of tlsfloor can be loaded, do here as TLSFLOOR_ON_ERROR says."""
    if FLOOR is None and os.environ.get("TLSFLOOR", "").strip().lower() == "off":
        return
    try:
        load().start(FILE, FLOOR, OUTCOME)
    except Exception as error:
        asked = {OUTCOME, os.environ.get("TLSFLOOR_ON_ERROR")} - {None}
        text = "tlsfloor: error: %s" % error
        end = "; ssl is refused, and other TLS stacks are not: none is known without tlsfloor"
        if asked == {"warn"}:
            end = "; this process runs without the floor"
        elif "abort" in asked:
            end = ""
        else:
            refuse(text)
        try:
            sys.stderr.write(text + end + "\n")
            sys.stderr.flush()
        except (AttributeError, EnvironmentError):
            pass  # it is closed, so that nobody can be told
        if "abort" in asked:
            os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run


def refuse(text):
    """Refuse ssl, as a Python that was built without it does."""

    class Refusal(object):
        def find_module(self, name, path=None):  # what Python 2.7 asks for, and swallows an ImportError of
            return self if name in ("ssl", "_ssl") else None

        def find_spec(self, name, path=None, target=None):
            return self.find_module(name) and self.load_module(name)

        def load_module(self, name):
            raise ImportError(text)

    sys.meta_path.insert(0, Refusal())


def load():
    """Return tlsfloor.start; nothing else becomes importable, not even for a moment."""
    writes = sys.dont_write_bytecode
    if "tlsfloor" not in sys.modules:
        if sys.version_info < (3, 8):
            package = sys.modules["tlsfloor"] = type(sys)("tlsfloor")  # the real one does not parse there
            package.__path__ = [PACKAGE]
            sys.dont_write_bytecode = True  # Python 2.7 would write it beside the source
        elif os.path.exists(PACKAGE + os.sep + "__init__.py"):  # else the folder was copied alone
            load_package()
    try:
        import tlsfloor.start
    finally:
        sys.dont_write_bytecode = writes
    return sys.modules["tlsfloor.start"]


def load_package():
    """Load what an idle process needs; the package itself is executed when it is first asked for something."""
    package, execute = new_module("tlsfloor", PACKAGE + os.sep + "__init__.py", [PACKAGE])

    def later(name):
        execute()  # this brings a __getattr__ of its own
        return getattr(package, name)

    package.__getattr__ = later
    try:
        folder = PACKAGE + os.sep + "stacks"
        package.stacks, execute_stacks = new_module("tlsfloor.stacks", folder + os.sep + "__init__.py", [folder])
        execute_stacks()
    except Exception:
        del sys.modules["tlsfloor.stacks"]  # start imports it, and does what is to be done then
    package.start, execute_start = new_module("tlsfloor.start", PACKAGE + os.sep + "start.py")
    try:
        execute_start()
    except Exception:
        del sys.modules["tlsfloor"], sys.modules["tlsfloor.start"]
        raise


def new_module(name, file, folders=None):
    """Return a module, and what executes it. Its importer would first list the folder of its package."""
    loader = SourceFileLoader(name, file)
    spec = spec_from_file_location(name, file, loader=loader, submodule_search_locations=folders)
    module = sys.modules[name] = module_from_spec(spec)
    return module, lambda: loader.exec_module(module)


def find(entries):
    """Find the first sitecustomize in entries of the path: where it is, and how to run it."""
    if sys.version_info < (3,):
        import imp

        try:
            found = imp.find_module("sitecustomize", entries)
        except ImportError:
            return None, None
        return found[1], lambda: imp.load_module("sitecustomize", *found)

    spec = PathFinder.find_spec("sitecustomize", entries)
    if spec is None or not spec.has_location:
        return None, None

    def run():
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)

    return spec.origin, run


def may_hold(entry):
    """Tell if an entry of the path can hold a sitecustomize: its importer would list all of a folder."""
    folder = entry + os.sep
    if not ENDS or not os.access(folder + ".", os.F_OK):
        return os.access(entry, os.F_OK)
    for end in ENDS:
        if os.access(folder + "sitecustomize" + end, os.F_OK):
            return True
    return False


def absolute(path):
    """Return a path, absolute; those that site has looked at are so, and normal, and stay as they are."""
    return path if os.path.isabs(path) else os.path.abspath(path)


def run_next(ran):
    """Run the next sitecustomize after this folder, under its own name, unless it ran already."""
    entries = [absolute(entry) for entry in sys.path]
    here = os.path.dirname(absolute(__file__))
    entries = entries[entries.index(here) + 1 if here in entries else 0 :]
    for entry in filter(may_hold, entries):
        origin, run = find([entry])
        if run and os.path.realpath(origin) not in ran:
            ran.append(os.path.realpath(origin))
            path = os.environ.get("PYTHONPATH", "")
            run()
            return stay_in_front(path)


def stay_in_front(path):
    """Put this folder first again for children, if the next one put itself there: OpenTelemetry's does."""
    new = os.environ.get("PYTHONPATH", "")
    ours = [each for each in path.split(os.pathsep) if os.path.realpath(each) == os.path.dirname(FILE)]
    if new != path and ours:
        others = [each for each in new.split(os.pathsep) if each != ours[0]]
        os.environ["PYTHONPATH"] = os.pathsep.join(ours[:1] + others)


if not hasattr(sys, "_tlsfloor"):
    sys._tlsfloor = {"ran": []}
arm()
if FLOOR is None:
    sys._tlsfloor["ran"].append(FILE)
    run_next(sys._tlsfloor["ran"])
