"""Python 2.7, 3.6 and 3.7: the floor on their ``ssl``, held by one file.

This Python runs the tests, and peers of every version; those run programs that load the file.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

import parts
import tlsfloor
from drive import NAMES, REFUSALS
from peers import LADDER
from programs import BOOTSTRAP, PROGRAMS, armed_environment, clean_environment, python
from tlsfloor import errors, policy, versions
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

FILE = str(Path(tlsfloor.__file__).parent / "startup" / "legacy.py")

#: One peer of each version: enough where the key exchange was tried already.
SHORT = ("1.0 rsa", "1.1 ecdhe", "1.2 rsa", "1.3 ecdhe")

#: Each way of asking for less, by role, and the peers to try it with.
CASES = {
    "client": {
        "default": LADDER,
        "@SECLEVEL=0": LADDER,
        "lowered": LADDER,
        "past the class": SHORT,
        "subclass": SHORT,
        "PROTOCOL_TLSv1": SHORT,
        "PROTOCOL_TLSv1_1": SHORT,
        "PROTOCOL_TLSv1_2": SHORT,
        "_create_unverified_context": SHORT,
        "_create_stdlib_context": SHORT,
        "ssl.wrap_socket": SHORT,
        "wrapped before connecting": SHORT,
        "handshake by writing": SHORT,
        "wrap_bio": SHORT,
        "urlopen": SHORT,
    },
    "server": {
        "default": LADDER,
        "lowered": LADDER,
        "subclass": SHORT,
        "PROTOCOL_TLSv1": SHORT,
        "PROTOCOL_TLSv1_1": SHORT,
        "PROTOCOL_TLSv1_2": SHORT,
        "ssl.wrap_socket": SHORT,
    },
}

#: Where nothing was asked for, OpenSSL's security level may stop legacy TLS without a floor too: of
#: a client with ECDHE, of a server all of it.
CAREFUL = ("default", "urlopen")

every_python = pytest.mark.parametrize("executable", parts.old_pythons())
every_floor = pytest.mark.parametrize("floor", ["1.2", "1.3"])

_controls: dict[tuple[str, str], dict[tuple[str, str], str]] = {}


def test_every_python_can_read_the_file() -> None:
    """A tool may compile all files of the folder with any Python."""
    program = "import sys; compile(sys.argv[1], 'old.py', 'exec')"
    source = Path(FILE).read_text()
    for executable in parts.old_pythons() + parts.pythons():
        done = python("-W", "error", "-c", program, source, executable=executable)
        assert (done.returncode, done.stderr) == (0, ""), executable


@functools.lru_cache(maxsize=None)
def is_27(executable: str) -> bool:
    return (
        python("-c", "import sys; print(sys.version_info < (3,))", executable=executable).stdout
        == "True\n"
    )


def run(executable: str, job: dict[str, Any]) -> Any:
    """Run the program; return what it printed."""
    job = {"old": FILE, "ca": handshakes.CA_FILE, "identity": handshakes.PEER_FILE, **job}
    env = clean_environment(PYTHONDONTWRITEBYTECODE="1")
    done = python(str(PROGRAMS / "old.py"), json.dumps(job), executable=executable, env=env)
    # A server says once that its context is refused.
    said = [each for each in done.stderr.splitlines() if "refuses every client" not in each]
    assert (done.returncode, said) == (0, []), done.stderr
    return json.loads(done.stdout)


def reach(executable: str, role: str, when: str, floor: str) -> dict[tuple[str, str], str]:
    """Return for each way and peer the version that was reached, or the error."""
    kind = handshakes.ServerPeer if role == "client" else handshakes.ClientPeer
    with contextlib.ExitStack() as stack:
        ladder = {
            peer: stack.enter_context(kind(FLOORS[peer.split()[0]], peer.split()[1]))
            for peer in LADDER
        }
        cases = [
            (way, peer)
            for way, tried in CASES[role].items()
            for peer in tried
            if way != "wrap_bio" or not is_27(executable)
        ]
        told = run(
            executable,
            {
                "when": when,
                "floor": FLOORS.get(floor, 0),
                "cases": [[role, way, ladder[peer].port] for way, peer in cases],
            },
        )
        reached = {case: NAMES.get(said, said) for case, said in zip(cases, told["reached"])}
        # The peer has the last word on how many handshakes there were.
        for peer, each in ladder.items():
            each.settle()
            version = peer.split()[0]
            completed = sum(seen.version is not None for seen in each.seen)
            mine = [said for (_, tried), said in reached.items() if tried == peer]
            assert completed == mine.count(version), (peer, mine)
    if when != "never":
        assert told["status"]["state"] == "guarded"
        assert told["status"]["floor"] == floor
    return reached


def control(executable: str, role: str) -> dict[tuple[str, str], str]:
    """Return what is reached without a floor, and assert that it is all that was asked for."""
    if (executable, role) not in _controls:
        reached = reach(executable, role, "never", "")
        for (way, peer), said in reached.items():
            version = peer.split()[0]
            only = way.replace("PROTOCOL_TLSv1_", "1.").replace("PROTOCOL_TLSv1", "1.0")
            if way in CAREFUL and version < "1.2" and (role == "server" or "ecdhe" in peer):
                continue
            if way.startswith("PROTOCOL") and only != version:
                assert said not in FLOORS, (way, peer, said)
            else:
                assert said == version, (way, peer, said)
        _controls[executable, role] = reached
    return _controls[executable, role]


@pytest.mark.parametrize("when", ["early", "late"])
@every_floor
@pytest.mark.parametrize("role", CASES)
@every_python
def test_nothing_is_reached_below_the_floor(
    executable: str, role: str, floor: str, when: str
) -> None:
    """Everything else is reached as without the floor."""
    for (way, peer), said in reach(executable, role, when, floor).items():
        version = peer.split()[0]
        without = control(executable, role)[way, peer]
        if without in FLOORS and FLOORS[version] >= FLOORS[floor]:
            assert said == version, (way, peer)
        elif without in FLOORS:
            assert any(word in said for word in REFUSALS), (way, peer, said)
        else:
            assert said not in FLOORS, (way, peer, said)


#: The first lines of every snippet. ``refuse`` plays the start-up file, which blocks or warns.
PROLOGUE = """
from __future__ import print_function
import json, sys, threading
said, refused, WARN = [], [], False
def say(*things): said.append(things)
def load():
    if sys.version_info < (3,):
        import imp
        return imp.load_source("tlsfloor_old", FILE)
    from importlib.machinery import SourceFileLoader
    return SourceFileLoader("tlsfloor_old", FILE).load_module()
