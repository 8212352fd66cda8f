# tlsfloor's start-up file. A folder on PYTHONPATH holds it, and `tlsfloor install` writes a copy of it, under
# another name, into site-packages. It runs in every Python process of a company: it must parse on Python 2.7,
# and imports only what a bare interpreter has loaded, and three modules of tlsfloor. Other start-up files may
# run it again (ddtrace's does) and it yields its name to the next: what must last is in sys._tlsfloor.
import os
import sys

FLOOR = OUTCOME = None  # the copy has both written here
FILE = os.path.realpath(__file__)
PACKAGE = os.path.dirname(os.path.dirname(FILE))


class Refusal(object):
    """A meta-path finder that refuses ssl, as a Python that was built without it does."""

    def __init__(self, text):
        self.text = text

    def find_module(self, name, path=None):  # what Python 2.7 asks for, and swallows an ImportError of
        return self if name in ("ssl", "_ssl") else None

    def find_spec(self, name, path=None, target=None):
        return self.find_module(name) and self.load_module(name)

    def load_module(self, name):
        raise ImportError(self.text)


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
            sys.meta_path.insert(0, Refusal(text))
        try:
            sys.stderr.write(text + end + "\n")
            sys.stderr.flush()
        except (AttributeError, EnvironmentError):
            pass  # it is closed, so that nobody can be told
        if "abort" in asked:
            os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run


def load():
    """Return tlsfloor.start; nothing else becomes importable, not even for a moment."""
    writes = sys.dont_write_bytecode
    init = os.path.join(PACKAGE, "__init__.py")
    if sys.version_info < (3, 8) and "tlsfloor" not in sys.modules:
        package = sys.modules["tlsfloor"] = type(sys)("tlsfloor")  # the real one does not parse there
        package.__path__ = [PACKAGE]
        sys.dont_write_bytecode = True  # Python 2.7 would write it beside the source
    elif "tlsfloor" not in sys.modules and os.path.exists(init):  # else the folder was copied alone
        from _frozen_importlib import module_from_spec
        from _frozen_importlib_external import spec_from_file_location

        spec = spec_from_file_location("tlsfloor", init, submodule_search_locations=[PACKAGE])
        package = sys.modules["tlsfloor"] = module_from_spec(spec)
        try:
            spec.loader.exec_module(package)
        except Exception:
            del sys.modules["tlsfloor"]
            raise
    try:
        import tlsfloor.start
    finally:
        sys.dont_write_bytecode = writes
    return sys.modules["tlsfloor.start"]


def find(entries):
    """Find the first sitecustomize in entries of the path: where it is, and how to run it."""
    if sys.version_info < (3,):
        import imp

        try:
            found = imp.find_module("sitecustomize", entries)
        except ImportError:
            return None, None
        return found[1], lambda: imp.load_module("sitecustomize", *found)

    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec("sitecustomize", entries)
    if spec is None or not spec.has_location:
        return None, None

    def run():
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)

    return spec.origin, run


def run_next(ran):
    """Run the next sitecustomize after this folder, under its own name, unless it ran already."""
    entries = [os.path.abspath(entry) for entry in sys.path]
    here = os.path.dirname(os.path.abspath(__file__))
    entries = entries[entries.index(here) + 1 if here in entries else 0 :]
    if find(entries)[1] is None:
        return  # mostly there is none: one look at the path is cheaper than one at each entry
    for entry in entries:
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
