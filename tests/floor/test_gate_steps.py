"""Each step of the gates of ``ssl`` by its effect, without a peer."""

from __future__ import annotations

import sys

import pytest

from programs import IMPORT_PATH, clean_environment, python
from tlsfloor.stacks import _contexts, stdlib

PROLOGUE = """
import builtins, ssl, sys, types, warnings
warnings.simplefilter("ignore")
import tlsfloor
from tlsfloor import floor as current
from types import SimpleNamespace as Object
floor = sys.argv[1]
wire = {"1.0": 0x301, "1.1": 0x302, "1.2": 0x303, "1.3": 0x304}.get(floor)
def client(): return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
def error_of(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error
def use(context, **more):
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), **more)
def counted(**changes):
    assert current.counts == {**before, **changes}, (current.counts, changes)
    before.update(current.counts)
early = client()
early.check_hostname = False
early.minimum_version, early.maximum_version = 0x301, 0x301
fixed = {}
for number in (3, 4, 5):
    if error_of(ssl.SSLContext, number) is None:
        fixed[number] = ssl.SSLContext(number)
events = []
if floor != "none":
    tlsfloor.enforce(floor, on_event=events.append)
    from tlsfloor.stacks import stdlib
before = dict(current.counts)
C = ssl.SSLContext.__mro__[-2]  # the C type
def raw(context):
    return [int(bound.__get__(context)) for bound in (C.minimum_version, C.maximum_version)]
"""


def run(program: str, floor: str = "1.2") -> None:
    """Run a program that asserts what must be true, with an early context, and a floor."""
    env = clean_environment(PYTHONPATH=IMPORT_PATH)
    done = python("-c", PROLOGUE + program, floor, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


pytestmark = pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="its ssl has no C type beneath"
)


@pytest.mark.parametrize("floor", ["1.0", "1.1", "1.2", "1.3"])
def test_a_bound_becomes_what_was_asked_for_or_the_floor(floor: str) -> None:
    run(
        """
assert raw(early) == [0x301, 0x301]
context, plain = client(), C.__new__(C, ssl.PROTOCOL_TLS_CLIENT)
assert raw(context) == [max(wire, int(raw(context)[0])), -1]
before = dict(current.counts)
for asked in (-2, 0x300, 0x301, 0x302, 0x303, 0x304):
    for name in ("minimum_version", "maximum_version"):
        error = error_of(setattr, context, name, asked)
        theirs = error_of(getattr(C, name).__set__, plain, asked)
        assert str(error) == str(theirs)  # of a version that this OpenSSL lacks
        if error is not None:
            continue
        assert getattr(context, name) == max(asked, wire), (name, asked, getattr(context, name))
        counted(clamped=before["clamped"] + (asked < wire))
        setattr(context, "maximum_version", -1)
        assert raw(context)[1] == context.maximum_version == -1
        counted()
# Reading or using an older context raises it.
assert early.minimum_version == wire
assert raw(early) == [wire, wire]
counted(raised=before["raised"] + 2 * (wire > 0x301))
assert current.handshakes_unseen == ""
""",
        floor,
    )


@pytest.mark.parametrize("floor", ["1.0", "1.2", "1.3"])
def test_a_fixed_version_is_refused_if_it_is_below(floor: str) -> None:
    run(
        """
assert fixed, "this OpenSSL has none"
for number, context in fixed.items():
    speaks = {3: 0x301, 4: 0x302, 5: 0x303}[number]
    context.minimum_version
    assert raw(context)[0] < 0x301 or wire == 0x301 or raw(context)[0] == speaks
    error = error_of(use, context)
    assert (error is not None) == (speaks < wire)
    counted(refused=before["refused"] + (speaks < wire))
    if error:
        assert (error.reason, error.library, error.errno) == ("UNSUPPORTED_PROTOCOL", "SSL", 1)
        assert f"speaks TLS 1.{number - 3} only, and the floor is {floor}" in str(error)
        assert error.floor == floor
# A new one may be created.
assert error_of(ssl.SSLContext, min(fixed)) is None
counted()
# If nothing that explains can be loaded, the refusal is a simple one.
class Broken:
    def fixed_version(self, *args):
        raise MemoryError
stdlib._loaded["tlsfloor.stacks._contexts"] = Broken()
error = stdlib._refusal(3)
assert (type(error), error.args[0]) == (ssl.SSLError, 1)
assert (error.reason, error.library) == ("UNSUPPORTED_PROTOCOL", "SSL")
assert str(error).endswith(f"it is below the floor, set by {current.set_by}")
""",
        floor,
    )


