# The floor on the ssl of Python 2.7, 3.6 and 3.7, which are too old for the rest of the package: it
# parses on all of them.
#
# There are four gates, as in stacks/stdlib.py: birth (__new__, which is Python's own here and warns of nothing),
# change (what was set is put, and then raised), use (_wrap_socket and _wrap_bio), and completion: the first
# handshake, whose version is compared. A context of a fixed version cannot be raised, and is refused at its use.
#
# On 3.6 and 3.7 they are on a subclass that takes the name of the C type in _ssl as soon as that is loaded, by
# whatever importer (tlsfloor/hooks.py says how). Python 2.7 imports extensions in C, where nothing can be put: there
# SSLContext is changed in place once a finder has seen the import of ssl. What is open there: a copy of ssl.py
# under another name, and ssl loaded by imp.load_source() or runpy.
import os
import sys

# OpenSSL, include/openssl/ssl.h: SSL_OP_NO_SSLv3, _TLSv1, _TLSv1_1 and _TLSv1_2, each by the version that it
# turns off. SSL_OP_NO_SSLv2 is 0 since 1.1.0, where its old bit means something else: _ssl knows which.
TURN_OFF = ((0x0300, 0x02000000), (0x0301, 0x04000000), (0x0302, 0x10000000), (0x0303, 0x08000000))
# OpenSSL, CHANGES: TLS 1.1 and 1.2 came with 1.0.1, TLS 1.3 with 1.1.1. (LibreSSL says 2.0.0 for ever; where it
# does not speak a version, nothing connects.)
NEEDED = {0x0301: 0, 0x0302: 0x10001000, 0x0303: 0x10001000, 0x0304: 0x10101000}
# CPython, Modules/_ssl.c, enum py_ssl_version: the newest version that a context of each protocol speaks.
NEWEST = {0: 0x0200, 1: 0x0300, 2: 0x0304, 3: 0x0301, 4: 0x0302, 5: 0x0303, 16: 0x0304, 17: 0x0304}
# OpenSSL, SSL_get_version.
VERSIONS = {"SSLv2": 0x0200, "SSLv3": 0x0300, "TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# Variables that nothing here reads. Each is named, or a report without events would pass for one without old TLS.
NEWER = ("TLSFLOOR_EVENTS", "TLSFLOOR_EXEMPTIONS", "TLSFLOOR_STACKS", "TLSFLOOR_UNCOVERED", "TLSFLOOR_UNKNOWN")
# The last two where Python and its OpenSSL have them; -1 is "no bound" (_ssl.c, PY_PROTO_MAXIMUM_SUPPORTED).
BOUNDS = ("options", "minimum_version", "maximum_version")

# In sys, so that nothing is lost when this file is executed again, as imp.load_source does.
held = sys.__dict__.setdefault("_tlsfloor_old", {"asked": 0, "floor": 0, "state": "ssl was not imported yet"})
held.setdefault("counts", {"raised": 0, "clamped": 0, "refused": 0, "discarded": 0})


def name(version):
    return "TLS 1.%d" % (version - 0x0301) if version > 0x0300 else "SSLv%d" % (version >> 8)


def refusal(kind, problem, instead, serves=False):
    """Return the error that OpenSSL itself would give for a version that it does not support."""
    import _ssl

    held["counts"][kind] += 1
    told = (problem, name(held["floor"])[4:], held["set_by"], instead)
    text = "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: %s, and the floor is %s, set by %s; hint: %s" % told
    error = _ssl.SSLError(1, text)  # SSL_ERROR_SSL
    error.library, error.reason = "SSL", "UNSUPPORTED_PROTOCOL"
    if serves and not held.get("warned"):
        # A server gets it at each accept, where socketserver and asyncio drop the client without a word.
        held["warned"] = True
        try:
            why = text.partition("tlsfloor: ")[2]
            sys.stderr.write("tlsfloor: error: a server refuses every client: %s\n" % why)
            sys.stderr.flush()
        except (AttributeError, EnvironmentError):
            pass  # it is closed
    return error


class Unproven(object):
    """Stands for a TLS object of the C type, and looks at what came of its first handshake."""

    def __init__(self, real):
        self.__dict__["_real"] = real

    def __getattr__(self, attribute):
        return getattr(self._real, attribute)

    def __setattr__(self, attribute, value):
        setattr(self._real, attribute, value)

    def do_handshake(self):
        real = self._real
        real.do_handshake()
        version = real.version()
        if VERSIONS.get(version, 0) < held["floor"]:
            problem = "%s was negotiated, for a context that another thread had lowered" % version
            raise refusal("discarded", problem, "set its options once, before it is used")
        # Nothing is left on the data path: these hide the methods of the class.
        self.__dict__.update(do_handshake=real.do_handshake, read=real.read, write=real.write)

    def read(self, *args):  # OpenSSL would shake hands in it
        self.do_handshake()
        return self._real.read(*args)

    def write(self, data):
        self.do_handshake()
        return self._real.write(data)


class Attribute(property):
    """As one of the C type: by the lack of a setter eventlet knows 2.7, where nothing is a property."""

    setter = property()


def lift(bound, value):
    if bound == "options":
        return value | held["off"]
    return value if value == -1 or value >= held["floor"] else held["floor"]


def install(cls, base):
    """Put the gates on one class of contexts."""
    bounds = [(each, getattr(base, each), getattr(cls, each)) for each in BOUNDS if hasattr(base, each)]

    def newest(context):
        # One from before without SSLContext's __init__ has no protocol on 3.6 and older: the handshake tells.
        return NEWEST.get(getattr(context, "protocol", 2), 0)

    def hold(context, kind="raised"):
        if newest(context) == 0x0304:  # a fixed version has no bounds
            for bound, raw, _ in bounds:
                value = raw.__get__(context)
                if lift(bound, value) != value:
                    raw.__set__(context, lift(bound, value))
                    held["counts"][kind] += 1

    def changed(raw, shown):
        def read(context):
            hold(context)
            return shown.__get__(context)

        def write(context, value):
            raw.__set__(context, value)
            hold(context, "clamped")

        kind = property if isinstance(shown, property) else Attribute
        return kind(read, write, doc=shown.__doc__)

    def used(wrap):
        def gate(context, *args, **kwargs):
            if newest(context) < held["floor"]:
                instead = "write ssl.create_default_context(), or ssl.PROTOCOL_SSLv23, which means any version"
                serves = kwargs.get("server_side") or any(each is True for each in args)
                raise refusal("refused", "this context speaks %s only" % name(newest(context)), instead, serves)
            hold(context)
            return Unproven(wrap(context, *args, **kwargs))

        gate.tlsfloor = True
        return gate

    born = cls.__new__

    def __new__(kind, *args, **kwargs):
        context = born(kind, *args, **kwargs)
        if not hasattr(context, "protocol"):  # a slot on 3.6 and older, which __init__ may never fill
            context.protocol = args[0] if args else kwargs.get("protocol", 2)
        hold(context)
        return context

    cls.__new__ = staticmethod(__new__)
    for bound, raw, shown in bounds:
        setattr(cls, bound, changed(raw, shown))
    for each in ("_wrap_socket", "_wrap_bio"):
        if hasattr(base, each):  # 2.7 has no _wrap_bio
            setattr(cls, each, used(getattr(base, each)))


def is_gated(cls):
    return hasattr(getattr(cls, "_wrap_socket", None), "tlsfloor")


def guard(module):
    """Hold the floor on a module named ssl, or on _ssl; ImportError where it cannot be held."""
    _ssl = module if module.__name__.endswith("_ssl") else __import__("_ssl")
    floor = held["asked"]
    base = getattr(_ssl, "_SSLContext", None)
    made = base if module is _ssl else getattr(module, "SSLContext", None)
    if base is None or not isinstance(made, type) or not issubclass(made, base):
        hint = "use Python 2.7.9 or newer, and its own ssl"
        raise ImportError("the floor cannot be held on %r: its SSLContext is %r; hint: %s" % (module, made, hint))
    if _ssl.OPENSSL_VERSION_NUMBER < NEEDED[floor]:
        lower = max(each for each, needed in NEEDED.items() if _ssl.OPENSSL_VERSION_NUMBER >= needed)
        hint = "use a Python with OpenSSL 1.1.1 or newer, or floor %s" % name(lower)[-3:]
        raise ImportError("%s cannot be held to %s; hint: %s" % (_ssl.OPENSSL_VERSION, name(floor), hint))
    off = sum(flag for version, flag in TURN_OFF if version < floor)
    held.update(floor=floor, off=off | getattr(_ssl, "OP_NO_SSLv2", 0))
    if module is _ssl and not is_gated(base):
        _ssl._SSLContext = type("_SSLContext", (base,), {"__slots__": (), "__module__": "_ssl"})
        install(_ssl._SSLContext, base)
    for cls in made.__mro__:
        if base in cls.__bases__ and not is_gated(cls):
            install(cls, base)
    held["state"] = "guarded"


def executed(module):
    """Guard an ssl that was just executed, or do with it as the start-up file says."""
    try:
        guard(module)
    except Exception as error:  # whatever it was, ssl is not guarded
        held["state"] = str(error)
        text = held["refused"](error)
        if text:
            held["refusal"] = text
            base = getattr(sys.modules.get("_ssl"), "_SSLContext", None)
            for cls in base.__subclasses__() if base else ():  # what others hold of it already
                cls._wrap_socket = cls._wrap_bio = refuse
            sys.modules.pop("ssl", None)
            sys.modules["_ssl"] = None
            refuse()


def refuse(*args, **kwargs):
    raise ImportError(held["refusal"])


def created(create):
    """Return what takes the place of a function of _imp that makes a native module."""

    def create_and_guard(spec, *rest):
        native = spec.name == "_ssl" or spec.name.endswith("._ssl")
        if native and "refusal" in held:
            refuse()
        module = create(spec, *rest)
        if native:
            executed(module)
        return module

    return create_and_guard


class Finder(object):
    """A meta-path finder that lets the others find ssl, and hears of every execution of it."""

    aside = False

    def find_module(self, fullname, path=None):  # what Python 2.7 asks for
        return self if fullname == "ssl" and not self.aside else None

    def load_module(self, fullname):
        if "refusal" in held:  # not in find_module(), where 2.7 swallows an ImportError
            refuse()
        self.aside = True  # no other thread imports meanwhile: 2.7 has one lock for all
        try:
            if fullname in sys.modules:  # reload() of it
                import imp

                imp.load_module(fullname, *imp.find_module(fullname))
            else:
                __import__(fullname)
        finally:
            self.aside = False
        executed(sys.modules[fullname])
        return sys.modules[fullname]

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "ssl":
            return None
        if "refusal" in held:
            refuse()
        for finder in sys.meta_path[:]:
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find and finder is not self else None
            if spec is not None:
                spec.loader = Listener(spec.loader)
                return spec
        return None


class Listener(object):
    """A loader that guards its module once it was executed; else the loader that it wraps.

    Inside of exec_module(): as long as that lasts, and no longer, other threads wait for the module.
    """

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, attribute):
        return getattr(self._loader, attribute)

    def create_module(self, spec):
        return None  # as the loader of a module in Python

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        if hasattr(self._loader, "exec_module"):
            self._loader.exec_module(module)
        else:  # zipimport
            self._loader.load_module(module.__name__)
        executed(module)

    def load_module(self, fullname):  # what hooks of wrapt's age call
        module = self._loader.load_module(fullname)
        executed(module)
        return module


