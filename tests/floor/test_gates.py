"""What the guard changes of ``ssl``, and above all what it does not.

Each snippet runs in an interpreter of its own, without the floor and with it, by every route.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import parts
from programs import BOOTSTRAP, IMPORT_PATH, ROUTES, clean_environment, python

TLS1_0, TLS1_2, TLS1_3 = 0x301, 0x303, 0x304
ARM = "import tlsfloor; tlsfloor.enforce('1.2')"

#: What every snippet begins with: ``say`` collects what the test gets.
PROLOGUE = """
import json, ssl, sys, warnings
said = []
def say(*things): said.append(things)
def attempt(function, *args):
    try:
        say(repr(function(*args)))
    except Exception as error:
        say(type(error).__name__, str(error))
def client(): return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""


def run(tmp_path: Path, route: str, snippet: str, *args: str, **env: str) -> Any:
    """Run a snippet from a file, armed at 1.2 by a route (or ``none``); return its output."""
    early, late = (f"{ARM}\n" if route == when else "\n" for when in ("early", "late"))
    file = tmp_path / "snippet.py"
    file.write_text(f"{early}{PROLOGUE}{late}{snippet}\nprint(json.dumps(said, default=str))\n")
    path = [BOOTSTRAP] if route == "PYTHONPATH" else []
    env = clean_environment(PYTHONPATH=os.pathsep.join([*path, IMPORT_PATH]), **env)
    done = python(*args, str(file), env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_unchanged(tmp_path: Path, route: str, snippet: str, *args: str) -> Any:
    """Assert that a snippet has the same output with and without the floor; return the output."""
    without = run(tmp_path, "none", snippet, *args)
    assert run(tmp_path, route, snippet, *args) == without
    assert without, "nothing was compared"
    return without


every_route = pytest.mark.parametrize("route", ROUTES)


@every_route
def test_the_signatures_are_the_same(tmp_path: Path, route: str) -> None:
    assert_unchanged(
        tmp_path,
        route,
        """
import inspect
say(str(inspect.signature(ssl.SSLContext)))
for method in (ssl.SSLContext.wrap_socket, ssl.SSLContext.wrap_bio):
    say(str(inspect.signature(method)))
say(inspect.getdoc(ssl.SSLContext), ssl.SSLContext.__module__, ssl.SSLContext.__qualname__)
say(sorted(dir(ssl.SSLContext)), sorted(dir(ssl.SSLSocket)), sorted(dir(ssl)))
say([str(cls) for cls in dict.fromkeys(map(str, ssl.SSLContext.__mro__))])
""",
    )


WARNINGS = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    context = ssl.SSLContext()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.minimum_version
    if hasattr(ssl, "PROTOCOL_TLSv1"):
        ssl.SSLContext(ssl.PROTOCOL_TLSv1)
    class Own(ssl.SSLContext):
        def __init__(self, protocol=None, **kwargs):
            super().__init__()
    Own()
for each in caught:
    say(each.category.__name__, str(each.message), each.filename, each.lineno)
say("and no more")
"""


@every_route
def test_warnings_keep_the_file_and_line_of_the_caller(tmp_path: Path, route: str) -> None:
    said = assert_unchanged(tmp_path, route, WARNINGS)
    if sys.version_info >= (3, 10):
        assert len(said) >= 7
        if sys.implementation.name == "cpython":  # PyPy's _ssl is Python, and names itself
            assert {each[2] for each in said[:-1]} == {str(tmp_path / "snippet.py")}


@every_route
def test_warnings_that_are_errors_stop_the_same_calls(tmp_path: Path, route: str) -> None:
    assert_unchanged(
        tmp_path,
        route,
        """
attempt(lambda: type(ssl.SSLContext()))
attempt(setattr, client(), "minimum_version", ssl.TLSVersion.TLSv1)
attempt(setattr, client(), "maximum_version", ssl.TLSVersion.TLSv1)
""",
        "-Werror",
    )


NONSENSE = """
warnings.simplefilter("ignore")
nonsense = (None, "TLSv1", b"", 1.5, [], 5, 0x305, -3, True, 2**31, 2**70, -2**70, float("nan"))
names = ("PROTOCOL_TLSv1", "PROTOCOL_TLSv1_2")
fixed = [getattr(ssl, name) for name in names if hasattr(ssl, name)]
for bound in ("minimum_version", "maximum_version"):
    for value in nonsense:
        say(bound, value)
        attempt(setattr, client(), bound, value)
    for protocol in fixed:
        for value in (0x301, 0x303, 0x304, -1, -2):
            attempt(setattr, ssl.SSLContext(protocol), bound, value)
        for value in nonsense:  # if two things are wrong, the error may name either
            if value == -2**70:  # and PyPy has another name for this one
                continue
            try:
                setattr(ssl.SSLContext(protocol), bound, value)
            except Exception as error:
                say(value, type(error).__name__)
attempt(ssl.SSLContext, "nonsense")
attempt(ssl.SSLContext, 99)
"""


@every_route
def test_invalid_values_raise_the_same_errors(tmp_path: Path, route: str) -> None:
    without, said = (run(tmp_path, each, NONSENSE) for each in ("none", route))
    assert said == without
    kinds = {"TypeError", "ValueError"}
    if sys.implementation.name == "cpython":  # PyPy's _ssl takes numbers of any size
        kinds.add("OverflowError")
    assert kinds <= {str(each[0]) for each in without}


SUBCLASSES = """
class Mixin:
    def __init__(self, *args, **kwargs):
        say("Mixin", args, kwargs)
class Cooperative:
    def __init__(self, *args, **kwargs):
        say("Cooperative", args, kwargs)
        super().__init__()
class WithNew(ssl.SSLContext):
    def __new__(cls, label, protocol):
        self = super().__new__(cls, protocol)
        self.label = label
        return self
    def __init__(self, label, protocol):
        say("WithNew", label, protocol)
class Behind(ssl.SSLContext, Mixin): pass
class Before(Mixin, ssl.SSLContext): pass
class Chain(Cooperative, ssl.SSLContext, Mixin): pass
class Plain(ssl.SSLContext): pass
class Slotted(ssl.SSLContext):
    __slots__ = ("extra",)
for cls in (Behind, Before, Chain, Plain, Slotted):
    attempt(lambda: type(cls(ssl.PROTOCOL_TLS_CLIENT)).__name__)
    attempt(lambda: type(cls(protocol=ssl.PROTOCOL_TLS_CLIENT)).__name__)
attempt(lambda: WithNew("label", ssl.PROTOCOL_TLS_CLIENT).label)
"""


@every_route
def test_a_subclass_gets_its_arguments(tmp_path: Path, route: str) -> None:
    said = assert_unchanged(tmp_path, route, SUBCLASSES)
    assert ["Mixin", [16], {}] in said
    assert ["Mixin", [], {"protocol": 16}] in said


@every_route
def test_the_module_reads_as_without_tlsfloor(tmp_path: Path, route: str) -> None:
    assert_unchanged(
        tmp_path,
        route,
        """
say(type(ssl.__spec__.loader).__module__, type(ssl.__loader__).__module__)
say(ssl.__spec__.loader is ssl.__loader__, ssl.__spec__.name, ssl.__spec__.origin)
say(repr(ssl), getattr(ssl, "__cached__", "gone since 3.15"))
import importlib.util, inspect
say(importlib.util.find_spec("ssl") is ssl.__spec__)
say(inspect.getsource(ssl)[:9], inspect.getfile(ssl.SSLContext))
""",
    )


BOUNDS = """
warnings.simplefilter("ignore")
context = client()
say(context.minimum_version)
for value in (0x301, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.MINIMUM_SUPPORTED, 0x303, 0x304):
    context.minimum_version = value
    say(context.minimum_version)
context.minimum_version = 0x303
versions = ssl.TLSVersion
for value in (0x302, 0x303, 0x304, versions.MAXIMUM_SUPPORTED, versions.MINIMUM_SUPPORTED):
    context.maximum_version = value
    say(context.maximum_version)
import tlsfloor
say(tlsfloor.status().counts)
"""


@every_route
def test_a_bound_below_the_floor_is_clamped_and_shown(tmp_path: Path, route: str) -> None:
    without = [int(said[0]) for said in run(tmp_path, "none", BOUNDS)[:-1]]
    assert without[1:-1] == [0x301, 0x302, -2, 0x303, 0x304, 0x302, 0x303, 0x304, -1]
    assert without[-1] < 0x303
    *said, counts = run(tmp_path, route, BOUNDS)
    seen = [int(each[0]) for each in said]
    assert seen == [0x303, 0x303, 0x303, 0x303, 0x303, 0x304, 0x303, 0x303, 0x304, -1, 0x303]
    assert counts[0]["clamped"] == 5


BIRTH = """
import tlsfloor
read = ssl.SSLContext.__mro__[1].minimum_version.__get__
class Own(ssl.SSLContext):
    pass
def seen():
    # Past the property, whose look would raise it.
    made = (client(), Own(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context())
    return [int(read(context)) for context in made]
say(seen())
tlsfloor.enforce("1.3")
say(seen())
"""


def test_a_new_context_is_at_the_floor_from_its_birth(tmp_path: Path) -> None:
    before, after = run(tmp_path, "none", BIRTH)
    assert TLS1_3 not in before[0]
    assert after == [[TLS1_3] * 3]


RAISED_ON_TOUCH = """
warnings.simplefilter("ignore")
read = ssl.SSLContext.__mro__[1].minimum_version.__get__
most = ssl.SSLContext.__mro__[1].maximum_version.__get__
old = [client() for _ in range(3)]
for context in old:
    context.minimum_version = 0x301
    context.maximum_version = 0x302
import tlsfloor
tlsfloor.enforce("1.2")
say([int(read(context)) for context in old])
say(int(old[0].minimum_version), int(read(old[0])), int(most(old[0])))
say(int(old[1].maximum_version), int(read(old[1])), int(most(old[1])))
try:
    old[2].wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
finally:
    say(int(read(old[2])), int(most(old[2])))
say(tlsfloor.status().counts["raised"])
"""


def test_an_earlier_context_is_raised_when_it_is_used_or_read(tmp_path: Path) -> None:
    """Reading either bound or using it raises both bounds; nothing happens before."""
    said = run(tmp_path, "none", RAISED_ON_TOUCH)
    assert said == [[[0x301] * 3], [0x303] * 3, [0x303] * 3, [0x303] * 2, [6]]


REFUSED = """
warnings.simplefilter("ignore")
import pickle, socket
for protocol in [0, 1, 3, 4, 5]:
    try:
        context = ssl.SSLContext(protocol)
    except ValueError:  # this OpenSSL does not have it at all
        continue
    say(protocol, "made", int(context.minimum_version))
    one, other = socket.socketpair()
    for use in (lambda: context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()),
                lambda: context.wrap_socket(one, do_handshake_on_connect=False)):
        try:
            say(protocol, "used", type(use()).__name__)
        except ssl.SSLError as error:
            error = pickle.loads(pickle.dumps(error))
            told = (error.errno, error.reason, error.library, str(error), error.floor)
            say(protocol, type(error).__name__, *told)
    one.close(), other.close()
"""


@every_route
def test_a_fixed_version_below_the_floor_is_refused_at_its_use(tmp_path: Path, route: str) -> None:
    """It can be created and inspected; the refusal reads as OpenSSL's own."""
    without, said = run(tmp_path, "none", REFUSED), run(tmp_path, route, REFUSED)
    assert [each for each in without if each[0] == 3][1:] == [
        [3, "used", "SSLObject"],
        [3, "used", "SSLSocket"],
    ]
    assert [each for each in said if each[0] == 5] == [each for each in without if each[0] == 5]
    assert [each for each in said if each[1] == "made"] == [
        each for each in without if each[1] == "made"
    ]
    refused = [each for each in said if each[0] in (1, 3, 4) and each[1] != "made"]
    assert len(refused) >= 4
    for each in refused:
        assert each[1:5] == ["ProtocolRefused", 1, "UNSUPPORTED_PROTOCOL", "SSL"]
        assert each[5].startswith(
            "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: this context speaks "
        )
        assert "hint: write ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)" in each[5]
        assert each[6] == "1.2"
        # Whose floor it is: the file and line, or the environment.
        assert (
            "(default 1.2)" if route == "PYTHONPATH" else f"{tmp_path / 'snippet.py'}:"
        ) in each[5]


REBOUND = """
warnings.simplefilter("ignore")
class Replacement(ssl.SSLContext): pass
old = client()
ssl.SSLContext = Replacement
attempt(setattr, old, "minimum_version", 0x301)
attempt(setattr, old, "maximum_version", 0x304)
old.check_hostname = False
old.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
say(int(ssl.SSLContext.__mro__[-2].minimum_version.__get__(old)))
"""


@every_route
def test_a_rebound_class_works_and_is_held(tmp_path: Path, route: str) -> None:
    """The setters of ``ssl`` look up its name, and recurse if a subclass has the name."""
    *without, use = REBOUND.splitlines()
    said = assert_unchanged(tmp_path, route, "\n".join(without[:7]))
    assert [each[0] for each in said] == ["RecursionError"] * 2
    said = run(tmp_path, route, REBOUND)
    assert said[-1] == [TLS1_2]


UNCHANGED = """
kinds = [ssl.SSLContext, ssl.SSLSocket, ssl.SSLObject, ssl.SSLContext.__mro__[-2]]
before = [dict(kind.__dict__) for kind in kinds]
names = dict(ssl.__dict__)
import tlsfloor
for floor in ("1.3", "1.3", "1.2"):
    tlsfloor.enforce(floor)
say([sorted(name for name in kind.__dict__ if kind.__dict__[name] is not old.get(name))
     for kind, old in zip(kinds, before)])
say(names == ssl.__dict__, len(ssl.SSLContext.__mro__))
say(int(client().minimum_version))
"""


def test_the_classes_of_ssl_are_not_replaced(tmp_path: Path) -> None:
    """Only the base of SSLContext changes; arming again adds nothing."""
    assert run(tmp_path, "none", UNCHANGED) == [[[[], [], [], []]], [True, 4], [TLS1_3]]


REFERRERS = """
import gc, types
import tlsfloor, tlsfloor.stacks.stdlib
def holders():
    gc.collect()
    return sorted(each["__name__"] for each in gc.get_referrers(ssl.SSLContext)
                  if isinstance(each, dict) and "__name__" in each and "__qualname__" not in each)
say(holders())
module = types.ModuleType("tlsfloor.control")
module.context_class = ssl.SSLContext
say(holders())
"""


@every_route
def test_no_module_of_tlsfloor_refers_to_the_class(tmp_path: Path, route: str) -> None:
    """gevent searches for such modules when it patches, and warns of each."""
    found, control = run(tmp_path, route, REFERRERS)
    assert found == [["ssl"]]
    assert control == [["ssl", "tlsfloor.control"]]


AGAIN = """
warnings.simplefilter("ignore")
import importlib
first, context = ssl.SSLContext, client()
def lowest(module):
    made = module.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = 0x301
    return int(made.minimum_version)
same = importlib.reload(ssl)
own_loader = type(ssl.__spec__.loader) is type(ssl.__loader__)
say(same is ssl, ssl.SSLContext is first, lowest(ssl), own_loader)
del sys.modules["ssl"]
import ssl as second
say(second is ssl, second.SSLContext is first, lowest(second), lowest(ssl))
context.minimum_version = 0x301
say(int(context.minimum_version))
# As gevent and eventlet do: a copy beside the one that everybody has.
saved = sys.modules.pop("ssl")
third = importlib.import_module("ssl")
sys.modules["ssl"] = saved
say(third is second, lowest(third), lowest(saved))
"""


@every_route
def test_every_further_execution_of_ssl_is_guarded(tmp_path: Path, route: str) -> None:
    assert [each[2] for each in run(tmp_path, "none", AGAIN)[:2]] == [TLS1_0] * 2
    assert run(tmp_path, route, AGAIN) == [
        [True, False, TLS1_2, True],
        [False, False, TLS1_2, TLS1_2],
        [TLS1_2],
        [False, TLS1_2, TLS1_2],
    ]


DROPPED = """
import tlsfloor
def drop(*names):
    for name in [each for each in sys.modules if each.partition(".")[0] in names]:
        del sys.modules[name]
def told():
    import ssl, tlsfloor
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = 0x301
    status = tlsfloor.status()
    clamped = status.counts["clamped"] + status.counts["raised"]
    say(int(context.minimum_version), status.floor, bool(status), len(status.armings), clamped > 0)
told()
spec, loaded = tlsfloor.__spec__, [name for name in sys.modules if name.startswith("tlsfloor.")]
drop("tlsfloor")
told()
drop("tlsfloor", "ssl", "_ssl")
told()
import tlsfloor as same
say(same is tlsfloor, same.__spec__ is spec)
# Whichever comes first.
for name in loaded[::STEP]:
    drop("tlsfloor", "ssl")
    __import__(name)
    told()
same.enforce("1.3")
told()
"""


@every_route
def test_modules_of_tlsfloor_that_are_dropped_come_back_as_they_were(
    tmp_path: Path, route: str
) -> None:
    """ddtrace drops all modules that its own start has loaded, if gevent is installed."""
    assert run(tmp_path, "none", DROPPED.replace("STEP", "6"))[0] == [TLS1_0, None, False, 0, False]
    # PyPy takes seconds for each module, so it tries some of them, and so do all but one route.
    is_slow = sys.implementation.name == "pypy"
    step = "1" if route == "early" and not is_slow else "6"
    *at_1_2, at_1_3 = run(tmp_path, route, DROPPED.replace("STEP", step))
    assert at_1_2.pop(3) == [True, True]
    assert at_1_2 == [[TLS1_2, "1.2", True, 1, True]] * len(at_1_2)
    assert len(at_1_2) > 8
    assert at_1_3 == [TLS1_3, "1.3", True, 2, True]


#: six and others of its age have only what importlib asked for before Python 3.4.
OLD_FINDER = """
class Finder:
    def find_module(self, name, path=None): return None
sys.meta_path.insert(0, Finder())
"""
#: Some instrumentation does: it finds modules itself, and asks no other finder.
OWN_FINDER = """
from importlib.machinery import PathFinder
class Finder:
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, path) if name == "ssl" else None
sys.meta_path.insert(0, Finder())
"""

WITH_FINDER = """
import json, sys, warnings
said = []
def say(*things): said.append(things)
{}
import ssl, tlsfloor
warnings.simplefilter("ignore")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = 0x301
status = tlsfloor.status()
say(int(context.minimum_version), bool(status), status.problems)
print(json.dumps(said))
"""


def run_with_finder(*steps: str) -> Any:
    program = WITH_FINDER.format("\n".join(steps))
    done = python("-c", program, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_finder_with_find_module_does_not_prevent_the_guard() -> None:
    """Python up to 3.11 calls ``find_module``, later ones ignore such a finder."""
    assert run_with_finder(OLD_FINDER, ARM) == [[TLS1_2, True, []]]
    assert run_with_finder(ARM, OLD_FINDER) == [[TLS1_2, True, []]]


def test_post_import_hooks_of_wrapt_and_the_guard_both_run() -> None:
    """In either order. (wrapt imports ssl, which is executed again for that reason.)"""
    parts.need("wrapt")
    hook = 'wrapt.register_post_import_hook(lambda module: say("hook", module.__name__), "ssl")'
    again = 'sys.modules.pop("ssl", None)'
    assert run_with_finder("import wrapt", again, ARM, hook) == [
        ["hook", "ssl"],
        [TLS1_2, True, []],
    ]
    assert run_with_finder("import wrapt", again, hook, ARM) == [
        ["hook", "ssl"],
        [TLS1_2, True, []],
    ]


def test_an_earlier_finder_that_answers_itself_is_held() -> None:
    assert run_with_finder(OWN_FINDER, ARM) == [[TLS1_2, True, []]]


def test_a_later_finder_that_answers_itself_is_held() -> None:
    assert run_with_finder(ARM, OWN_FINDER) == [[TLS1_2, True, []]]


def test_an_ssl_in_a_zip_is_guarded(tmp_path: Path) -> None:
    """As in the embeddable Python of Windows; zipimport of 3.8 and 3.9 has no ``exec_module``."""
    with zipfile.ZipFile(tmp_path / "stdlib.zip", "w") as archive:
        archive.write(os.path.join(os.path.dirname(os.__file__), "ssl.py"), "ssl.py")
    program = """
import ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = -2
print(ssl.__file__, int(context.minimum_version))
"""
    file = str(tmp_path / "stdlib.zip" / "ssl.py")
    for path, minimum in (([], -2), ([BOOTSTRAP], TLS1_2)):
        env = clean_environment(PYTHONPATH=os.pathsep.join([*path, str(tmp_path / "stdlib.zip")]))
        done = python("-c", program, env=env)
        assert (done.stdout.split(), done.stderr) == ([file, str(minimum)], "")


RATCHET = """
warnings.simplefilter("ignore")
import tlsfloor
say(tlsfloor.enforce("1.3").floor, tlsfloor.enforce("1.2").floor, tlsfloor.enforce("1.0").floor)
for floor in ("nonsense", "", None, 2, "2.0", "SSLv3"):
    attempt(tlsfloor.enforce, floor)
say(tlsfloor.status().floor, int(client().minimum_version), bool(tlsfloor.status()))
"""


@every_route
def test_a_floor_is_never_lowered(tmp_path: Path, route: str) -> None:
    said = run(tmp_path, route, RATCHET)
    assert said[0] == ["1.3"] * 3
    assert {each[0] for each in said[1:-1]} == {"PolicyError"}
    assert said[-1] == ["1.3", TLS1_3, True]


ENVIRONMENT = "import tlsfloor; say(tlsfloor.enforce('1.2').floor, int(client().minimum_version))"


@pytest.mark.parametrize(
    ("variables", "floor"),
    [
        ({"TLSFLOOR": "1.3"}, "1.3"),
        ({"TLS_MIN_VERSION": "VersionTLS13"}, "1.3"),
        ({"TLSFLOOR": "1.0", "TLS_MIN_VERSION": "1.1"}, "1.2"),
        # Speaks to the start-up routes alone.
        ({"TLSFLOOR": "off"}, "1.2"),
        ({"TLSFLOOR": "off", "TLS_MIN_VERSION": "1.3"}, "1.3"),
    ],
    ids=str,
)
def test_a_call_obeys_an_environment_that_asks_for_a_higher_floor(
    tmp_path: Path, variables: dict[str, str], floor: str
) -> None:
    wire = {"1.2": TLS1_2, "1.3": TLS1_3}[floor]
    assert run(tmp_path, "none", ENVIRONMENT, **variables) == [[floor, wire]]


REQUIRE = """
import tlsfloor
attempt(tlsfloor.require, "1.2")
attempt(tlsfloor.require, "1.3")
attempt(tlsfloor.require, "nonsense")
try:
    tlsfloor.require("1.3")
except tlsfloor.FloorNotHeldError as error:
    say(error.status.floor, error.hint)
say("__init__" in ssl.SSLContext.__dict__, tlsfloor.status().floor)
"""


def test_require_changes_nothing_and_raises(tmp_path: Path) -> None:
    said = run(tmp_path, "none", REQUIRE)
    assert said[0][0] == said[1][0] == "FloorNotHeldError"
    assert "no floor is armed" in said[0][1]
    assert 'tlsfloor.enforce("1.2")' in said[0][1]
    assert said[2][0] == "PolicyError"
    assert said[3][0] is None
    assert said[4] == [False, None]


@every_route
def test_require_passes_where_the_floor_is_held(tmp_path: Path, route: str) -> None:
    said = run(tmp_path, route, REQUIRE)
    assert said[0] == ["None"]
    assert said[1][0] == "FloorNotHeldError"
    assert "its floor is 1.2" in said[1][1]
    assert said[3][0] == "1.2"


UNDONE = """
import ssl, tlsfloor
attempt(tlsfloor.require, "1.2")
real = ssl.SSLContext.__mro__[2]  # an old version, by code that reaches beneath the gates
made = ssl.create_default_context
def create_default_context(*args, **kwargs):
    context = made(*args, **kwargs)
    real.minimum_version.__set__(context, 0x301)
    context.set_ciphers("ALL:@SECLEVEL=0")  # else no OpenSSL from 3 on speaks it
    context.wrap_bio = lambda *args, **kwargs: ssl.SSLObject._create(
        *args, context=Bare(context), **kwargs
    )
    return context
class Bare:
    def __init__(self, context):
        self._context = context
    def __getattr__(self, name):
        return getattr(self._context, name)
    def _wrap_bio(self, *args, **kwargs):
        return real._wrap_bio(self._context, *args, **kwargs)
ssl.create_default_context = create_default_context
say(bool(tlsfloor.status()), bool(tlsfloor.verify("1.2")))
attempt(tlsfloor.require, "1.2")
"""


@every_route
def test_require_agrees_with_status(tmp_path: Path, route: str) -> None:
    """Also if all gates are in place, and only ``verify()`` finds that less is accepted."""
    said = run(tmp_path, route, UNDONE)
    assert said[:2] == [["None"], [False, False]]
    assert said[2][0] == "FloorNotHeldError"
    assert "the verifier says: client default TLS 1.0: accepted" in said[2][1]


LOST = """
import tlsfloor
attempt(tlsfloor.require, "1.2")
if LOSE == "a gate":
    ssl.SSLContext._wrap_socket = ssl.SSLContext.__mro__[2]._wrap_socket
elif LOSE == "a gate beneath":
    ssl.SSLContext.__mro__[1]._wrap_bio = ssl.SSLContext.__mro__[2]._wrap_bio
elif LOSE == "the name":
    import _ssl
    _ssl._SSLContext = ssl.SSLContext.__mro__[2]
elif LOSE == "a hook":
    import _imp
    hook = _imp.exec_dynamic
    cell = hook.__closure__[hook.__code__.co_freevars.index("execute")]
    _imp.exec_dynamic = cell.cell_contents
else:
    class SSLContext: pass
    ssl.SSLContext = SSLContext
attempt(tlsfloor.require, "1.2")
say(bool(tlsfloor.status()), tlsfloor.status().problems)
"""


@every_route
@pytest.mark.parametrize("lose", ["a gate", "a gate beneath", "the name", "a hook", "the class"])
def test_a_removed_guard_is_a_problem(tmp_path: Path, route: str, lose: str) -> None:
    said = run(tmp_path, route, f"LOSE = {lose!r}\n{LOST}")
    assert said[0] == ["None"]
    assert said[1][0] == "FloorNotHeldError"
    assert said[2][0] is False
    assert len(said[2][1]) == 1


ONE_FAILS = """
import ssl, sys, types, warnings
warnings.simplefilter("ignore")
import tlsfloor
from tlsfloor import errors, stacks

class Guard(types.ModuleType):
    def guard(self, module):
        raise errors.GuardError("this version is of the future")

sys.modules["stack"] = types.ModuleType("stack")
sys.modules["its_guard"] = Guard("its_guard")
rows = dict(stacks.TABLE)
stacks.TABLE.clear()
stacks.TABLE.update({"stack": "its_guard", **rows})  # it comes first
def lowest():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = 0x301
    return int(made.minimum_version)
before = lowest()
try:
    tlsfloor.enforce("1.2")
except tlsfloor.GuardError as error:
    print(before, lowest(), error.problem, tlsfloor.status().held, sep="|")
"""


def test_a_stack_that_cannot_be_guarded_does_not_prevent_others() -> None:
    told = python("-c", ONE_FAILS).stdout.strip().split("|")
    assert told == [str(TLS1_0), str(TLS1_2), "this version is of the future", "False"]


FROZEN = """
import copy, inspect, pickle, typing
warnings.simplefilter("ignore")
context = client()
for function in (copy.copy, copy.deepcopy, pickle.dumps):
    attempt(lambda: type(function(context)).__name__)  # PyPy's can be copied
attempt(delattr, context, "minimum_version")
attempt(delattr, context, "maximum_version")
class Own(ssl.SSLContext):
    def __init__(self, protocol):
        super().__init__(protocol)
attempt(lambda: type(Own(ssl.PROTOCOL_TLS_CLIENT)).__name__)
say(isinstance(context, ssl.SSLContext.__mro__[-2]), issubclass(Own, ssl.SSLContext))
say([name for name, _ in inspect.getmembers(ssl.SSLContext)])
say([name for name, _ in inspect.getmembers(context)])
say(sorted(map(str, typing.get_type_hints(ssl.SSLContext))))
say(sorted(map(str, typing.get_type_hints(ssl.SSLContext.__init__))))
say(ssl.SSLContext.__init__.__doc__, ssl.SSLContext.__base__.__name__, repr(ssl.SSLContext))
say(type(ssl.SSLContext).__name__, ssl.SSLContext.__module__, sorted(vars(context)))
"""


@every_route
def test_introspection_of_the_class_reads_as_without_tlsfloor(tmp_path: Path, route: str) -> None:
    assert_unchanged(tmp_path, route, FROZEN)


ALL_WARNINGS = """
import ssl, warnings
def caught(mode):
    said = []
    for value in (0x300, 0x301, 0x302, 0x303, 0x304):
        for bound in ("minimum_version", "maximum_version"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter(mode)
                try:
                    setattr(context, bound, value)
                except (DeprecationWarning, ValueError) as error:
                    said.append(repr(error))
            said += [(str(each.message), each.filename, each.lineno) for each in seen]
    return said
class Below(ssl.SSLContext):
    @property
    def minimum_version(self):
        return super(ssl.SSLContext, ssl.SSLContext).minimum_version.__get__(self)
    @minimum_version.setter
    def minimum_version(self, value):
        super(ssl.SSLContext, ssl.SSLContext).minimum_version.__set__(self, value)
print(caught("always"))
print(caught("error"))
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    Below(ssl.PROTOCOL_TLS_SERVER).minimum_version = 0x302
print([(str(each.message), each.lineno) for each in seen])
"""


@pytest.mark.parametrize("floor", ["1.0", "1.1", "1.2", "1.3"])
@pytest.mark.parametrize("flags", [(), ("-Werror",)], ids=["", "-W error"])
def test_warnings_are_the_same_at_each_floor(floor: str, flags: tuple[str, ...]) -> None:
    """Category, text, file and line are the same, however the bound is set."""
    if sys.implementation.name == "pypy" and floor in {"1.0", "1.1"}:
        pytest.skip(
            "PyPy warns of these bounds itself, on its own lines; the page on how it works says so"
        )
    said = []
    for path in ("", BOOTSTRAP):
        env = clean_environment(PYTHONPATH=path, TLSFLOOR=floor)
        done = python(*flags, "-c", ALL_WARNINGS, env=env)
        assert done.returncode == 0, done.stderr
        said.append((done.stdout, done.stderr))
    assert said[0] == said[1]
    assert ("TLSv1 is deprecated" in said[0][0]) == (sys.version_info >= (3, 10))