def test_what_is_no_version_is_the_error_of_ssl_itself() -> None:
    run(
        """
context, plain = client(), C.__new__(C, ssl.PROTOCOL_TLS_CLIENT)
before.update(current.counts)
for name in ("minimum_version", "maximum_version"):
    for value in (5, "TLSv1", None, 1.2, 2**80):
        ours = error_of(setattr, context, name, value)
        theirs = error_of(getattr(C, name).__set__, plain, value)
        assert ours and (type(ours), str(ours)) == (type(theirs), str(theirs)), (ours, theirs)
counted()
class Number:
    def __index__(self):
        return 0x301
theirs = error_of(C.minimum_version.__set__, plain, Number())
assert (error_of(setattr, context, "minimum_version", Number()) is None) == (theirs is None)
assert context.minimum_version == 0x303
"""
    )


def test_a_context_is_raised_when_it_is_used_and_by_nothing_before() -> None:
    run(
        """
assert raw(early) == [0x301, 0x301]
use(early)
assert raw(early) == [0x303, 0x303]
counted(raised=before["raised"] + 2)
use(early)
counted()
C.minimum_version.__set__(early, 0x301)  # past the gates
C.maximum_version.__set__(early, 0x303)
use(early)
counted(raised=before["raised"] + 1)  # the maximum is at the floor
C.minimum_version.__set__(early, 0x301)
C.maximum_version.__set__(early, 0x304)
import socket
one, other = socket.socketpair()
early.wrap_socket(one, do_handshake_on_connect=False)
assert raw(early) == [0x303, 0x304]
assert ssl.SSLSocket in stdlib._seen
assert "tlsfloor.stacks._exempted" not in sys.modules  # nothing is exempted
counted(raised=before["raised"] + 1)
C.minimum_version.__set__(early, 0x301)
assert early.maximum_version == 0x304 and raw(early)[0] == 0x301  # it is above the floor
assert early.minimum_version == 0x303
before.update(current.counts)
# What tlsfloor itself does is not counted.
current.internal.active = True
C.minimum_version.__set__(early, 0x301)
use(early)
early.minimum_version = 0x301
counted()
current.internal.active = False
"""
    )


def test_the_next_init_of_a_class_gets_the_arguments() -> None:
    run(
        """
seen = []
class Mixin:
    def __init__(self, protocol, *args, more=None):
        seen.append((args, more))
class Own(ssl.SSLContext, Mixin):
    pass
assert raw(Own(ssl.PROTOCOL_TLS_CLIENT))[0] == 0x303
assert seen == [((), None)]
class Deep(ssl.SSLContext):
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
    def __init__(self, a, *, b):
        super().__init__()
        seen.append((a, b))
assert raw(Deep(1, b=2))[0] == 0x303
assert seen[1:] == [(1, 2)]
class Wrong(ssl.SSLContext):
    def __init__(self, protocol):
        super().__init__("too", "many")
error = error_of(Wrong, ssl.PROTOCOL_TLS_CLIENT)
assert isinstance(error, TypeError) and "object.__init__() takes exactly one argument" in str(error)
"""
    )


def test_a_new_context_is_raised_once_for_each_bound_and_reported() -> None:
    run(
        """
client()
counted(raised=before["raised"] + 1)
[event] = [each for each in events if each["kind"] == "raised"]
assert (event["floor"], event["mode"], event["stack"]) == ("1.3", "enforce", "ssl")
tlsfloor.enforce("1.3")
client()
counted(raised=before["raised"] + 1)
""",
        "1.3",
    )


def test_a_context_that_is_born_at_the_floor_costs_nothing_more() -> None:
    run(
        """
context = client()
if current.counts == before:  # the minimum of this OpenSSL is that of the floor
    assert "tlsfloor.stacks._connections" not in sys.modules
"""
    )


