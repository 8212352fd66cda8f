"""The floor on the ssl of Python 2.7, 3.6 and 3.7, which are too old for the rest of the package.

This file parses on all of them. Theory of operation: there are four gates, as in stacks/stdlib.py. They are birth
(__new__, which is a Python function on these versions, and raises no warning), change (a bound is set, and then
raised), use (_wrap_socket and _wrap_bio), and completion: the version of the first handshake is compared with the
floor. A context with a fixed version cannot be raised, and is refused when it is used.

On 3.6 and 3.7 the gates are on a subclass that takes the name of the C type in _ssl when _ssl is loaded, by any
importer (tlsfloor/hooks.py explains how). Python 2.7 imports extensions in C, where there is no place for a hook.
There SSLContext is changed in place when a finder sees the import of ssl. Two ways are not covered on 2.7: a copy of
ssl.py under another name, and ssl loaded by imp.load_source() or runpy.
"""
import os
import sys

# OpenSSL, include/openssl/ssl.h: the versions, and SSL_OP_NO_SSLv3, _TLSv1, _TLSv1_1 and _TLSv1_2, which turn them
# off. SSL_OP_NO_SSLv2 is not here: it is 0 since 1.1.0, where its earlier bit has another meaning, so ask _ssl.
TURN_OFF = ((0x0300, 0x02000000), (0x0301, 0x04000000), (0x0302, 0x10000000), (0x0303, 0x08000000))
# OpenSSL, CHANGES: 1.0.1 added TLS 1.1 and 1.2, 1.1.1 added TLS 1.3. (LibreSSL always reports 2.0.0. If it lacks a
# version, nothing connects.)
NEEDED = {0x0301: 0, 0x0302: 0x10001000, 0x0303: 0x10001000, 0x0304: 0x10101000}
# CPython, Modules/_ssl.c, enum py_ssl_version: the newest version that a context of each protocol speaks.
NEWEST = {0: 0x0200, 1: 0x0300, 2: 0x0304, 3: 0x0301, 4: 0x0302, 5: 0x0303, 16: 0x0304, 17: 0x0304}
# OpenSSL, SSL_get_version.
VERSIONS = {"SSLv2": 0x0200, "SSLv3": 0x0300, "TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# Variables that have no effect on these Pythons. Each is named on stderr: without events, a report would look as if
# there was no old TLS.
NEWER = ("TLSFLOOR_EVENTS", "TLSFLOOR_EXEMPTIONS", "TLSFLOOR_STACKS", "TLSFLOOR_UNCOVERED", "TLSFLOOR_UNKNOWN")
# The last two exist only on some Pythons and OpenSSLs; -1 is "no bound" (_ssl.c, PY_PROTO_MAXIMUM_SUPPORTED).
BOUNDS = ("options", "minimum_version", "maximum_version")

# In sys, so that nothing is lost if this file is executed again, as imp.load_source does.
state = sys.__dict__.setdefault("_tlsfloor_old", {"asked": 0, "floor": 0, "ssl": "ssl was not imported yet"})
state.setdefault("counts", {"raised": 0, "clamped": 0, "refused": 0, "discarded": 0})


def version_name(version):
    return "TLS 1.%d" % (version - 0x0301) if version > 0x0300 else "SSLv%d" % (version >> 8)


def refusal_error(kind, problem, instead, serves=False):
    """Return the error that OpenSSL itself raises for a version that it does not support."""
    import _ssl

    state["counts"][kind] += 1
    facts = (problem, version_name(state["floor"])[4:], state["set_by"], instead)
    text = "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: %s, and the floor is %s, set by %s; hint: %s"
    text %= facts
    error = _ssl.SSLError(1, text)  # SSL_ERROR_SSL
    error.library, error.reason = "SSL", "UNSUPPORTED_PROTOCOL"
    if serves and not state.get("warned"):
        # A server gets the error at each accept, where socketserver and asyncio drop the client silently.
        state["warned"] = True
        try:
            why = text.partition("tlsfloor: ")[2]
            sys.stderr.write("tlsfloor: error: a server refuses every client: %s\n" % why)
            sys.stderr.flush()
        except (AttributeError, EnvironmentError):
            pass  # it is closed
    return error


class UnprovenSocket(object):
    """Wraps a TLS object of the C type, and checks the version of its first handshake."""

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
        if VERSIONS.get(version, 0) < state["floor"]:
            problem = "%s was negotiated, for a context that another thread had lowered" % version
            raise refusal_error("discarded", problem, "set its options once, before it is used")
        # From now on reads and writes take the methods of the C type: these hide those of the class.
        self.__dict__.update(do_handshake=real.do_handshake, read=real.read, write=real.write)

    def read(self, *args):  # in which OpenSSL would perform the handshake
        self.do_handshake()
        return self._real.read(*args)

    def write(self, data):
        self.do_handshake()
        return self._real.write(data)


class PlainAttribute(property):
    """A property without a setter method, as an attribute of the C type: eventlet detects Python 2.7 by that."""

    setter = property()


def raised(bound, value):
    if bound == "options":
        return value | state["off"]
    return value if value == -1 or value >= state["floor"] else state["floor"]


def add_legacy_gates(cls, base):
    """Add the gates to one class of contexts."""
    bounds = [(bound, getattr(base, bound), getattr(cls, bound)) for bound in BOUNDS if hasattr(base, bound)]

    def newest(context):
        # On 3.6 and older, an earlier context whose __init__ did not run has no protocol: the handshake is checked.
        return NEWEST.get(getattr(context, "protocol", 2), 0)

    def raise_bounds(context, kind="raised"):
        if newest(context) == 0x0304:  # else its version is fixed, and it has no bounds
            for bound, raw, _ in bounds:
                value = raw.__get__(context)
                if raised(bound, value) != value:
                    raw.__set__(context, raised(bound, value))
                    state["counts"][kind] += 1

    def changed(raw, shown):
        def read(context):
            raise_bounds(context)
            return shown.__get__(context)

        def write(context, value):
            raw.__set__(context, value)
            raise_bounds(context, "clamped")

        attribute_type = property if isinstance(shown, property) else PlainAttribute
        return attribute_type(read, write, doc=shown.__doc__)

    def used(wrap):
        def gate(context, *args, **kwargs):
            if newest(context) < state["floor"]:
                instead = "write ssl.create_default_context(), or ssl.PROTOCOL_SSLv23, which means any version"
                serves = kwargs.get("server_side") or any(argument is True for argument in args)
                problem = "this context speaks %s only" % version_name(newest(context))
                raise refusal_error("refused", problem, instead, serves)
            raise_bounds(context)
            return UnprovenSocket(wrap(context, *args, **kwargs))

        gate.tlsfloor = True
        return gate

    born = cls.__new__

    def __new__(subclass, *args, **kwargs):
        context = born(subclass, *args, **kwargs)
        if not hasattr(context, "protocol"):  # a slot on 3.6 and older, which __init__ fills, if it runs
            context.protocol = args[0] if args else kwargs.get("protocol", 2)
        raise_bounds(context)
        return context

    cls.__new__ = staticmethod(__new__)
    for bound, raw, shown in bounds:
        setattr(cls, bound, changed(raw, shown))
    for method in ("_wrap_socket", "_wrap_bio"):
        if hasattr(base, method):  # 2.7 has no _wrap_bio
            setattr(cls, method, used(getattr(base, method)))


def is_gated(cls):
    return hasattr(getattr(cls, "_wrap_socket", None), "tlsfloor")


def guard_ssl(module):
    """Hold the floor on a module named ssl, or on _ssl; raise ImportError if it cannot be held."""
    _ssl = module if module.__name__.endswith("_ssl") else __import__("_ssl")
    floor = state["asked"]
    base = getattr(_ssl, "_SSLContext", None)
    context_class = base if module is _ssl else getattr(module, "SSLContext", None)
    if base is None or not isinstance(context_class, type) or not issubclass(context_class, base):
        facts = (module, context_class, "use Python 2.7.9 or newer, and its own ssl")
        raise ImportError("the floor cannot be held on %r: its SSLContext is %r; hint: %s" % facts)
    if _ssl.OPENSSL_VERSION_NUMBER < NEEDED[floor]:
        lower = max(version for version, needed in NEEDED.items() if _ssl.OPENSSL_VERSION_NUMBER >= needed)
        hint = "use a Python with OpenSSL 1.1.1 or newer, or floor %s" % version_name(lower)[-3:]
        raise ImportError("%s cannot be held to %s; hint: %s" % (_ssl.OPENSSL_VERSION, version_name(floor), hint))
    off = sum(flag for version, flag in TURN_OFF if version < floor)
    state.update(floor=floor, off=off | getattr(_ssl, "OP_NO_SSLv2", 0))
    if module is _ssl and not is_gated(base):
        _ssl._SSLContext = type("_SSLContext", (base,), {"__slots__": (), "__module__": "_ssl"})
        add_legacy_gates(_ssl._SSLContext, base)
    for cls in context_class.__mro__:
        if base in cls.__bases__ and not is_gated(cls):
            add_legacy_gates(cls, base)
    state["ssl"] = "guarded"


def guard_executed(module):
    """Guard an ssl that was just executed; if that fails, do what the start-up file says."""
    try:
        guard_ssl(module)
    except Exception as error:  # any error means that ssl is not guarded
        state["ssl"] = str(error)
        text = state["refused"](error)
        if text:
            state["refusal"] = text
            base = getattr(sys.modules.get("_ssl"), "_SSLContext", None)
            for cls in base.__subclasses__() if base else ():  # which other modules may refer to
                cls._wrap_socket = cls._wrap_bio = refuse_ssl
            sys.modules.pop("ssl", None)
            sys.modules["_ssl"] = None
            refuse_ssl()


def refuse_ssl(*args, **kwargs):
    raise ImportError(state["refusal"])


def guarding_create(create):
    """Return the hook for a function of _imp that creates a native module."""

    def create_and_guard(spec, *rest):
        native = spec.name == "_ssl" or spec.name.endswith("._ssl")
        if native and "refusal" in state:
            refuse_ssl()
        module = create(spec, *rest)
        if native:
            guard_executed(module)
        return module

    return create_and_guard


class SSLFinder(object):
    """A meta-path finder that lets other finders find ssl, and guards it each time it is executed."""

    aside = False

    def find_module(self, fullname, path=None):  # Python 2.7 calls it
        return self if fullname == "ssl" and not self.aside else None

    def load_module(self, fullname):
        if "refusal" in state:  # not in find_module(), where 2.7 ignores an ImportError
            refuse_ssl()
        self.aside = True  # no other thread can import now: 2.7 has one import lock
        try:
            if fullname in sys.modules:  # reload() of it
                import imp

                imp.load_module(fullname, *imp.find_module(fullname))
            else:
                __import__(fullname)
        finally:
            self.aside = False
        guard_executed(sys.modules[fullname])
        return sys.modules[fullname]

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "ssl":
            return None
        if "refusal" in state:
            refuse_ssl()
        for finder in sys.meta_path[:]:
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find and finder is not self else None
            if spec is not None:
                spec.loader = GuardingLoader(spec.loader)
                return spec
        return None


class GuardingLoader(object):
    """A loader that guards its module after it was executed, and otherwise acts as the loader that it wraps.

    It does so inside of exec_module(), because other threads wait for the module only until that returns.
    """

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, attribute):
        return getattr(self._loader, attribute)

    def create_module(self, spec):
        return None  # the default, as for any Python module

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        if hasattr(self._loader, "exec_module"):
            self._loader.exec_module(module)
        else:  # zipimport
            self._loader.load_module(module.__name__)
        guard_executed(module)

    def load_module(self, fullname):  # which old import hooks call, as wrapt's
        module = self._loader.load_module(fullname)
        guard_executed(module)
        return module


