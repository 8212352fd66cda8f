"""The first TLS library of an idle process: whatever happens as it wakes tlsfloor, nothing is open.

A process that was armed as it started has loaded nothing but the start-up file. The rest comes with
the first import of a TLS library, which can fail, be interrupted, or happen in several threads.
"""

from __future__ import annotations

import sys

import pytest

from programs import BOOTSTRAP, clean_environment, python

#: What a context is allowed at the end: 771 is TLS 1.2. An import that is refused is not open.
LOWEST = """
import warnings
warnings.simplefilter("ignore")
def lowest():
    try:
        import ssl
    except ImportError as error:
        return "refused"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = 0x301
    return int(context.minimum_version)
"""

NO_DESCRIPTORS = """
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
try:
    import ssl
except (ImportError, OSError):
    failed = True
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert failed
if ARMED:
    import tlsfloor
    tlsfloor.require("1.2")
print(lowest())
"""

INTERRUPTED = """
import sys
left = int(sys.argv[1])
def trace(frame, event, argument):
    global left
    if "tlsfloor" in frame.f_code.co_filename and event == "line":
        left -= 1
        if left == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
    return trace
sys.settrace(trace)
try:
    import ssl
except (KeyboardInterrupt, ImportError):
    pass
sys.settrace(None)
print(lowest(), left <= 0)
"""

AT_ONCE = """
import sys, threading
sys.setswitchinterval(1e-5)
start = threading.Barrier(4)
failed = []
def work(job):
    start.wait()
    try:
        job()
    except BaseException as error:
        failed.append(repr(error))
def ask():
    import tlsfloor
    tlsfloor.require("1.2")
def use():
    import ssl
threads = [threading.Thread(target=work, args=(job,)) for job in (use, ask, use, ask)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(lowest(), failed)
"""

WRAPPED = """
import _imp
import importlib._bootstrap as bootstrap
load, create = bootstrap._load_unlocked, _imp.create_dynamic
bootstrap._load_unlocked = lambda spec: load(spec)
_imp.create_dynamic = lambda *args: create(*args)
print(lowest())
"""

DROPPED = """
import sys
sys.modules.pop("tlsfloor", None)
print(lowest())
"""


def run(program: str, *args: str, armed: bool = True) -> str:
    env = clean_environment(PYTHONPATH=BOOTSTRAP if armed else "")
    done = python("-c", f"ARMED = {armed}\n{LOWEST}{program}", *args, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limits")
def test_a_first_import_that_fails_leaves_no_gap() -> None:
    """The next import works, also if the program called ``status()`` in between."""
    assert run(NO_DESCRIPTORS, armed=False) == "769"
    assert run(NO_DESCRIPTORS) == "771"


@pytest.mark.parametrize("line", [1, 9, 30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 330])
def test_an_interrupt_anywhere_leaves_no_gap(line: int) -> None:
    lowest, met = run(INTERRUPTED, str(line)).split()
    assert lowest in ("771", "refused")
    assert met == "True" or line > 200  # the last lines are not reached on every version


def test_threads_that_import_ssl_first_at_once_do_not_fail() -> None:
    for _ in range(8):
        assert run(AT_ONCE) == "771 []"


@pytest.mark.parametrize("program", [WRAPPED, DROPPED], ids=["wrapped", "dropped"])
def test_tools_that_act_before_the_first_import_do_no_harm(program: str) -> None:
    assert run(program, armed=False) == "769"
    assert run(program) == "771"


HANDSHAKES = """
import functools, ssl
class Odd(ssl.SSLSocket):
    do_handshake = functools.partialmethod(ssl.SSLSocket.do_handshake)
import socket, typing
one, other = socket.socketpair()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.sslsocket_class = Odd
sock = context.wrap_socket(one, do_handshake_on_connect=False)
other.close()
try:
    sock.do_handshake()
except OSError as error:
    print(type(error).__name__)
for name in ("__init__", "_wrap_socket", "_wrap_bio"):
    print(typing.get_type_hints(getattr(ssl.SSLContext, name)))
"""


def test_unusual_handshakes_and_gates_read_as_without_tlsfloor() -> None:
    assert run(HANDSHAKES) == run(HANDSHAKES, armed=False)