def test_in_the_common_case_a_gate_calls_nothing_else() -> None:
    run(
        """
import socket
def called(function, *args, **more):
    calls = []
    def note(frame, event, arg):
        if event == "call" and frame.f_code.co_filename == stdlib.__file__:
            calls.append(frame.f_code.co_name)
    sys.setprofile(note)
    try:
        function(*args, **more)
    finally:
        sys.setprofile(None)
    return calls
context = client()
if current.counts == before:  # the minimum of this OpenSSL is that of the floor
    assert called(client) == ["__init__"]
context.minimum_version = 0x303
puts = ["write", "_forget_asked", "_put_quietly", "_set_bound"]
assert called(setattr, context, "minimum_version", 0x303) == puts
assert called(getattr, context, "minimum_version") == ["read"]
use(context, server_hostname="x")
assert called(use, context, server_hostname="x") == ["_wrap_bio"]
context.check_hostname = False
for first in (True, False):
    one, other = socket.socketpair()
    calls = called(context.wrap_socket, one, do_handshake_on_connect=False)
assert calls == ["_wrap_socket"], calls
"""
    )


def test_a_bound_at_the_floor_is_no_lower_wish_if_a_higher_one_is_observed() -> None:
    run(
        """
from tlsfloor.stacks import _contexts
tlsfloor.enforce("1.3", mode="observe")
context = client()
before = dict(current.counts)
for name in ("minimum_version", "maximum_version"):
    setattr(context, name, 0x301)
    assert _contexts.asked(context)[name] == 0x301
    setattr(context, name, 0x303)
    assert name not in _contexts.asked(context)
    before.update(current.counts)
    setattr(context, name, 0x303)
    assert _contexts.asked(context) == {}
    counted()
for asked, modes in ((0x302, ["enforce", "observe"]), (0x303, ["observe"]), (0x304, [])):
    context = client()
    events.clear()
    context.maximum_version = asked
    clamped = [each for each in events if each["kind"] == "clamped"]
    assert [each["mode"] for each in clamped] == modes, (asked, events)
    assert all(each["bound"] == "maximum" for each in clamped)
"""
    )


def test_gates_are_put_in_place_once_and_what_replaced_them_is_said() -> None:
    run(
        """
import _ssl
gated = _ssl._SSLContext
assert stdlib.guard(_ssl) == stdlib.guard(ssl) == "guarded"
assert _ssl._SSLContext is gated and stdlib.gated == {C: gated}
assert set(stdlib.gates_of) == {gated}
assert set(stdlib.gates_of[gated]) == {
    "_wrap_socket", "_wrap_bio", "__init__", "minimum_version", "maximum_version"
}
assert type(early).__mro__[1] is gated
assert not hasattr(gated, "__slots__")
assert gated._wrap_bio.__qualname__ == "_SSLContext._wrap_bio"
assert gated._wrap_bio.__doc__ == C._wrap_bio.__doc__
assert gated.minimum_version.__doc__ == C.minimum_version.__doc__
assert gated.minimum_version.fget.__name__ == "minimum_version"
describe = stdlib.describe_replaced
assert describe(Object()) == describe(ssl) == ""
assert describe(Object(SSLContext=C)) == f"its SSLContext is {C!r}"
assert describe(Object(SSLContext=len)) == f"its SSLContext is {len!r}"
module = types.ModuleType("ssl")
module.SSLContext = C
error = error_of(stdlib.guard, module)
assert type(error).__name__ == "GuardError"
assert f"the floor cannot be held on {module!r}: its SSLContext is {C!r}" in str(error)
# A class whose functions belong to another interpreter is left alone.
def function_of(builtins):
    return types.FunctionType((lambda cls: None).__code__, {"__builtins__": builtins})
for theirs, ours in ((vars(builtins), True), (builtins, True), ({}, False)):
    kind = type("Kind", (), {"__new__": function_of(theirs)})
    assert stdlib._is_of_this_interpreter(kind) is ours
assert stdlib._is_of_this_interpreter(object)
"""
    )