def parse_floor(value, source):
    """Return the wire number of a floor. The spellings are those of tlsfloor.versions."""
    import re

    found = re.match(r"(?:(?:|tls ?|tlsv)1\.|tlsv1_|versiontls1)([0-3])$|tlsv1$", value.strip().lower())
    if found is None:
        problem = "it is empty" if value == "" else "%r is not a TLS version" % value
        raise ValueError("%s: %s; hint: write 1.2 or 1.3" % (source, problem))
    return 0x0301 + int(found.group(1) or 0)


def read_floor(environment, written):
    """Return the floor of a process that is armed as it starts. The rules are those of tlsfloor.policy."""
    outcome = environment.get("TLSFLOOR_ON_ERROR", "block")
    if outcome not in ("warn", "block", "abort"):
        hint = "write one of warn, block, abort"
        raise ValueError("unknown outcome in TLSFLOOR_ON_ERROR: %r; hint: %s" % (outcome, hint))
    mode = environment.get("TLSFLOOR_MODE", "enforce")
    if mode not in ("enforce", "observe"):
        raise ValueError("unknown mode in TLSFLOOR_MODE: %r; hint: write one of enforce, observe" % mode)
    asked = {name: environment[name] for name in ("TLSFLOOR", "TLS_MIN_VERSION") if name in environment}
    if asked.get("TLSFLOOR", "").strip().lower() == "off":  # for the folder on PYTHONPATH, which has read it
        del asked["TLSFLOOR"]
    floors = [parse_floor(value, variable) for variable, value in asked.items()]
    if written is not None:
        floors.append(parse_floor(written, "the installed file"))
    elif "TLSFLOOR" not in asked:
        floors.append(0x0303)
    return max(floors)