def refuse(error):
    refused.append(str(error))
    return None if WARN else "tlsfloor: error: %s" % error
def watch(floor=0x303, set_by="the test"):
    old = load()
    old.hold(floor, set_by, refuse)
    return old
def attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)
def pair():
    import socket
    one, other = socket.socketpair()
    return (socket.socket(_sock=one), other) if sys.version_info < (3,) else (one, other)
def lowest(ssl):
    # The version that a context is held to which was asked for the least.
    context = ssl.SSLContext(ssl.PROTOCOL_SSLv23)
    context.options = 0
    off = context.options
    return [name for name in ("OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1", "OP_NO_TLSv1_2")
            if off & getattr(ssl, name)]
"""

BELOW = {
    "1.2": ["OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1"],
    "1.3": ["OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1", "OP_NO_TLSv1_2"],
}


def snippet(executable: str, text: str, *args: str, path: tuple[Path, ...] = ()) -> Any:
    """Run a snippet after the prologue; return its output."""
    program = f"{PROLOGUE}\nFILE = {FILE!r}\n{text}\nprint(json.dumps(said))\n"
    env = clean_environment(
        PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=os.pathsep.join(str(each) for each in path)
    )
    done = python("-c", program, *args, executable=executable, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


READ = """
old = load()
text = lambda each: each if each is None else str(each)  # an environment's own type on 2.7
for environment, written in json.loads(sys.argv[1]):
    environment = {text(name): text(value) for name, value in environment.items()}
    say(attempt(old.read_floor, environment, text(written)))