def test_a_build_without_a_version_is_tried_before_it_is_trusted() -> None:
    run(
        """
from tlsfloor.stacks import _contexts
has_minimum = Object(minimum_version=None)
_contexts._proved.clear()
for number, name in ((0x301, "HAS_TLSv1"), (0x302, "HAS_TLSv1_1"), (0x303, "HAS_TLSv1_2")):
    stdlib._check_build(Object(**{name: True}, _SSLContext=has_minimum), number)
    assert not _contexts._proved
    stdlib._check_build(Object(**{name: False}, _SSLContext=has_minimum), number)
    assert _contexts._proved == {(C, number)}
    _contexts._proved.clear()
stdlib._check_build(Object(_SSLContext=has_minimum), 0x303)
assert _contexts._proved == {(C, 0x303)}
_contexts._proved.clear()
stdlib._check_build(Object(HAS_TLSv1_2=True, _SSLContext=Object()), 0x303)
assert _contexts._proved == {(C, 0x303)}
_contexts._proved.clear()
import _ssl
for has in (True, False):  # and guard() asks whether it has
    _ssl.HAS_TLSv1_2 = has
    assert stdlib.guard(ssl) == "guarded"
    assert _contexts._proved == (set() if has else {(C, 0x303)})
del sys.modules["_ssl"]
assert stdlib.guard(ssl) == "guarded"
sys.modules["_ssl"] = _ssl
assert "or floor 1.1" in str(_contexts.openssl_error(0x303, "x"))
assert "or floor" not in str(_contexts.openssl_error(0x301, "x"))
assert type(error_of(stdlib.raise_bounds, C, early, 0x305)).__name__ == "GuardError"
error = error_of(_contexts.check, 0x305)
assert type(error).__name__ == "GuardError"
assert f"{ssl.OPENSSL_VERSION} cannot be held to 0x0305: " in str(error), str(error)
assert "or floor 1.3" in str(error), str(error)
assert _contexts._can_hold(0x304) and not _contexts._can_hold(0x305)
proved = set(_contexts._proved)
_contexts.check(0x304)
assert _contexts._proved == proved and (C, 0x304) in proved
trial = stdlib.fresh(C)
assert type(trial).__name__ == "UnusedContext" and type(stdlib.fresh(C)) is type(trial)
assert trial is not stdlib.fresh(C)
assert type(trial) not in [type(each) for each in (early, client())]
"""
    )


def test_what_explains_is_loaded_once_and_may_fail() -> None:
    run(
        """
assert stdlib._load("json") is stdlib._load("json") is sys.modules["json"]
assert stdlib._load("os.path") is sys.modules["os.path"]
assert stdlib._try_call("json", "dumps", 1) is True
assert current.handshakes_unseen == ""
assert stdlib._try_call("json", "dumps", object()) is False
assert current.handshakes_unseen.startswith("TypeError: Object of type object is not JSON")
current.handshakes_unseen = ""
class Kind: pass
stdlib.report_handshakes_of(Kind())
assert Kind in stdlib._seen
class Failing:
    @property
    def _sslsock(self):
        raise MemoryError("full")
stdlib.report_handshakes_of(Failing())
assert Failing not in stdlib._seen
assert current.handshakes_unseen == "MemoryError: full"
use(client(), server_hostname="localhost")
assert ssl.SSLObject in stdlib._seen
"""
    )


def test_what_a_context_asked_for_is_known_until_it_asks_for_more() -> None:
    run(
        """
import gc
from tlsfloor.stacks import _contexts
context = client()
context.minimum_version = 0x303  # what it was born with is forgotten
lowered = {"minimum_version": 0x301}
context.minimum_version = 0x301
assert _contexts.asked(context) == lowered, _contexts.asked(context)
context.maximum_version = 0x302
assert _contexts.asked(context) == {**lowered, "maximum_version": 0x302}
context.maximum_version = -1
assert _contexts.asked(context) == lowered
for higher in (0x303, 0x304):
    context.minimum_version = 0x301
    context.minimum_version = higher
    assert _contexts.asked(context) == {}
context.minimum_version = 0x301
tlsfloor.raise_context(context, "1.3")
assert _contexts.asked(context) == {}
context.minimum_version = 0x301
noted = len(_contexts._asked)
_contexts.asked(context).clear()  # a copy
assert _contexts.asked(context) == lowered
del context
gc.collect()
assert len(_contexts._asked) == noted - 1
plain = C.__new__(C, ssl.PROTOCOL_TLS_CLIENT)  # it cannot be referred to weakly
_contexts.note_asked(plain, "minimum_version", 0x301)
assert _contexts.asked(plain) == {}
"""
    )