def read(value, source):
    """Return the wire number of a floor; the spellings are those of tlsfloor.versions."""
    import re

    found = re.match(r"(?:(?:|tls ?|tlsv)1\.|tlsv1_|versiontls1)([0-3])$|tlsv1$", value.strip().lower())
    if found is None:
        problem = "it is empty" if value == "" else "%r is not a TLS version" % value
        hint = "write one of 1.0, 1.1, 1.2, 1.3"
        raise ValueError("unknown floor in %s: %s; hint: %s" % (source, problem, hint))
    return 0x0301 + int(found.group(1) or 0)


def start_up_floor(environment, written):
    """Return the floor of a process that is armed as it starts; the rules are those of tlsfloor.policy."""
    outcome = environment.get("TLSFLOOR_ON_ERROR", "block")
    if outcome not in ("warn", "block", "abort"):
        hint = "write one of warn, block, abort"
        raise ValueError("unknown outcome in TLSFLOOR_ON_ERROR: %r; hint: %s" % (outcome, hint))
    mode = environment.get("TLSFLOOR_MODE", "enforce")
    if mode not in ("enforce", "observe"):
        raise ValueError("unknown mode in TLSFLOOR_MODE: %r; hint: write one of enforce, observe" % mode)
    asked = {each: environment[each] for each in ("TLSFLOOR", "TLS_MIN_VERSION") if each in environment}
    if asked.get("TLSFLOOR", "").strip().lower() == "off":  # it speaks to the folder, which read it already
        del asked["TLSFLOOR"]
    floors = [read(value, variable) for variable, value in asked.items()]
    if written is not None:
        floors.append(read(written, "the installed file"))
    elif "TLSFLOOR" not in asked:
        floors.append(0x0303)
    return max(floors)