def hold(floor, set_by, refused):
    """Hold the floor (a wire number) on every module named ssl, whether it is imported already or later.

    A later call may raise the floor. If it cannot be held, ``refused(error)`` returns the text of the ImportError that
    every import of ssl raises, or None, and ssl is imported without the floor.
    """
    if floor > state["asked"]:
        state.update(asked=floor, set_by=set_by, refused=refused)
    if sys.version_info >= (3,) and "hooked" not in state:
        import _imp

        state["hooked"] = True
        _imp.create_dynamic, _imp.create_builtin = map(guarding_create, (_imp.create_dynamic, _imp.create_builtin))
    finder = state.setdefault("finder", SSLFinder())
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)
    if sys.modules.get("ssl"):
        try:
            guard_executed(sys.modules["ssl"])
        except ImportError:  # every later import of it raises the same
            pass


def describe_state():
    """Return the floor, whether it is held ("guarded", or why it is not), and what the gates did."""
    context_class = getattr(sys.modules.get("ssl"), "SSLContext", None)
    known = state["ssl"]
    if known == "guarded" and "ssl" in sys.modules and not is_gated(context_class):
        known = "ssl.SSLContext or its gates were replaced: %r" % context_class
    floor = version_name(state["asked"])[4:] if state["asked"] else None
    return {"floor": floor, "state": known, "counts": dict(state["counts"])}