def test_one_context_is_raised_or_refused_by_what_it_is() -> None:
    run(
        """
from tlsfloor.stacks import _contexts
raise_one = lambda context: _contexts.raise_one(context, 0x303, "a test")
for wrong in (None, 1, object(), ssl.SSLContext, Object(protocol=16)):
    error = error_of(raise_one, wrong)
    kind = type(wrong)
    assert type(error) is TypeError
    assert str(error) == f"an ssl.SSLContext is needed, not {kind.__module__}.{kind.__qualname__}"
with warnings.catch_warnings():
    warnings.simplefilter("error")
    _contexts.raise_one(early, 0x302, "a test")  # setting it would warn
assert raw(early) == [0x302, 0x302]
assert raise_one(early) is None and raw(early) == [0x303, 0x303]
for number, context in fixed.items():
    error = error_of(raise_one, context)
    assert (error is not None) == (number < 5)
    assert not error or "set by a test" in str(error)
# A class with its own properties is asked by them, and no more often than needed.
class Proxy(ssl.SSLContext):
    writes = []
    @property
    def minimum_version(self):
        return self.low
    @minimum_version.setter
    def minimum_version(self, value):
        self.writes.append(value)
    @property
    def maximum_version(self):
        return self.high
    @maximum_version.setter
    def maximum_version(self, value):
        self.writes.append(value)
proxy = Proxy(ssl.PROTOCOL_TLS_CLIENT)
for low, high, writes in (
    (0x301, -1, [0x303]),
    (0x303, 0x302, [0x303]),
    (0x303, 0x303, []),
    (0x304, 0x304, []),
    (-2, 0x301, [0x303, 0x303]),
):
    proxy.low, proxy.high = low, high
    raise_one(proxy)
    assert proxy.writes == writes, (low, high, proxy.writes)
    proxy.writes.clear()
class Plain(ssl.SSLContext): pass
plain = Plain(ssl.PROTOCOL_TLS_CLIENT)
C.minimum_version.__set__(plain, 0x301)
raise_one(plain)
assert raw(plain)[0] == 0x303
counted()  # it is no gate
""",
        "none",
    )


@pytest.mark.parametrize(
    ("protocol", "name"),
    [(0, "SSLv2"), (1, "SSLv3"), (3, "TLS 1.0"), (4, "TLS 1.1"), (5, "TLS 1.2"), (9, "0x0000")],
)
def test_a_refusal_names_the_version_the_floor_and_who_set_it(protocol: int, name: str) -> None:
    """Also those that few builds of OpenSSL still have, and one that nobody knows."""
    error = _contexts.fixed_version(protocol, 0x304, "a test")
    assert error.args[0] == 1
    assert f"this context speaks {name} only, and the floor is 1.3, set by a test" in str(error)
    assert (error.floor, error.set_by) == ("1.3", "a test")


def test_a_refusal_names_the_floor_of_the_process_if_no_other_is_given() -> None:
    run(
        """
from tlsfloor.stacks import _contexts
error = _contexts.refusal("a problem", "a hint")
assert (error.floor, error.set_by) == ("1.2", current.set_by)
assert _contexts.refusal("a problem", "a hint", 0x304).floor == "1.3"
"""
    )


def test_the_tables_are_those_of_cpython() -> None:
    import ssl

    names = ("PROTOCOL_TLS", "PROTOCOL_TLS_CLIENT", "PROTOCOL_TLS_SERVER")
    assert tuple(getattr(ssl, name) for name in names) == stdlib.FLEXIBLE
    assert ssl.TLSVersion.MAXIMUM_SUPPORTED == stdlib.UNBOUNDED
    bounds = {int(each) for each in ssl.TLSVersion} - {stdlib.UNBOUNDED}
    assert bounds == stdlib._BOUNDS
    old = {int(each): each.name for each in ssl.TLSVersion if 0 < each < 0x303}
    assert old == stdlib._DEPRECATED
    assert list(stdlib.FIXED.values()) == [0x200, 0x300, 0x301, 0x302, 0x303]