def watch(floor, set_by, refused):
    """Hold the floor (a wire number) on every module named ssl, from now on and on one that is here.

    A later call may raise it. Where it cannot be held, ``refused(error)`` returns None, and ssl is imported
    without it, or the text of the ImportError that every import of ssl ends in.
    """
    if floor > held["asked"]:
        held.update(asked=floor, set_by=set_by, refused=refused)
    if sys.version_info >= (3,) and "hooked" not in held:
        import _imp

        held["hooked"] = True
        _imp.create_dynamic, _imp.create_builtin = created(_imp.create_dynamic), created(_imp.create_builtin)
    finder = held.setdefault("finder", Finder())
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)
    if sys.modules.get("ssl"):
        try:
            executed(sys.modules["ssl"])
        except ImportError:  # who imports it from now on is told
            pass


def status():
    """Return the floor, whether it is held ("guarded", or why it is not), and what the gates did."""
    made = getattr(sys.modules.get("ssl"), "SSLContext", None)
    state = held["state"]
    if state == "guarded" and "ssl" in sys.modules and not is_gated(made):
        state = "ssl.SSLContext or its gates were replaced: %r" % made
    return {"floor": name(held["asked"])[4:] if held["asked"] else None, "state": state, "counts": dict(held["counts"])}


def start(file, floor=None, outcome=None, since=None):
    """Arm this process by a start-up file, as tlsfloor.arm does on newer Pythons."""
    import tlsfloor.startup.failure as outcomes

    state = sys._tlsfloor
    files = state.setdefault("files", [])
    if [each for each in files if (each["floor"] is None) == (floor is None)]:
        return  # site reads a .pth file twice, a folder has a copy
    if floor is None:
        outcomes.make_absolute(os.path.dirname(os.path.realpath(file)))
    files.append({"file": file, "floor": floor, "outcome": outcome})
    if state["environment"].pop("?", None):
        outcomes.name_unknown(os.environ)
    for each in NEWER:
        if state["environment"].get(each) and len(files) == 1:
            outcomes.say("tlsfloor: warning: %s has no effect before Python 3.8" % each)
    try:
        arm(state, file, floor, outcomes)
    except Exception as error:  # whatever it was, nothing is armed
        outcomes.refuse(error)


def arm(state, file, written, outcomes):
    """Hold the floor of a start-up file on ssl alone: no other stack is held on these Pythons."""
    import tlsfloor.startup.refusal as refusal

    floor = start_up_floor(state["environment"], written)
    if outcomes.observes():
        if written is None:
            raise ValueError("mode observe needs Python 3.8, and nothing is observed here")
        floor = read(written, "the installed file")
    watch(floor, file, outcomes.fail)
    if len(state["files"]) == 1:
        error = "no other stack than ssl is held on Python %d.%d" % sys.version_info[:2]
        refusal.refuse(refusal.others(outcomes.say), lambda: outcomes.fail(error))
    if outcomes.chosen() == "abort":
        try:
            import ssl  # noqa: F401
        except ImportError:
            pass  # a Python without it: nothing to hold