"""


@every_python
def test_floors_are_read_as_on_newer_pythons(executable: str) -> None:
    spellings = [*versions._SPELLINGS, "TLSv1_2", " 1.3 ", "VersionTLS12"]
    nonsense = ["", "1", "12", "1.4", "1.2.", "1,2", "v1.2", "TLS  1.2", "versiontls1.2", "tls12"]
    written = [None, "1.2", "1.3", "2"]
    jobs: list[tuple[dict[str, str], str | None]] = [
        ({variable: value}, each)
        for variable in ("TLSFLOOR", "TLS_MIN_VERSION")
        for value in spellings + nonsense + ["off"]
        for each in (None, "1.3")
    ]
    jobs += [({"TLSFLOOR": "1.1", "TLS_MIN_VERSION": "1.0"}, each) for each in written]
    jobs += [({"TLSFLOOR": "off", "TLS_MIN_VERSION": "1.3"}, each) for each in written]
    jobs += [({"TLSFLOOR_ON_ERROR": outcome}, None) for outcome in ("warn", "", "Abort")]

    def expected(environment: dict[str, str], written: str | None) -> int | str:
        try:
            return policy.startup_floor(environment, written)
        except errors.PolicyError as error:
            return f"ValueError: {error}"

    told = snippet(executable, READ, json.dumps(jobs))
    assert len({str(each) for each in told}) > 10
    assert [each for [each] in told] == [expected(*job) for job in jobs]


START = """
before = set(sys.modules)
say("ssl" in before)
old = watch()
say(sorted(set(sys.modules) - before), old.describe_state())
import ssl
say(lowest(ssl), old.describe_state()["state"])
"""


@every_python
def test_arming_a_legacy_python_imports_nothing(executable: str) -> None:
    had_ssl, (more, status), held = snippet(executable, START)
    assert had_ssl == [False]
    assert set(more) <= {"imp", "tlsfloor_old"} or "importlib.machinery" in more
    assert "ssl" not in more
    assert status["state"] == "ssl was not imported yet"
    assert held == [BELOW["1.2"], "guarded"]


SHOWN = """
import ssl
old = watch()
context = ssl.SSLContext(ssl.PROTOCOL_SSLv23)
context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
say(lowest(ssl), bool(context.options & ssl.OP_NO_TLSv1), type(context.options).__name__)
for bound in ("minimum_version", "maximum_version"):
    if hasattr(context, bound):
        seen = [getattr(context, bound)]
        for value in (0x301, -2, 0x304, -1):
            setattr(context, bound, value)
            seen.append(getattr(context, bound))
        say(*[int(each) for each in seen])
for value in ("1.2", None):
    say(attempt(setattr, context, "options", value).split(":")[0])
if hasattr(context, "minimum_version"):
    say(attempt(setattr, context, "minimum_version", 77).split(":")[0])
say(old.describe_state()["counts"]["clamped"] > 0)
"""


@every_python
def test_what_a_context_shows_is_what_it_does(executable: str) -> None:
    said = snippet(executable, SHOWN)
    assert said[0][:2] == [BELOW["1.2"], True]
    assert said[0][2] == ("Options" if not is_27(executable) else said[0][2])
    if len(said) > 4:
        assert said[1] == [0x303, 0x303, 0x303, 0x304, 0x304]
        assert said[2] == [-1, 0x303, 0x303, 0x304, -1]
    assert said[-1] == [True]
    assert {each[0] for each in said[1:-1] if isinstance(each[0], str)} <= {
        "TypeError",
        "ValueError",
    }


SETTERS = """
watch()
import ssl
names = ("options", "verify_mode", "minimum_version", "maximum_version")
say(*[name for name in names if hasattr(getattr(ssl.SSLContext, name, None), "setter")])
"""


@every_python
def test_attributes_keep_their_kind(executable: str) -> None:
    """eventlet inspects one of them, and fails if the others are of another kind."""
    assert snippet(executable, SETTERS) == snippet(executable, SETTERS.replace("watch()", ""))


FIXED = """
import ssl
class Silent(ssl.SSLContext):
    def __init__(self, protocol):
        pass