def start(file, floor=None, outcome=None, since=None):
    """Arm this process by a start-up file, as tlsfloor.arm does on newer Pythons."""
    import tlsfloor.startup.failure as outcomes

    process = sys._tlsfloor
    files = process.setdefault("files", [])
    if [known for known in files if (known["floor"] is None) == (floor is None)]:
        return  # site reads a .pth file twice, or another folder has a copy of the file
    if floor is None:
        outcomes.make_absolute(os.path.dirname(os.path.realpath(file)))
    files.append({"file": file, "floor": floor, "outcome": outcome})
    if process["environment"].pop("?", None):
        outcomes.name_unknown(os.environ)
    for name in NEWER:
        if process["environment"].get(name) and len(files) == 1:
            outcomes.print_line("tlsfloor: warning: %s has no effect before Python 3.8" % name)
    try:
        arm_file(process, file, floor, outcomes)
    except Exception as error:  # any error means that nothing is armed
        outcomes.refuse_all(error)


def arm_file(process, file, written, outcomes):
    """Hold the floor of a start-up file on ssl. No other stack is held on these Pythons, so refuse them."""
    import tlsfloor.startup.refusal as refusal

    floor = read_floor(process["environment"], written)
    if outcomes.observes():
        if written is None:
            hint = "use Python 3.8 or newer, or TLSFLOOR_MODE=enforce"
            raise ValueError("mode observe needs Python 3.8, and nothing is observed here; hint: " + hint)
        floor = parse_floor(written, "the installed file")
    hold(floor, file, outcomes.fail)
    if len(process["files"]) == 1:
        error = "no other stack than ssl is held on Python %d.%d" % sys.version_info[:2]
        refusal.refuse_imports(refusal.other_stacks(outcomes.print_line), lambda: outcomes.fail(error))
    if outcomes.chosen_outcome() == "abort":
        try:
            import ssl  # noqa: F401
        except ImportError:
            pass  # a Python without it has nothing to hold
