# tlsfloor's start-up file. It runs in every Python process of a company: it must parse on Python 2.7,
# and imports only what a bare interpreter has loaded, and two modules of tlsfloor. Other start-up files
# may run it again (ddtrace's does) and it yields its name to the next: what must last is in sys._tlsfloor.
import os
import sys

FILE = os.path.realpath(__file__)
VARIABLES = ("TLSFLOOR", "TLS_MIN_VERSION", "TLSFLOOR_ON_ERROR")
# What needs no parser; all else, right or wrong, is read by tlsfloor.policy before the program runs.
PLAIN = {("TLSFLOOR", "1.2"), ("TLSFLOOR", "1.3"), ("TLSFLOOR_ON_ERROR", "block")}
PLAIN |= {("TLS_MIN_VERSION", "VersionTLS12"), ("TLS_MIN_VERSION", "VersionTLS13")}


def others():
    """Return the modules that bring TLS beside ssl, read from a table that Python 2.7 cannot import."""
    import re

    try:
        with open(os.path.join(os.path.dirname(os.path.dirname(FILE)), "stacks", "__init__.py")) as file:
            return re.findall(r'^    "([\w.]+)": "tlsfloor\.stacks\.(?!pins|stdlib)', file.read(), re.MULTILINE)
    except EnvironmentError as error:  # a folder without its package
        say("tlsfloor: error: TLS stacks other than ssl are not refused, none is known: %s" % error)
        return []


class Blocked(object):
    """A meta-path finder that refuses TLS, as a Python that was built without it does."""

    def __init__(self, text):
        self.text = text
        self.names = {"ssl", "_ssl"}.union(others())
        if sys.modules.get("_ssl"):  # another start-up file was earlier: what it holds is refused too
            for cls in sys.modules["_ssl"]._SSLContext.__subclasses__():
                cls._wrap_socket = cls._wrap_bio = self.refuse
        sys.modules.pop("ssl", None)
        sys.modules["_ssl"] = None  # in case that a finder comes before this one
        sys.meta_path.insert(0, self)

    def refuse(self, *args, **kwargs):
        raise ImportError(self.text)

    def find_spec(self, name, path=None, target=None):
        return self.refuse() if name in self.names else None

    def find_module(self, name, path=None):  # what Python 2.7 asks for
        return self if name in self.names else None

    load_module = refuse


def arm(environment):
    if sys.version_info < (3, 8):
        raise ImportError("Python %d.%d is too old; hint: use 3.8 or newer" % sys.version_info[:2])
    home = os.path.dirname(os.path.dirname(os.path.dirname(FILE)))
    sys.path.insert(0, home)
    try:
        import tlsfloor.stacks as stacks
    finally:
        sys.path.remove(home)
    if not PLAIN.issuperset(environment.items()):
        import tlsfloor.policy

        tlsfloor.policy.start_up_floor(environment)
    # For tlsfloor.arm, when the first TLS stack is imported. (time is loaded by now, or not worth it.)
    clock = getattr(sys.modules.get("time"), "time", int)
    sys._tlsfloor.update(armed=environment, since=clock())
    stacks.watch(executed)
    abort = environment.get("TLSFLOOR_ON_ERROR") == "abort"
    if abort or not sys.modules.keys().isdisjoint(stacks.TABLE):
        import tlsfloor.arm

        if abort:  # who wants no process without the floor pays for finding out before it runs
            tlsfloor.arm.check(tlsfloor.policy.start_up_floor(environment))
        tlsfloor.arm.guard_imported()


def executed(module):
    """Guard a TLS stack, inside of its import."""
    try:
        import tlsfloor.arm

        tlsfloor.arm.guard(module)
    except Exception as error:  # whatever it was, the stack is not guarded
        text = fail(error)
        if text:
            raise ImportError(text)


def fail(error):
    """Do as TLSFLOOR_ON_ERROR says; return the text of the refusal where TLS is to be refused."""
    text = sys._tlsfloor["failure"] = "tlsfloor: error: %s" % error
    outcome = sys._tlsfloor["environment"].get("TLSFLOOR_ON_ERROR")
    if outcome not in ("abort", "warn"):
        return text
    if outcome == "warn":
        text += "; this process runs without the floor"
    say(text)
    if outcome == "abort":
        os._exit(78)  # EX_CONFIG of sysexits.h; after an exception here the program would run
    return None


def say(text):
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (AttributeError, EnvironmentError):
        pass  # it is closed, so that nobody can be told; status() says the same


def find(entry):
    """Find a sitecustomize in one entry of the path: where it is, and how to run it."""
    if sys.version_info < (3,):
        import imp

        try:
            found = imp.find_module("sitecustomize", [entry])
        except ImportError:
            return None, None
        return found[1], lambda: imp.load_module("sitecustomize", *found)

    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec("sitecustomize", [entry])
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
    for entry in entries[entries.index(here) + 1 if here in entries else 0 :]:
        origin, run = find(entry)
        if run and os.path.realpath(origin) not in ran:
            ran.append(os.path.realpath(origin))
            return run()
    return None


if not hasattr(sys, "_tlsfloor"):
    sys._tlsfloor = {"file": FILE, "ran": [FILE]}
    # Read once: programs empty os.environ.
    sys._tlsfloor["environment"] = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if sys._tlsfloor["environment"].get("TLSFLOOR", "").strip().lower() != "off":
        try:
            arm(sys._tlsfloor["environment"])
        except Exception as error:  # whatever it was, nothing is armed
            text = fail(error)
            if text:
                Blocked(text)
run_next(sys._tlsfloor["ran"])