def use(context):
    one, other = pair()
    try:
        return type(context.wrap_socket(one, do_handshake_on_connect=False)).__name__
    finally:
        one.close(), other.close()
def tell(context):
    try:
        say(use(context))
    except ssl.SSLError as error:
        say(error.errno, error.reason, error.library, str(error))
older = ssl.SSLContext(ssl.PROTOCOL_TLSv1)
say(use(older), use(Silent(ssl.PROTOCOL_TLSv1)))
watch(0x303, "the test")
for context in (older, ssl.SSLContext(ssl.PROTOCOL_TLSv1), Silent(ssl.PROTOCOL_TLSv1)):
    tell(context)
tell(ssl.SSLContext(ssl.PROTOCOL_TLSv1_2))
watch(0x304, "somebody stricter")
tell(ssl.SSLContext(ssl.PROTOCOL_TLSv1_2))
"""


@every_python
def test_a_fixed_version_is_refused_as_openssl_would(executable: str) -> None:
    said = snippet(executable, FIXED)
    assert said[0] == ["SSLSocket"] * 2
    for each in said[1:4]:
        assert each[:3] == [1, "UNSUPPORTED_PROTOCOL", "SSL"]
        assert each[3].startswith(
            "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: this context speaks TLS "
            "1.0 only, and the floor is 1.2, set by the test; hint: write "
            "ssl.create_default_"
        )
    assert said[4] == ["SSLSocket"]
    assert "speaks TLS 1.2 only, and the floor is 1.3, set by somebody stricter" in said[5][3]


SERVES = """
import socket, ssl, sys, threading
try:
    from socketserver import BaseRequestHandler, TCPServer
except ImportError:
    from SocketServer import BaseRequestHandler, TCPServer
class Handler(BaseRequestHandler):
    def handle(self):
        sys.stdout.write("served\\n")
def made(protocol):
    context = ssl.SSLContext(protocol)
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 has TLS 1.0 at this level only
    except ssl.SSLError:  # OpenSSL 1.0 knows no levels
        pass
    return context
context, client = made(ssl.PROTOCOL_TLSv1), made(ssl.PROTOCOL_SSLv23)
context.load_cert_chain(sys.argv[1])
server = TCPServer(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
def call():
    try:
        client.wrap_socket(socket.create_connection(server.server_address)).close()
    except (OSError, IOError):
        pass
for _ in range(3):
    thread = threading.Thread(target=call)
    thread.start()
    server.handle_request()
    thread.join()
"""


@every_python
def test_a_server_that_refuses_every_client_warns_once(executable: str) -> None:
    """``socketserver`` drops the client silently."""
    command = ("-c", SERVES, handshakes.PEER_FILE)
    control = python(*command, executable=executable, env=clean_environment())
    assert (control.stdout, control.stderr) == ("served\n" * 3, "")
    armed = python(*command, executable=executable, env=armed_environment())
    assert (armed.returncode, armed.stdout) == (0, "")
    assert armed.stderr.startswith("tlsfloor: error: a server refuses every client: this context ")
    assert armed.stderr.count("\n") == 1


LATE = """
import socket, ssl
port = int(sys.argv[1])
def begin():
    context = ssl.SSLContext(ssl.PROTOCOL_SSLv23)
    plain = socket.create_connection(("127.0.0.1", port), 20)
    return context.wrap_socket(plain, do_handshake_on_connect=False)
def hand(tls):
    tls.do_handshake()
    return tls.version()
def write(tls):
    tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    return tls.version()
def read(tls):
    tls.settimeout(0.5)
    try:
        tls.recv(1)
    except (socket.timeout, ssl.SSLError) as error:
        if getattr(error, "reason", None):
            raise
    return tls.version()
old = watch(0x303)
for way in (hand, write, read):
    tls = begin()
    say(attempt(way, tls))
    tls.close()
begun = [begin() for way in (hand, write, read)]
watch(0x304)
for way, tls in zip((hand, write, read), begun):
    say(attempt(way, tls))
    say(attempt(tls.sendall, b"a secret"))
    tls.close()
say(old.describe_state()["counts"]["discarded"])
"""


@every_python
def test_the_negotiated_version_is_compared_with_the_floor(executable: str) -> None:
    """Also if it changes after the gate of use: here the floor is raised before the handshake."""
    with handshakes.ServerPeer(FLOORS["1.2"]) as peer:
        said = snippet(executable, LATE, str(peer.port))
        peer.settle()
    assert said[:3] == [["TLSv1.2"]] * 3
    assert len(said) == 10
    for each in said[3:-1]:
        assert each[0].startswith(
            "SSLError: [SSL: UNSUPPORTED_PROTOCOL] unsupported protocol; tlsfloor: TLSv1.2"
        )
    assert said[-1] == [6]
    assert [seen.data for seen in peer.seen].count(b"") == 5


HAMMER = """
import collections, socket, time, ssl
port, ARM = int(sys.argv[1]), sys.argv[2] == "1"
# Hand the interpreter over so often that the moment comes some times in a second.
sys.setcheckinterval(1) if sys.version_info < (3,) else sys.setswitchinterval(1e-5)
old = watch() if ARM else load()
context = ssl.SSLContext(ssl.PROTOCOL_SSLv23)
context.set_ciphers("ALL:@SECLEVEL=0")
base = ssl.SSLContext.__mro__[1]
outcomes, begun = collections.Counter(), time.time()
def going():
    passed = time.time() - begun
    return passed < 0.5 or (ARM and passed < 60 and not old.describe_state()["counts"]["discarded"])
def hammer():
    while going():
        for _ in range(500):
            base.options.__set__(context, 0)
            if hasattr(base, "minimum_version"):
                base.minimum_version.__set__(context, 0x301)
def client():
    while going():
        plain = socket.create_connection(("127.0.0.1", port), 20)
        try:
            outcome = context.wrap_socket(plain).version()
        except ssl.SSLError as error:
            outcome = error.reason
        plain.close()
        outcomes[outcome] += 1
threads = [threading.Thread(target=each) for each in [hammer] * 2 + [client] * 4]
for each in threads: each.start()
for each in threads: each.join()
say(dict(outcomes), old.describe_state()["counts"]["discarded"])
"""


@every_python
def test_a_context_that_another_thread_lowers_gets_no_less(executable: str) -> None:
    """Two threads lower it through the C type, and OpenSSL copies it at some of these moments."""
    with handshakes.ServerPeer(FLOORS["1.0"]) as peer:
        assert snippet(executable, HAMMER, str(peer.port), "0")[0][0].keys() == {"TLSv1"}
        [[outcomes, discarded]] = snippet(executable, HAMMER, str(peer.port), "1")
    assert outcomes.keys() == {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"}
    assert outcomes["UNSUPPORTED_PROTOCOL"] >= discarded > 0


AGAIN = """
watch()
import ssl
first = ssl.SSLContext
say(lowest(ssl))
del sys.modules["ssl"]
import ssl as second
say(lowest(ssl), lowest(second), second.SSLContext is not first)
try:
    from importlib import reload
except ImportError:
    pass
third = second.SSLContext
say(reload(second) is second, lowest(second), second.SSLContext is not third)
say(type(ssl.__spec__.loader) is type(json.__spec__.loader) if hasattr(json, "__spec__") else True)
# A hook as wrapt's of those years: it comes in front, and asks the loader in the old way.
class Finder(object):
    aside = False
    def find_module(self, name, path=None):
        if name != "ssl" or self.aside:
            return None
        self.aside = True
        if sys.version_info < (3,):
            __import__(name)
            return self
        from importlib.util import find_spec
        self.loader = find_spec(name).loader
        return self
    def load_module(self, name):
        return sys.modules[name] if sys.version_info < (3,) else self.loader.load_module(name)
sys.meta_path.insert(0, Finder())
del sys.modules["ssl"]
import ssl as fourth
say(fourth is not second, lowest(fourth))
"""


@every_python
def test_every_further_execution_of_ssl_is_guarded(executable: str) -> None:
    held = BELOW["1.2"]
    assert snippet(executable, AGAIN) == [
        [held],
        [held, held, True],
        [True, held, True],
        [True],
        [True, held],
    ]


RATCHET = """
old = watch(0x303, "the first")
import ssl
owner = [each for each in ssl.SSLContext.__mro__ if "_wrap_socket" in each.__dict__][0]
gate = owner.__dict__["_wrap_socket"]
for floor in (0x303, 0x302):
    say(lowest(ssl), watch(floor).describe_state()["floor"])
def once():
    finders = [each for each in sys.meta_path if type(each).__name__ == "SSLFinder"]
    return owner.__dict__["_wrap_socket"] is gate and len(finders) == 1
say(once())
sys.modules.pop("tlsfloor_old")  # what imp does not reset, a new module is
say(watch(0x304, "a stricter").describe_state()["floor"], lowest(ssl), once())
say(watch(0x303).describe_state()["floor"], lowest(ssl))
real, ssl.SSLContext = ssl.SSLContext, type("SSLContext", (object,), {})
say(old.describe_state()["state"])
ssl.SSLContext = real
del owner._wrap_socket
say(old.describe_state()["state"])
say(watch().describe_state()["state"], lowest(ssl))
"""


@every_python
def test_a_floor_is_never_lowered_and_gates_are_added_once(executable: str) -> None:
    """Also if the file is loaded again, which resets its variables."""
    said = snippet(executable, RATCHET)
    assert said[:2] == [[BELOW["1.2"], "1.2"]] * 2
    assert said[2] == [True]
    assert said[3] == ["1.3", BELOW["1.3"], True]
    assert said[4] == ["1.3", BELOW["1.3"]]
    assert said[5][0].startswith("ssl.SSLContext or its gates were replaced: ")
    assert said[6][0].startswith("ssl.SSLContext or its gates were replaced: ")
    assert said[7] == ["guarded", BELOW["1.3"]]


THREADS = """
sys.modules.pop("ssl", None)
watch()
seen, faults = [], []
ready = threading.Event()
def use():
    ready.wait()
    try:
        import ssl
        seen.append(lowest(ssl))
    except Exception as error:
        faults.append(repr(error))
threads = [threading.Thread(target=use) for _ in range(8)]
for each in threads: each.start()
ready.set()
for each in threads: each.join()
say(*faults)
say(*seen)
"""


@every_python
def test_threads_that_import_ssl_at_once_all_get_it_guarded(executable: str) -> None:
    for _ in range(3):
        assert snippet(executable, THREADS) == [[], [BELOW["1.2"]] * 8]


REFUSED = """
WARN = {warn}
old = watch({floor})
for _ in range(2):
    try:
        import ssl
        say("imported", hasattr(ssl, "SSLContext"))
    except ImportError as error:
        say("ImportError", str(error))
say(sys.modules.get("ssl") is None, sys.modules.get("_ssl") is None, len(refused))
say(old.describe_state()["state"])
"""

#: Modules on the path, and the floor, and what is said of them.
STRANGE = {
    "somebody's own ssl": (
        {"ssl": "class SSLContext(object): pass\n"},
        "0x303",
        "its SSLContext is <class",
    ),
    "an ssl without contexts, as in 2.7.8": (
        {"ssl": "import _ssl\n"},
        "0x303",
        "its SSLContext is None",
    ),
    "an OpenSSL without TLS 1.3": (
        {
            "_ssl": """
import imp, sys
path = [each for each in sys.path if each != __file__.rpartition("/")[0]]
this = sys.modules.pop("_ssl")
real = imp.load_module("_ssl", *imp.find_module("_ssl", path))
sys.modules["_ssl"] = this
for name in dir(real):
    if not name.startswith("__"):
        setattr(this, name, getattr(real, name))
this.OPENSSL_VERSION_NUMBER = 0x1010009f
"""
        },
        "0x304",
        "cannot be held to TLS 1.3; hint: ",
    ),
}


@pytest.mark.parametrize("strange", STRANGE)
@every_python
def test_an_ssl_that_cannot_be_held_is_refused(
    executable: str, strange: str, tmp_path: Path
) -> None:
    """With "warn" it is imported, and ``status()`` shows that."""
    files, floor, problem = STRANGE[strange]
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    said = snippet(executable, REFUSED.format(warn=False, floor=floor), path=(tmp_path,))
    assert [each[0] for each in said[:2]] == ["ImportError"] * 2
    assert said[0] == said[1]
    assert said[0][1].startswith("tlsfloor: error: ")
    assert problem in said[0][1]
    assert "; hint: " in said[0][1]
    assert said[2] == [True, True, 1]
    assert problem in said[3][0]
    said = snippet(executable, REFUSED.format(warn=True, floor=floor), path=(tmp_path,))
    assert [each[0] for each in said[:2]] == ["imported"] * 2
    assert said[2][2] == 1
    assert problem in said[3][0]
    if strange == "an OpenSSL without TLS 1.3":  # what it can hold, it holds, as its hint says
        assert (
            said[3][0].partition("hint: ")[2]
            == "use a Python with OpenSSL 1.1.1 or newer, or floor 1.2"
        )
        said = snippet(executable, REFUSED.format(warn=False, floor="0x303"), path=(tmp_path,))
        assert said[0] == ["imported", True]
        assert said[3] == ["guarded"]


KEPT = """
import ssl
class Real(ssl.SSLContext):
    pass
kept = [ssl.SSLContext(ssl.PROTOCOL_SSLv23), Real(ssl.PROTOCOL_SSLv23)]
say(lowest(ssl))
ssl.SSLContext = {replacement}
old = watch()
def use(context):
    one, other = pair()
    context.wrap_socket(one, do_handshake_on_connect=False)
for context in kept:
    say(str(attempt(use, context)).split(":")[0])
try:
    import ssl
    say(lowest(ssl))
except ImportError as error:
    say(str(error)[:9])
"""


@every_python
def test_an_ssl_that_was_imported_earlier_is_held(executable: str) -> None:
    """With a failure it is refused, also through references that were kept."""
    said = snippet(executable, KEPT.format(replacement="ssl.SSLContext"))
    assert said[0] != [BELOW["1.2"]]
    assert said[1:] == [["None"], ["None"], [BELOW["1.2"]]]
    said = snippet(executable, KEPT.format(replacement="lambda protocol: kept[0]"))
    assert said[1:] == [["ImportError"], ["ImportError"], ["tlsfloor:"]]


@every_python
def test_an_ssl_in_a_zip_is_guarded(executable: str, tmp_path: Path) -> None:
    """As in frozen and embedded Pythons, whose importer has no ``exec_module``."""
    found = python("-c", "import ssl; print(ssl.__file__)", executable=executable).stdout.strip()
    with zipfile.ZipFile(tmp_path / "stdlib.zip", "w") as archive:
        archive.write(found.replace(".pyc", ".py"), "ssl.py")
    said = snippet(
        executable,
        "watch()\nimport ssl\nsay(ssl.__file__, lowest(ssl))",
        path=(tmp_path / "stdlib.zip",),
    )
    assert said == [[str(tmp_path / "stdlib.zip" / "ssl.py"), BELOW["1.2"]]]


COPIED = """
import importlib.util, os, sys, warnings
warnings.simplefilter("ignore")
file = os.path.join(os.path.dirname(os.__file__), "ssl.py")
spec = importlib.util.spec_from_file_location("vendored", file)
ssl = sys.modules["vendored"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ssl)
try:
    print(type(ssl.SSLContext(ssl.PROTOCOL_TLSv1).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())))
except ssl.SSLError as error:
    print(error.reason)
"""


@pytest.mark.parametrize(
    "executable",
    [each for each in parts.old_pythons() if "python2" not in each and "/2." not in each],
)
def test_a_copy_of_ssl_is_held_beneath_the_import(executable: str) -> None:
    for path, told in (("", "<class 'vendored.SSLObject'>"), (BOOTSTRAP, "UNSUPPORTED_PROTOCOL")):
        env = clean_environment(PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
        done = python("-c", COPIED, env=env, executable=executable)
        assert done.stdout.strip() == told, done.stderr
